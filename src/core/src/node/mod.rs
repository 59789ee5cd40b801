//! What this node is: name, labels, taints, what it has and what of it pods may ask for.
//!
//! A [`Node`] is made of two snapshots, the configuration and what the host shows ([`HostFacts`]), and is
//! replaced as a whole when either changes. Allocatable is capacity without what the configuration reserves
//! for the system; this node evicts nobody for want of memory, so it keeps no eviction threshold back.

mod record;
mod status;
mod taint;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use pinnace_api::ident::IdentError;
use pinnace_api::pod::Protocol;
use pinnace_api::{Bytes, LabelName, MilliCpu, Namespace, NodeName, ObjectKey, ObjectName};

use crate::admission::security::Rules;
use crate::config::{NodeConfig, PodNetwork, Reserved};

pub use record::{DrainUnderWay, EvictedPod, NodeRecord, TaintSince};
pub use status::NodeState;
pub use taint::Taint;

/// What the host shows of itself; read once at start, and again when something changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostFacts {
    /// `uname -n`.
    pub hostname: String,
    /// `uname -m`, such as `x86_64`.
    pub machine: String,
    /// `uname -r`.
    pub kernel_release: String,
    /// `PRETTY_NAME` of os-release.
    pub os_image: String,
    /// `/etc/machine-id`.
    pub machine_id: String,
    /// DMI's product UUID, where there is one.
    pub system_uuid: String,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// CPUs that are online.
    pub cpus: u32,
    /// `MemTotal`.
    pub memory: Bytes,
    /// Size of the file system that holds the state directory.
    pub ephemeral_storage: Bytes,
    /// The host's addresses, the one to be shown first in front.
    pub addresses: Vec<IpAddr>,
}

/// Amounts of the node's resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct NodeResources {
    /// Thousandths of a CPU.
    pub cpu: MilliCpu,
    /// Bytes of memory.
    pub memory: Bytes,
    /// Bytes of local storage.
    pub ephemeral_storage: Bytes,
    /// Pods.
    pub pods: u32,
}

/// A port that the agent itself listens on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnPort {
    /// The address listened on.
    pub address: SocketAddr,
    /// Its transport.
    pub protocol: Protocol,
    /// The setting that makes the agent give way, such as `metricsListen`.
    pub setting: &'static str,
}

/// This node, as admission and statuses see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The node's name, unique in its fleet.
    pub name: NodeName,
    /// Its own labels and the configured ones.
    pub labels: BTreeMap<LabelName, String>,
    /// The configured taints.
    pub taints: Vec<Taint>,
    /// `spec.unschedulable`: cordoned, so that only pods that tolerate it are taken.
    pub unschedulable: bool,
    /// What the host has.
    pub capacity: NodeResources,
    /// What pods may ask for.
    pub allocatable: NodeResources,
    /// Ports that the agent really listens on at this moment.
    pub own_ports: Vec<OwnPort>,
    /// Host ports of pods with a network of their own are forwarded to them.
    pub forwards_host_ports: bool,
    /// What security forbids here.
    pub rules: Rules,
    /// What the host shows of itself.
    pub facts: HostFacts,
}

/// The host's name is no node's name, and the configuration gives none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the host's name cannot be the node's name; set nodeName")]
pub struct NodeNameError {
    /// What is wrong with it.
    #[source]
    pub source: IdentError,
}

impl Node {
    /// The node for a configuration on a host; it listens nowhere yet (see [`Node::own_ports`]).
    pub fn new(config: &NodeConfig, facts: HostFacts) -> Result<Self, NodeNameError> {
        let name = match &config.node_name {
            Some(name) => name.clone(),
            None => NodeName::new(facts.hostname.trim().to_lowercase())
                .map_err(|source| NodeNameError { source })?,
        };
        let labels = labels(&name, &facts, &config.node_labels);
        let mut node = Self {
            name,
            labels,
            taints: Vec::new(),
            unschedulable: false,
            capacity: NodeResources::default(),
            allocatable: NodeResources::default(),
            own_ports: Vec::new(),
            forwards_host_ports: config.pod_network != PodNetwork::None,
            rules: Rules::default(),
            facts,
        };
        node.apply(config);
        Ok(node)
    }

    /// The node as an event's object.
    pub fn key(&self) -> Option<ObjectKey> {
        // A node's name is an object's name too.
        let name = ObjectName::new(self.name.as_str()).ok()?;
        Some(ObjectKey {
            kind: "Node".to_owned(),
            namespace: Namespace::default(),
            name,
        })
    }

    /// Takes over what a reload may change: labels, taints, reservations, number of pods, rules of security.
    pub fn apply(&mut self, config: &NodeConfig) {
        self.rules.apply(config);
        self.labels = labels(&self.name, &self.facts, &config.node_labels);
        self.taints.clone_from(&config.register_with_taints);
        self.capacity = capacity(config, &self.facts);
        self.allocatable = allocatable(self.capacity, &config.system_reserved, &config.kube_reserved);
    }
}

/// Go's name for a machine's architecture, which Kubernetes' labels carry.
pub fn go_arch(machine: &str) -> &str {
    match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "i386" | "i486" | "i586" | "i686" => "386",
        "ppc64le" | "powerpc64le" => "ppc64le",
        "loongarch64" => "loong64",
        other if other.starts_with("arm") => "arm",
        other => other,
    }
}

fn labels(
    name: &NodeName,
    facts: &HostFacts,
    configured: &BTreeMap<LabelName, String>,
) -> BTreeMap<LabelName, String> {
    let arch = go_arch(&facts.machine);
    // The beta names are what clusters still show, and old manifests still select.
    let own = [
        ("kubernetes.io/hostname", name.as_str()),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", arch),
        ("beta.kubernetes.io/os", "linux"),
        ("beta.kubernetes.io/arch", arch),
    ];
    let mut labels: BTreeMap<LabelName, String> = own
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    labels.extend(configured.iter().map(|(key, value)| (key.clone(), value.clone())));
    labels
}

fn capacity(config: &NodeConfig, facts: &HostFacts) -> NodeResources {
    let pods = match config.pods_per_core {
        0 => config.max_pods,
        per_core => config.max_pods.min(per_core.saturating_mul(facts.cpus)),
    };
    NodeResources {
        cpu: MilliCpu(u64::from(facts.cpus) * 1000),
        memory: facts.memory,
        ephemeral_storage: facts.ephemeral_storage,
        pods,
    }
}

fn allocatable(capacity: NodeResources, system: &Reserved, kube: &Reserved) -> NodeResources {
    let left = |all: u64, system: u64, kube: u64| all.saturating_sub(system).saturating_sub(kube);
    NodeResources {
        cpu: MilliCpu(left(capacity.cpu.0, system.cpu.0, kube.cpu.0)),
        memory: Bytes(left(capacity.memory.0, system.memory.0, kube.memory.0)),
        ephemeral_storage: Bytes(left(
            capacity.ephemeral_storage.0,
            system.ephemeral_storage.0,
            kube.ephemeral_storage.0,
        )),
        pods: capacity.pods,
    }
}
