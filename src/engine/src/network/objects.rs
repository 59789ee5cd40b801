//! What the manager publishes for the tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use pinnace_api::{Cidr, Namespace, NetworkPolicy, ObjectName, Service};
use pinnace_core::config::{NetworkPlan, PodNetwork};
use pinnace_core::network::{NamespaceLabels, ServiceAllocations, ServiceName, ServiceRanges};
use pinnace_core::node::OwnPort;

/// What the node's network is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkParts {
    /// What Services are given from.
    pub services: ServiceRanges,
    /// Where pods' addresses come from.
    pub pod_ranges: Vec<Cidr>,
    /// `cluster.local`, say.
    pub domain: String,
}

impl NetworkParts {
    /// Of a node with this plan, which listens on ports of its own; `None` where pods have no network.
    pub fn of(plan: &NetworkPlan, own_ports: &[OwnPort]) -> Option<Self> {
        (plan.pods != PodNetwork::None).then(|| Self {
            services: ServiceRanges {
                cluster: plan.service_ranges.clone(),
                node_ports: plan.node_ports.clone(),
                reserved: plan.dns.clone(),
                reserved_node_ports: own_ports.iter().map(|own| own.address.port()).collect(),
            },
            pod_ranges: plan.pod_ranges.clone(),
            domain: plan.domain.clone(),
        })
    }
}

/// The manifests' objects about the network, with what the node gave to them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkObjects {
    /// All Services.
    pub services: BTreeMap<ServiceName, Arc<Service>>,
    /// What each of them was given; those that are not among them cannot be served.
    pub given: ServiceAllocations,
    /// Why they cannot.
    pub refused: BTreeMap<ServiceName, String>,
    /// All policies.
    pub policies: Vec<Arc<NetworkPolicy>>,
    /// File and line of each policy.
    pub policy_places: BTreeMap<(Namespace, ObjectName), (String, u32)>,
    /// Labels of namespaces that have an object.
    pub namespaces: NamespaceLabels,
}
