//! A node that answers for names, and Services and pods that have some.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Node;
use crate::dns::{self, Kind};
use crate::network::{FAR, Host, Place, Site};
use crate::sample::{FOREVER, labelled, pod, service};

/// How such a node is set up.
pub struct Setup {
    /// Where it answers; of `10.77.0.0/16` and `fd00:10:77::/112`.
    pub cluster_dns: Vec<IpAddr>,
    /// The host's own server.
    pub upstream: IpAddr,
    /// The domain that the host searches.
    pub search: &'static str,
    /// Archives of images beside busybox.
    pub images: Vec<PathBuf>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            cluster_dns: vec!["10.77.0.10".parse().unwrap()],
            upstream: FAR[0],
            search: "example.org",
            images: Vec::new(),
        }
    }
}

/// A node whose host asks the outside's server for names, with a pod `client`.
pub struct Named {
    /// What is around it.
    pub site: Site,
    /// Where it is.
    pub host: Host,
    /// The node.
    pub node: Node,
    /// The network of `client`.
    pub client: Place,
    /// Where it answers; the first of several addresses.
    pub server: IpAddr,
}

impl Named {
    /// A node that answers on one IPv4 address.
    #[track_caller]
    pub fn new() -> Self {
        Self::with(&Setup::default())
    }

    /// A node that is set up in this way.
    #[track_caller]
    pub fn with(setup: &Setup) -> Self {
        let mut site = Site::new();
        let host = site.host();
        let mut node = Node::on(&host);
        let resolv = node.path("resolv.conf");
        let Setup { search, upstream, .. } = setup;
        let text = format!("search {search}\nnameserver {upstream}\noptions ndots:1\n");
        std::fs::write(&resolv, text).unwrap();
        for archive in &setup.images {
            node.give(archive);
        }
        let own: Vec<String> = setup.cluster_dns.iter().map(ToString::to_string).collect();
        node.configure(
            &json!({
                "nodeName": "test",
                "serviceCIDR": "10.77.0.0/16,fd00:10:77::/112",
                "clusterDNS": own,
                "resolvConf": resolv,
            })
            .to_string(),
        );
        node.start();
        node.lay("client.json", &pod("client", FOREVER).to_string());
        let client = node.place("client");
        Self {
            site,
            host,
            node,
            client,
            server: setup.cluster_dns[0],
        }
    }

    /// Asks from within the pod `client`.
    #[track_caller]
    pub fn ask(&self, name: &str, kind: Kind) -> dns::Reply {
        dns::ask(&self.client, self.server, name, kind).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Asks until the name has as many answers.
    #[track_caller]
    pub fn wait(&self, name: &str, kind: Kind, answers: usize) -> dns::Reply {
        let (mut last, begun) = (None, Instant::now());
        while begun.elapsed() < Duration::from_secs(30) {
            let reply = self.ask(name, kind);
            if reply.code == 0 && reply.answers.len() == answers {
                return reply;
            }
            last = Some(reply);
            std::thread::park_timeout(Duration::from_millis(5));
        }
        let endpoints = self.node.prints(&["get", "endpoints"]);
        panic!(
            "{name} {kind:?}: {last:?}\n{endpoints}\n{}",
            self.node.agent_log()
        );
    }

    /// Lays an object's manifest, in a file of its name.
    pub fn lay(&self, object: &Value) {
        let name = object["metadata"]["name"].as_str().unwrap();
        self.node.lay(&format!("{name}.json"), &object.to_string());
    }

    /// Ends all pods; nothing of them may be left.
    #[track_caller]
    pub fn end(self) {
        let Self { mut node, client, .. } = self;
        drop(client);
        node.drain_and_find_nothing();
    }
}

impl Default for Named {
    fn default() -> Self {
        Self::new()
    }
}

/// A pod with the label `app: postgres` that has a name of its own under the Service.
pub fn member(name: &str, subdomain: &str) -> Value {
    let mut pod = labelled(pod(name, FOREVER), "postgres");
    pod["spec"]["hostname"] = json!(name);
    pod["spec"]["subdomain"] = json!(subdomain);
    pod
}

/// A Service without an address, for pods with this label `app`.
pub fn headless(name: &str, app: &str) -> Value {
    let mut headless = service(name, app);
    headless["spec"]["clusterIP"] = json!("None");
    headless["spec"]["ports"] = json!([{"name": "sql", "port": 5432}]);
    headless
}

/// A Service that is another name.
pub fn external(name: &str, target: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"type": "ExternalName", "externalName": target},
    })
}
