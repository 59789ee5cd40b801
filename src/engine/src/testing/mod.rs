//! An agent's loops on a machine in memory.

mod machine;

use std::sync::Arc;
use std::time::Duration;

use pinnace_api::read::{ReadLimits, read_documents};
use pinnace_api::{Bytes, PodUid};
use pinnace_core::config::NodeConfig;
use pinnace_core::fake::sample;
use pinnace_core::network::ServiceRanges;
use pinnace_core::node::{HostFacts, Node};
use pinnace_core::pod::PodIdentity;
use pinnace_core::ports::{PodRuntime, Records, Stored, Volumes};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::board::{Board, PodView};
use crate::manager::{Manager, ManagerParts, Order};
use crate::network::NetworkParts;
use crate::source::{Delivery, Listing, Placed, SourceId};
use crate::worker::{Settings, Shared};

pub use machine::Machine;

/// The source that most tests use.
pub const DIRECTORY: SourceId = SourceId("directory");

/// One agent's life; its tasks end with the test's runtime, or by [`Agent::kill`].
pub struct Agent {
    pub board: Arc<Board>,
    pub orders: mpsc::Sender<Order>,
    deliveries: mpsc::Sender<Delivery>,
    pub images: watch::Sender<u64>,
    manager: JoinHandle<()>,
    pub machine: Arc<Machine>,
}

/// A machine of 4 CPUs and 8 GiB, and 110 pods.
pub fn node(config: &NodeConfig) -> Node {
    let facts = HostFacts {
        hostname: "node1".to_owned(),
        machine: "x86_64".to_owned(),
        cpus: 4,
        memory: Bytes(8 << 30),
        ephemeral_storage: Bytes(100 << 30),
        ..HostFacts::default()
    };
    Node::new(config, facts).unwrap()
}

/// The network of the tests' nodes.
pub fn network() -> NetworkParts {
    let ranges = |all: &[&str]| all.iter().map(|one| one.parse().unwrap()).collect();
    NetworkParts {
        services: ServiceRanges {
            cluster: ranges(&["10.96.0.0/16"]),
            node_ports: 30_000..=32_767,
            reserved: vec!["10.96.0.10".parse().unwrap()],
            reserved_node_ports: vec![9100],
        },
        pod_ranges: ranges(&["10.244.0.0/24"]),
        domain: "cluster.local".to_owned(),
    }
}

impl Agent {
    /// Starts an agent on the machine.
    pub fn start(machine: &Arc<Machine>) -> Self {
        Self::with(machine, &NodeConfig::default(), vec![DIRECTORY])
    }

    /// Starts one with this configuration and these sources.
    pub fn with(machine: &Arc<Machine>, config: &NodeConfig, sources: Vec<SourceId>) -> Self {
        let board = Arc::new(Board::default());
        board.update_readiness(|ready| ready.expect(sources.iter().map(|source| source.0)));
        let (images, images_changed) = watch::channel(0);
        let settings = watch::Sender::new(Settings::new(config, Bytes(8 << 30)));
        let shared = Shared {
            adapters: Arc::clone(machine),
            board: Arc::clone(&board),
            settings: settings.subscribe(),
            starts: Semaphore::new(2),
            checks: Semaphore::new(16),
        };
        let manager = Manager::new(ManagerParts {
            shared: Arc::new(shared),
            settings,
            images_changed,
            sources,
            node: node(config),
            network: Some(network()),
        });
        let (deliveries, delivered) = mpsc::channel(16);
        let (orders, ordered) = mpsc::channel(16);
        Self {
            board,
            orders,
            deliveries,
            images,
            manager: tokio::spawn(manager.run(delivered, ordered)),
            machine: Arc::clone(machine),
        }
    }

    /// The directory holds these manifests now.
    pub async fn list(&self, manifests: &[String]) {
        self.list_from(DIRECTORY, manifests).await;
    }

    pub async fn list_from(&self, source: SourceId, manifests: &[String]) {
        let delivery = Delivery::Listed(source, listing(manifests));
        self.deliveries.send(delivery).await.unwrap();
        settle().await;
    }

    pub async fn unavailable(&self) {
        let delivery = Delivery::Unavailable(DIRECTORY, "it is gone".to_owned());
        self.deliveries.send(delivery).await.unwrap();
        settle().await;
    }

    pub async fn configure(&self, change: impl FnOnce(&mut NodeConfig)) {
        let mut config = NodeConfig::default();
        change(&mut config);
        let order = Order::Configure(Box::new(config));
        self.orders.send(order).await.unwrap();
        settle().await;
    }

    pub async fn drain(&self, grace_period_seconds: Option<u32>) -> oneshot::Receiver<()> {
        let (done, drained) = oneshot::channel();
        let order = Order::DrainAll {
            grace_period_seconds,
            done,
        };
        self.orders.send(order).await.unwrap();
        settle().await;
        drained
    }

    /// The manager goes; its workers follow.
    pub async fn kill(self) {
        self.manager.abort();
        let _ = self.manager.await;
        settle().await;
    }

    /// The one pod of this name.
    pub fn pod(&self, name: &str) -> Arc<PodView> {
        let mut found = self.pods(name);
        assert_eq!(found.len(), 1, "pods named {name}");
        found.remove(0)
    }

    pub fn pods(&self, name: &str) -> Vec<Arc<PodView>> {
        let mut pods = self.board.pods();
        pods.retain(|pod| pod.identity.name.as_str() == name);
        pods
    }

    pub fn uid(&self, name: &str) -> PodUid {
        self.pod(name).identity.uid.clone()
    }

    /// Names of the pods whose containers all run, sorted.
    pub fn running(&self) -> Vec<String> {
        let pods = self.board.pods();
        let running = pods.iter().filter(|pod| pod.all_running());
        let mut names: Vec<String> = running.map(|pod| pod.identity.name.to_string()).collect();
        names.sort();
        names
    }

    /// Reasons of the events about the object of this name, oldest first.
    pub fn reasons(&self, name: &str) -> Vec<String> {
        self.events(name).into_iter().map(|(reason, _)| reason).collect()
    }

    /// Reason and message of its events.
    pub fn events(&self, name: &str) -> Vec<(String, String)> {
        let events = self.board.events().into_iter().map(|counted| counted.event);
        let own = events.filter(|event| event.object.name.as_str() == name);
        own.map(|event| (event.reason, event.message)).collect()
    }

    /// A container of the pod ends.
    pub async fn exit(&self, name: &str, code: i32) {
        let container = sample::name("c");
        assert!(
            self.machine.fake.exit(&self.uid(name), &container, code),
            "{name} does not run"
        );
        settle().await;
    }
}

/// Lets everything go on that does not wait for more than a moment.
pub async fn settle() {
    tokio::time::sleep(Duration::from_millis(200)).await;
}

/// Time passes.
pub async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// A listing of one file for each manifest.
pub fn listing(manifests: &[String]) -> Listing {
    let mut listing = Listing::default();
    for (number, text) in manifests.iter().enumerate() {
        let file = format!("{number}.yaml");
        let reading = read_documents(text.as_bytes(), &file, &ReadLimits::default());
        listing.problems.extend(reading.problems);
        let placed = reading
            .objects
            .into_iter()
            .map(|located| Placed::of(located, &file));
        listing.objects.extend(placed);
    }
    listing
}

/// A pod with one container named `c`.
pub fn pod(name: &str, image: &str) -> String {
    pod_with(name, image, "")
}

/// The same, with more fields of its spec.
pub fn pod_with(name: &str, image: &str, spec: &str) -> String {
    let image = format!("example.com/{image}");
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {{containers: [{{name: c, image: '{image}'}}]{spec}}}\n"
    )
}

/// A pod that asks for so many CPUs.
pub fn pod_of_size(name: &str, cpus: u32, spec: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {{containers: [{{name: c, image: 'example.com/a:1', \
         resources: {{requests: {{cpu: {cpus}}}}}}}]{spec}}}\n"
    )
}

/// A DaemonSet; `fields` go into its spec, `template` into its pod's.
pub fn daemonset(name: &str, image: &str, fields: &str, template: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {{name: {name}}}\nspec: {{selector: {{matchLabels: {{app: {name}}}}}{fields}, \
         template: {{metadata: {{labels: {{app: {name}}}}}, spec: {{containers: [{{name: c, image: 'example.com/{image}'}}]{template}}}}}}}\n"
    )
}

/// UIDs of all that is on the host or recorded.
pub async fn on_host(machine: &Machine) -> Vec<PodUid> {
    let mut uids = PodRuntime::list(&machine.fake).await.unwrap();
    uids.extend(Volumes::list(&machine.fake).await.unwrap());
    uids.extend(recorded(machine).await.into_iter().map(|identity| identity.uid));
    uids.sort();
    uids.dedup();
    uids
}

/// All records.
pub async fn recorded(machine: &Machine) -> Vec<PodIdentity> {
    let stored = machine.fake.load().await.unwrap();
    let whole = stored.into_iter().filter_map(|stored| match stored {
        Stored::Whole(identity, _) => Some(identity),
        Stored::Damaged { .. } => None,
    });
    whole.collect()
}
