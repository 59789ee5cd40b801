//! The tables: wanted state as plain data, in a stable order, so that two of them can be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use pinnace_api::pod::Protocol;
use pinnace_api::{Namespace, ObjectName};

/// All Services of this node with their endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceTable {
    /// By namespace and name.
    pub services: BTreeMap<(Namespace, ObjectName), ServiceEntry>,
}

/// One Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceEntry {
    /// How it is reached.
    pub form: ServiceForm,
    /// Its addresses, of one family or both, in the order of `clusterIPs`; empty for a headless one.
    pub cluster_ips: Vec<IpAddr>,
    /// Further addresses that it answers on.
    pub external_ips: Vec<IpAddr>,
    /// A client stays with its endpoint for this long after its last connection.
    pub client_ip_affinity: Option<Duration>,
    /// Its ports, in the manifest's order; a headless one without ports has one entry per endpoint's address
    /// all the same in `portless`.
    pub ports: Vec<PortEntry>,
    /// Endpoints of a headless Service that names no port.
    pub portless: Vec<Endpoint>,
}

/// How a Service is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceForm {
    /// By its cluster addresses.
    ClusterIp,
    /// By its pods' own addresses.
    Headless,
    /// By its cluster addresses, and by the node's ports.
    NodePort,
    /// By another name.
    ExternalName(String),
}

/// One port of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortEntry {
    /// The port's name.
    pub name: Option<String>,
    /// Its transport.
    pub protocol: Protocol,
    /// Its number.
    pub port: u16,
    /// The node's port.
    pub node_port: Option<u16>,
    /// Where connections go, of both families, sorted; those that are not ready are listed for people, and get
    /// no traffic.
    pub endpoints: Vec<Endpoint>,
}

/// One pod's address and port behind a Service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// The pod's address.
    pub address: IpAddr,
    /// The pod's port; 0 among `portless`.
    pub port: u16,
    /// Gets traffic: the pod is ready, or the Service publishes those that are not.
    pub serving: bool,
    /// The pod.
    pub pod: (Namespace, ObjectName),
    /// The name that it has under a headless Service: its `hostname`, where `subdomain` is the Service's name.
    pub hostname: Option<String>,
}

/// Which traffic of isolated pods is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PolicyTable {
    /// Addresses of pods of which incoming traffic must be allowed.
    pub ingress_isolated: BTreeSet<IpAddr>,
    /// Addresses of pods of which outgoing traffic must be allowed.
    pub egress_isolated: BTreeSet<IpAddr>,
    /// What is allowed; no two of one direction, pod and protocol overlap.
    pub allowed: BTreeSet<Allowed>,
    /// Policies that allow more than the rules may hold: their pods stay isolated, and nothing is allowed to them.
    pub refused: BTreeMap<(Namespace, ObjectName), RefusedPolicy>,
}

/// Why a policy has no effect but to isolate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("too many ranges: {excess}; nothing is allowed to pod {}/{}{}", .pod.0, .pod.1, and_others(*.others))]
pub struct RefusedPolicy {
    /// What is too many.
    pub excess: Excess,
    /// The first pod of those that are isolated for it.
    pub pod: (Namespace, ObjectName),
    /// How many other pods are.
    pub others: usize,
}

/// A limit of what policies may allow, in ranges: each of peers next to each other with ports next to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Excess {
    /// Of one address in one direction.
    #[error("it allows, with the policies beside it, more than {limit} of peers and ports to one address")]
    OfPod {
        /// So many are possible.
        limit: usize,
    },
    /// Of all together.
    #[error(
        "the node's policies allow more than {limit} of peers and ports, and those of this one's pods are the most"
    )]
    OfNode {
        /// So many are possible.
        limit: usize,
    },
}

fn and_others(count: usize) -> String {
    match count {
        0 => String::new(),
        count => format!(" and {count} more"),
    }
}

/// A box of peers and ports.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Allowed {
    /// As the pod sees it.
    pub direction: Direction,
    /// The isolated pod's address.
    pub pod: IpAddr,
    /// First address of the peers, of the pod's family.
    pub peer_first: IpAddr,
    /// Last address of the peers.
    pub peer_last: IpAddr,
    /// `None`: every protocol, whatever the ports.
    pub protocol: Option<Protocol>,
    /// First destination port; 0 to 65535 for all.
    pub port_first: u16,
    /// Last destination port.
    pub port_last: u16,
}

impl Allowed {
    /// The destination ports.
    pub fn ports(&self) -> RangeInclusive<u16> {
        self.port_first..=self.port_last
    }
}

/// Direction of traffic, as the pod sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// To the pod.
    Ingress,
    /// From the pod.
    Egress,
}

/// Every name under the cluster's domain, and the reverse names of pods and Services.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NameTable {
    /// The domain, in lower case, without a dot at the end.
    pub domain: String,
    /// The reverse zones that are the node's own (`0.244.10.in-addr.arpa`, …): a name within one that is not in
    /// the table does not exist.
    pub reverse_zones: Vec<String>,
    /// Full names in lower case, without a dot at the end, with their records. A name of which only longer names
    /// are there exists too, without records.
    pub names: BTreeMap<String, Vec<NameRecord>>,
}

/// One record of a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum NameRecord {
    /// A or AAAA.
    Address(IpAddr),
    /// SRV, priority 0.
    Service {
        /// 100 divided by the number of endpoints, at least 1, as Kubernetes' DNS servers have it.
        weight: u16,
        /// The port.
        port: u16,
        /// Full name of the target, without a dot at the end.
        target: String,
    },
    /// PTR.
    Pointer(String),
    /// CNAME.
    Alias(String),
}
