//! How long it takes to attach a pod with a host port: by this crate, and by the plugins `bridge` and `portmap` as a
//! container daemon executes them, in turn, each on a host of its own (a network namespace).
//!
//! `attach ROUNDS PLUGINS` prints the seconds of each round as JSON; PLUGINS is the folder of the CNI plugins.
//! Namespaces are there before the clock starts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measure ends where it finds a fault, and prints what it found"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use pinnace_api::{Cidr, testing};
use pinnace_core::ports::{Network, PodContext, PortError};
use pinnace_core::resources::{CgroupValues, QosClass};
use pinnace_net::rules::RulesConfig;
use pinnace_net::{Net, NetConfig};
use pinnace_sys::namespace::{self, NamespaceKind, Pin};
use pinnace_sys::{Layout, mount};
use serde_json::{Value, json};

const HOST_PORT: u16 = 5000;
const CONTAINER_PORT: u16 = 8080;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: attach ROUNDS PLUGINS";
    let rounds: u64 = arguments.next().expect(usage).parse().expect(usage);
    let plugins = PathBuf::from(arguments.next().expect(usage));
    let bench = Bench(tempfile::tempdir().unwrap());
    let ours = Ours::new(&bench);
    let cni = Cni::new(&bench, plugins);
    let (mut by_us, mut by_plugins) = (Vec::new(), Vec::new());
    // What the first round makes once for all (tables, the bridge) is not measured.
    for round in 0..=rounds {
        by_us.push(ours.round(&bench, round));
        by_plugins.push(cni.round(&bench, round));
    }
    ours.end();
    println!("{}", json!({"pinnace": by_us[1..], "cni": by_plugins[1..]}));
}

/// A folder of pinned namespaces.
struct Bench(tempfile::TempDir);

impl Bench {
    fn namespace(&self, name: &str) -> PathBuf {
        let path = self.0.path().join(name);
        let pin = Pin {
            kind: NamespaceKind::Network,
            path: path.clone(),
        };
        namespace::pin(&[pin], None).unwrap();
        path
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = mount::unmount_beneath(self.0.path());
    }
}

/// This crate, on its host.
struct Ours {
    host: PathBuf,
    net: Net,
}

impl Ours {
    fn new(bench: &Bench) -> Self {
        let ranges: Vec<Cidr> = ["10.244.0.0/16", "fd00:10:244::/64"]
            .map(|range| range.parse().unwrap())
            .to_vec();
        let config = NetConfig {
            layout: Layout::new(bench.0.path().join("root")),
            pod_ranges: ranges.clone(),
            loopback_addresses: Vec::new(),
            mtu: None,
            rules: RulesConfig {
                pod_ranges: ranges,
                ..RulesConfig::default()
            },
        };
        let ours = Self {
            host: bench.namespace("host"),
            net: Net::new(config),
        };
        ours.ask(|net| async move { net.start().await });
        ours
    }

    /// Asks the network on its host, and answers how long that took.
    fn ask<F: Future<Output = Result<T, PortError>>, T: Send>(
        &self,
        ask: impl FnOnce(Net) -> F + Send,
    ) -> f64 {
        let net = self.net.clone();
        let asked = || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let begun = Instant::now();
            let done = runtime.block_on(ask(net));
            let took = begun.elapsed();
            done.unwrap_or_else(|error| panic!("{}", error.chain()));
            took.as_secs_f64()
        };
        namespace::within(&self.host, asked).unwrap()
    }

    fn round(&self, bench: &Bench, round: u64) -> f64 {
        let namespace = bench.namespace(&format!("pod-{round}"));
        let uid = testing::uid(round + 1);
        let ports = json!([{"containerPort": CONTAINER_PORT, "hostPort": HOST_PORT}]);
        let spec = json!({"containers": [{"name": "main", "ports": ports}]});
        let pod = PodContext {
            uid: uid.clone(),
            pod: Arc::new(testing::pod("p", spec)),
            qos: QosClass::BestEffort,
            pod_cgroup: CgroupValues::default(),
        };
        let took = self.ask(|net| {
            let namespace = namespace.clone();
            async move { net.attach(&pod, &namespace).await }
        });
        self.ask(|net| {
            let namespace = namespace.clone();
            async move { net.detach(&uid, &namespace).await }
        });
        namespace::unpin(&namespace).unwrap();
        took
    }

    fn end(&self) {
        self.ask(|net| async move { net.retire().await });
    }
}

/// The plugins, on their host.
struct Cni {
    host: PathBuf,
    plugins: PathBuf,
    data: PathBuf,
}

impl Cni {
    fn new(bench: &Bench, plugins: PathBuf) -> Self {
        Self {
            host: bench.namespace("cni-host"),
            plugins,
            data: bench.0.path().join("addresses"),
        }
    }

    fn bridge(&self) -> Value {
        let ranges = json!([[{"subnet": "10.245.0.0/16"}], [{"subnet": "fd00:10:245::/64"}]]);
        json!({
            "cniVersion": "1.0.0",
            "name": "bench",
            "type": "bridge",
            "bridge": "bench0",
            "isGateway": true,
            "ipMasq": true,
            "hairpinMode": true,
            "ipam": {
                "type": "host-local",
                "dataDir": self.data,
                "ranges": ranges,
                "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}],
            },
        })
    }

    fn portmap(before: &Value) -> Value {
        let mapping = json!({"hostPort": HOST_PORT, "containerPort": CONTAINER_PORT, "protocol": "tcp"});
        json!({
            "cniVersion": "1.0.0",
            "name": "bench",
            "type": "portmap",
            "capabilities": {"portMappings": true},
            "runtimeConfig": {"portMappings": [mapping]},
            "prevResult": before,
        })
    }

    fn round(&self, bench: &Bench, round: u64) -> f64 {
        let namespace = bench.namespace(&format!("cni-pod-{round}"));
        let begun = Instant::now();
        let result = self.call("ADD", &self.bridge(), round, &namespace);
        self.call("ADD", &Self::portmap(&result), round, &namespace);
        let took = begun.elapsed().as_secs_f64();
        self.call("DEL", &Self::portmap(&result), round, &namespace);
        self.call("DEL", &self.bridge(), round, &namespace);
        namespace::unpin(&namespace).unwrap();
        took
    }

    /// Executes a plugin; what it printed, as JSON.
    fn call(&self, command: &str, config: &Value, round: u64, namespace: &Path) -> Value {
        let execute = || {
            let plugin = config["type"].as_str().unwrap();
            let mut child = Command::new(self.plugins.join(plugin))
                .env("CNI_COMMAND", command)
                .env("CNI_CONTAINERID", format!("bench-{round}"))
                .env("CNI_NETNS", namespace)
                .env("CNI_IFNAME", "eth0")
                .env("CNI_PATH", &self.plugins)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            serde_json::to_writer(child.stdin.take().unwrap(), config).unwrap();
            child.wait_with_output().unwrap()
        };
        let told = namespace::within(&self.host, execute).unwrap();
        let text = String::from_utf8_lossy(&told.stdout);
        assert!(told.status.success(), "{command} {}: {text}", config["type"]);
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }
}
