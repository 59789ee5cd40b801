//! A Service: one name and one address in front of many pods.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::document::Document;
use crate::ident::LabelName;
use crate::meta::Metadata;
use crate::pod::Protocol;

/// `Service` of core/v1 as this node understands it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Name, namespace, labels, annotations.
    pub meta: Metadata,
    /// What it offers, and how.
    pub spec: ServiceSpec,
    /// The whole object, before defaulting.
    pub document: Document,
}

/// `ServiceSpec` of core/v1, defaults laid in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSpec {
    /// How it is reached.
    pub kind: ServiceKind,
    /// Labels of the pods behind it; empty where it has no selector, and so no pods.
    pub selector: BTreeMap<LabelName, String>,
    /// Names and numbers unique; empty only where it is headless or an ExternalName.
    pub ports: Vec<ServicePort>,
    /// `sessionAffinity: ClientIP` with its timeout (10800 s by default); `None`: each connection by itself.
    pub client_ip_affinity: Option<Duration>,
    /// Pods that are not ready are among the endpoints, and their names resolve.
    pub publish_not_ready_addresses: bool,
    /// Further addresses of the host that it answers on, by the manifest.
    pub external_ips: Vec<IpAddr>,
    /// Which families its addresses are of; empty: the node's first alone (`SingleStack`).
    pub ip_families: Vec<IpFamily>,
    /// How many families it has.
    pub ip_family_policy: IpFamilyPolicy,
}

/// `type` of a Service, with what only that type has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceKind {
    /// An address of its own out of the node's range.
    ClusterIp {
        /// Asked for by the manifest, a family each; empty: given by the node.
        addresses: Vec<IpAddr>,
    },
    /// `clusterIP: None`: its name resolves to the pods' own addresses.
    Headless,
    /// A cluster address, and a port of the node for each of its ports (`LoadBalancer` is read as this too).
    NodePort {
        /// As for `ClusterIp`.
        addresses: Vec<IpAddr>,
    },
    /// Its name is another name for this DNS name.
    ExternalName(String),
}

/// A port of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePort {
    /// A DNS label; absent only where it is the only port.
    pub name: Option<String>,
    /// TCP by default.
    pub protocol: Protocol,
    /// 1 to 65535.
    pub port: u16,
    /// Where the pods listen; the same number by default.
    pub target: TargetPort,
    /// The node's port, asked for by the manifest; of a NodePort without one it is given by the node.
    pub node_port: Option<u16>,
}

/// `targetPort`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetPort {
    /// A number.
    Number(u16),
    /// The name of a container's port, looked up in each pod.
    Name(String),
}

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IpFamily {
    /// `IPv4`.
    Ipv4,
    /// `IPv6`.
    Ipv6,
}

impl IpFamily {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => IpFamily::Ipv4,
            IpAddr::V6(_) => IpFamily::Ipv6,
        }
    }

    /// The word that manifests use.
    pub fn as_str(self) -> &'static str {
        match self {
            IpFamily::Ipv4 => "IPv4",
            IpFamily::Ipv6 => "IPv6",
        }
    }
}

/// `ipFamilyPolicy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IpFamilyPolicy {
    /// One family, the default.
    #[default]
    SingleStack,
    /// Both where the node has both.
    PreferDualStack,
    /// Both, or the Service has no address.
    RequireDualStack,
}
