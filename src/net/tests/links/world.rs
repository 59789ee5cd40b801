//! A host of its own for a test: a network namespace with another one outside of it, and pods' namespaces.

#[path = "../common/test_pod.rs"]
mod test_pod;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pinnace_api::PodUid;
use pinnace_api::testing;
use pinnace_core::network::{NetworkState, PodAddresses};
use pinnace_core::ports::{Network, PortResult};
use pinnace_net::rules::RulesConfig;
use pinnace_net::{Net, NetConfig};
use pinnace_sys::namespace::{self, NamespaceKind, Pin};
use pinnace_sys::{Layout, mount};
use serde_json::json;

pub use test_pod::{TestPod, run};

pub struct World {
    directory: tempfile::TempDir,
    made: AtomicU64,
}

impl World {
    pub fn new() -> Self {
        let world = Self {
            directory: tempfile::tempdir().unwrap(),
            made: AtomicU64::new(0),
        };
        world.pin("host");
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
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

    pub fn root(&self) -> PathBuf {
        self.path("root")
    }

    pub fn config(&self) -> NetConfig {
        config(&self.root())
    }

    /// The next pod, with a namespace of its own.
    pub fn pod(&self) -> TestPod {
        let uid = testing::uid(self.made.fetch_add(1, Ordering::Relaxed) + 1);
        let namespace = self.pin(&format!("pod-{uid}"));
        let pod = testing::pod("p", json!({}));
        TestPod { uid, namespace, pod }
    }

    /// Asks the network in the host's namespace.
    pub fn ask<T: Send, F: Future<Output = PortResult<T>>>(&self, ask: impl FnOnce(Net) -> F + Send) -> T {
        self.try_ask(ask)
            .unwrap_or_else(|error| panic!("{}", error.chain()))
    }

    pub fn try_ask<T: Send, F: Future<Output = PortResult<T>>>(
        &self,
        ask: impl FnOnce(Net) -> F + Send,
    ) -> PortResult<T> {
        self.try_ask_of(self.config(), ask)
    }

    /// The same of a node with another configuration.
    pub fn try_ask_of<T: Send, F: Future<Output = PortResult<T>>>(
        &self,
        config: NetConfig,
        ask: impl FnOnce(Net) -> F + Send,
    ) -> PortResult<T> {
        let net = Net::new(config);
        namespace::within(&self.path("host"), move || run(ask(net))).unwrap()
    }

    pub fn attach(&self, pod: &TestPod) -> PodAddresses {
        self.ask(|net| async move { net.attach(&pod.context(), &pod.namespace).await })
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

    /// What `ip` (or another program) says within a namespace.
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

    pub fn on_host(&self, command: &str) -> String {
        self.run(&self.path("host"), command)
    }

    /// Polls, for at most ten seconds.
    pub fn wait_until(&self, what: &str, is_so: impl Fn() -> bool) {
        let limit = Instant::now() + Duration::from_secs(10);
        while !is_so() {
            assert!(Instant::now() < limit, "{what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// A second host, 192.0.2.2 and 2001:db8::2, joined with this one, which has 192.0.2.1 and 2001:db8::1. It knows
    /// the way back to the pods, as if their range were routed.
    pub fn outside(&self) -> PathBuf {
        let outside = self.pin("outside");
        let path = outside.display().to_string();
        self.on_host("ip link add up0 mtu 1400 type veth peer name eth0");
        // ip(8) moves a link to a process' namespace, so one waits there meanwhile.
        let moved = Command::new("nsenter")
            .arg(format!("--net={}", self.path("host").display()))
            .args(["sh", "-c"])
            .arg(format!(
                "nsenter --net={path} sh -c 'echo $$; exec sleep 30' > {path}.pid & child=$!; \
                 while ! [ -s {path}.pid ]; do :; done; \
                 ip link set eth0 netns $(cat {path}.pid); status=$?; kill $child; exit $status"
            ))
            .status()
            .unwrap();
        assert!(moved.success());
        for command in [
            "ip address add 192.0.2.1/24 dev up0",
            "ip address add 2001:db8::1/64 dev up0 nodad",
            "ip link set up0 up",
            "ip route add default via 192.0.2.2",
        ] {
            self.on_host(command);
        }
        for command in [
            "ip link set eth0 mtu 1400",
            "ip address add 192.0.2.2/24 dev eth0",
            "ip address add 2001:db8::2/64 dev eth0 nodad",
            "ip link set eth0 up",
            "ip route add 10.244.0.0/16 via 192.0.2.1",
            "ip route add fd00:10:244::/64 via 2001:db8::1",
        ] {
            self.run(&outside, command);
        }
        outside
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = mount::unmount_beneath(self.directory.path());
    }
}

pub const POD_RANGES: [&str; 2] = ["10.244.0.0/16", "fd00:10:244::/64"];

/// The network of a node beneath `root`.
pub fn config(root: &Path) -> NetConfig {
    let ranges: Vec<_> = POD_RANGES.iter().map(|range| range.parse().unwrap()).collect();
    NetConfig {
        layout: Layout::new(root),
        pod_ranges: ranges.clone(),
        loopback_addresses: vec!["10.96.0.10".parse().unwrap(), "fd00:10:96::a".parse().unwrap()],
        mtu: None,
        rules: RulesConfig {
            pod_ranges: ranges,
            ..RulesConfig::default()
        },
    }
}
