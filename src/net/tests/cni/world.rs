//! A host of its own for a test: a network namespace, a network configuration, the distribution's plugins, and pods'
//! namespaces.

#[path = "../common/test_pod.rs"]
mod test_pod;

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use pinnace_api::pod::Protocol;
use pinnace_api::testing;
use pinnace_api::{Namespace, ObjectName, PodUid};
use pinnace_core::network::{
    Endpoint, NetworkState, PodAddresses, PortEntry, ServiceEntry, ServiceForm, ServiceTable,
};
use pinnace_core::ports::{Network, PortResult};
use pinnace_net::Finding;
use pinnace_net::cni::{CniConfig, CniNet, doctor};
use pinnace_net::rules::RulesConfig;
use pinnace_sys::namespace::{self, NamespaceKind, Pin};
use pinnace_sys::{Layout, mount};
use serde_json::{Value, json};

pub use test_pod::{TestPod, run};

/// Where Debian's containernetworking-plugins are.
const PLUGINS: &str = "/usr/lib/cni";

pub struct World {
    directory: PathBuf,
    /// Only who made it takes it down.
    own: Option<tempfile::TempDir>,
    made: AtomicU64,
}

impl World {
    pub fn new() -> Self {
        let bridge = Path::new(PLUGINS).join("bridge");
        assert!(
            bridge.exists(),
            "{} is missing: `packaging/deps test` installs it",
            bridge.display()
        );
        let own = tempfile::tempdir().unwrap();
        let mut world = Self::of_another(own.path().to_owned());
        world.own = Some(own);
        world.pin("host");
        // Or each address of a bridge would be of no use for a second.
        world.on_host("sysctl -q -w net.ipv6.conf.default.accept_dad=0");
        std::fs::create_dir(world.path("net.d")).unwrap();
        std::fs::create_dir(world.path("bin")).unwrap();
        world
    }

    /// The same in another process.
    pub fn of_another(directory: PathBuf) -> Self {
        Self {
            directory,
            own: None,
            made: AtomicU64::new(0),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub fn pin(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        let kind = NamespaceKind::Network;
        namespace::pin(
            &[Pin {
                kind,
                path: path.clone(),
            }],
            None,
        )
        .unwrap();
        path
    }

    pub fn config(&self) -> CniConfig {
        CniConfig {
            layout: Layout::new(self.path("root")),
            conf_directory: self.path("net.d"),
            bin_directories: vec![self.path("bin"), PLUGINS.into()],
            libcni_cache: self.path("cache"),
            loopback_addresses: vec!["10.96.0.10".parse().unwrap()],
            rules: RulesConfig {
                service_ranges: vec!["10.96.0.0/16".parse().unwrap()],
                ..RulesConfig::default()
            },
        }
    }

    /// The plugin `bridge` with addresses of 10.88.0.0/24 and fd00:88::/64.
    pub fn bridge(&self) -> Value {
        json!({
            "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
            "ipam": {
                "type": "host-local", "dataDir": self.path("leases"),
                "ranges": [[{"subnet": "10.88.0.0/24"}], [{"subnet": "fd00:88::/64"}]],
                "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}],
            },
        })
    }

    /// Makes these plugins the network.
    pub fn network(&self, version: &str, plugins: &[Value]) {
        let list = json!({"cniVersion": version, "name": "test", "plugins": plugins});
        self.conf("10-test.conflist", &list);
    }

    pub fn conf(&self, name: &str, conf: &Value) {
        std::fs::write(self.path("net.d").join(name), conf.to_string()).unwrap();
    }

    /// A plugin that is a script; it may write to `$NOTES`.
    pub fn script(&self, name: &str, text: &str) {
        let path = self.path("bin").join(name);
        let notes = self.path("notes");
        std::fs::write(&path, format!("#!/bin/sh\nNOTES={}\n{text}\n", notes.display())).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    }

    pub fn notes(&self) -> String {
        std::fs::read_to_string(self.path("notes")).unwrap_or_default()
    }

    /// The next pod, with a namespace of its own.
    pub fn pod(&self) -> TestPod {
        self.pod_of(json!({}))
    }

    pub fn pod_of(&self, spec: Value) -> TestPod {
        let uid = testing::uid(self.made.fetch_add(1, Ordering::Relaxed));
        let namespace = self.pin(&format!("pod-{uid}"));
        let pod = testing::pod("web", spec);
        TestPod { uid, namespace, pod }
    }

    pub fn namespace_of(&self, number: u64) -> PathBuf {
        self.path(&format!("pod-{}", testing::uid(number)))
    }

    /// 10.96.0.80:80 in front of one pod.
    pub fn service(&self, address: IpAddr, port: u16) -> ServiceTable {
        let name = |text: &str| ObjectName::new(text.to_owned()).unwrap();
        let endpoint = Endpoint {
            address,
            port,
            serving: true,
            pod: (Namespace::default(), name("web")),
            hostname: None,
        };
        let entry = ServiceEntry {
            form: ServiceForm::ClusterIp,
            cluster_ips: vec!["10.96.0.80".parse().unwrap()],
            external_ips: Vec::new(),
            client_ip_affinity: None,
            ports: vec![PortEntry {
                name: None,
                protocol: Protocol::Tcp,
                port: 80,
                node_port: None,
                endpoints: vec![endpoint],
            }],
            portless: Vec::new(),
        };
        let mut table = ServiceTable::default();
        table.services.insert((Namespace::default(), name("web")), entry);
        table
    }

    /// Asks a new agent's network in the host's namespace.
    pub fn try_ask<T: Send, F: Future<Output = PortResult<T>>>(
        &self,
        ask: impl FnOnce(CniNet) -> F + Send,
    ) -> PortResult<T> {
        let net = CniNet::new(self.config());
        namespace::within(&self.path("host"), move || run(ask(net))).unwrap()
    }

    pub fn ask<T: Send, F: Future<Output = PortResult<T>>>(&self, ask: impl FnOnce(CniNet) -> F + Send) -> T {
        self.try_ask(ask)
            .unwrap_or_else(|error| panic!("{}", error.chain()))
    }

    pub fn try_attach(&self, pod: &TestPod) -> PortResult<PodAddresses> {
        self.try_ask(|net| async move { net.attach(&pod.context(), &pod.namespace).await })
    }

    pub fn attach(&self, pod: &TestPod) -> PodAddresses {
        self.try_attach(pod)
            .unwrap_or_else(|error| panic!("{}", error.chain()))
    }

    pub fn detach(&self, pod: &TestPod) {
        self.ask(|net| async move { net.detach(&pod.uid, &pod.namespace).await });
    }

    pub fn observe(&self, pod: &TestPod) -> NetworkState {
        self.ask(|net| async move { net.observe(&pod.uid, &pod.namespace).await })
    }

    pub fn list(&self) -> Vec<PodUid> {
        self.ask(|net| async move { net.list().await })
    }

    pub fn findings(&self) -> Vec<Finding> {
        let config = self.config();
        let paths: PathBuf = self.directory.clone();
        namespace::within(&self.path("host"), move || {
            doctor::findings(&config, |uid| paths.join(format!("pod-{uid}")))
        })
        .unwrap()
    }

    /// Addresses that host-local has leased.
    pub fn leases(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("leases/test"));
        let names = entries
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut leases: Vec<String> = names
            .filter(|name| name.contains(['.', ':']))
            .filter(|name| !name.starts_with("last_reserved"))
            .collect();
        leases.sort();
        leases
    }

    pub fn record(&self, pod: &TestPod) -> PathBuf {
        self.path(&format!("root/var/lib/pinnace/cni/{}.json", pod.uid))
    }

    /// That nothing at all is left of a pod.
    pub fn assert_gone(&self, pod: &TestPod) {
        assert_eq!(self.observe(pod), NetworkState::Absent);
        assert!(self.list().is_empty());
        assert_eq!(self.leases(), [""; 0]);
        assert!(!self.record(pod).exists());
        let locks = self.path("root/run/pinnace/network/cni");
        assert_eq!(
            std::fs::read_dir(locks).into_iter().flatten().count(),
            0,
            "locks are left"
        );
        assert!(!self.on_host("ip -o link").contains("veth"));
        assert!(!self.on_host("nft list ruleset").contains(pod.uid.as_str()));
    }

    pub fn on_host(&self, command: &str) -> String {
        self.run(&self.path("host"), command)
    }

    /// What a program says within a namespace.
    pub fn run(&self, namespace: &Path, command: &str) -> String {
        let told = Command::new("nsenter")
            .arg(format!("--net={}", namespace.display()))
            .args(command.split_whitespace())
            .output()
            .unwrap();
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&told.stdout),
            String::from_utf8_lossy(&told.stderr)
        );
        assert!(told.status.success(), "{command}: {text}");
        text
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if self.own.is_some() {
            let _ = mount::unmount_beneath(&self.directory);
        }
    }
}
