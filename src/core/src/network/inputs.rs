//! What the tables are made of, beside the manifests' own objects.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use pinnace_api::{Cidr, LabelName, Namespace, ObjectName, Pod};

use crate::ports::ServiceAllocation;

/// A pod as Services, policies and names see it. Pods that have ended are not among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodOnNetwork {
    /// The pod as admitted.
    pub pod: Arc<Pod>,
    /// Its addresses in the order of `podIPs`; the node's, where it is in the host's network.
    pub addresses: Vec<IpAddr>,
    /// The condition `Ready` holds.
    pub ready: bool,
    /// It is on its way out.
    pub terminating: bool,
}

/// What the node may give to Services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRanges {
    /// One range of each family at most; the first is that of Services which ask for no family.
    pub cluster: Vec<Cidr>,
    /// `serviceNodePortRange`.
    pub node_ports: RangeInclusive<u16>,
    /// Addresses that are never given away: the DNS server's own.
    pub reserved: Vec<IpAddr>,
    /// Ports of the node that are never given away: the agent's own.
    pub reserved_node_ports: Vec<u16>,
}

/// Names a Service within the node.
pub type ServiceName = (Namespace, ObjectName);

/// What was given to each Service.
pub type ServiceAllocations = BTreeMap<ServiceName, ServiceAllocation>;

/// The labels of each namespace that has an object; another has only its name's.
pub type NamespaceLabels = BTreeMap<Namespace, BTreeMap<LabelName, String>>;
