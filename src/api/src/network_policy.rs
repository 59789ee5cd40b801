//! A NetworkPolicy: who may talk with the pods that it selects.

use std::ops::RangeInclusive;

use crate::cidr::Cidr;
use crate::document::Document;
use crate::label_selector::LabelSelector;
use crate::meta::Metadata;
use crate::pod::Protocol;

/// `NetworkPolicy` of networking.k8s.io/v1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkPolicy {
    /// Name, namespace, labels, annotations.
    pub meta: Metadata,
    /// The pods of its namespace that it isolates.
    pub pod_selector: LabelSelector,
    /// What may come in; `None` where `policyTypes` leaves incoming traffic alone.
    pub ingress: Option<Vec<PolicyRule>>,
    /// What may go out; `None` where `policyTypes` leaves outgoing traffic alone.
    pub egress: Option<Vec<PolicyRule>>,
    /// The whole object, before defaulting.
    pub document: Document,
}

/// Traffic that is allowed: any of the peers, on any of the ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRule {
    /// Empty: everybody.
    pub peers: Vec<PolicyPeer>,
    /// Empty: every port of every protocol.
    pub ports: Vec<PolicyPort>,
}

/// The other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyPeer {
    /// Pods, by their labels and their namespaces'.
    Pods {
        /// `None`: the policy's own namespace.
        namespaces: Option<LabelSelector>,
        /// Selects everything where absent.
        pods: LabelSelector,
    },
    /// Addresses.
    IpBlock {
        /// The range.
        cidr: Cidr,
        /// Ranges within it that are not meant.
        except: Vec<Cidr>,
    },
}

/// A port, or a range of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyPort {
    /// TCP by default.
    pub protocol: Protocol,
    /// `None`: every port.
    pub port: Option<PolicyPortNumber>,
}

/// Which ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyPortNumber {
    /// `port`, with `endPort` where it is given.
    Range(RangeInclusive<u16>),
    /// The name of a container's port, looked up in each pod that receives the traffic.
    Name(String),
}
