//! Pods' network and names.

use std::future::Future;
use std::net::IpAddr;
use std::path::Path;

use pinnace_api::PodUid;

use super::{PodContext, PortResult};
use crate::network::{NameTable, NetworkState, PodAddresses, PolicyTable, ServiceTable};

/// Pods' links, addresses, host ports; Services; policies.
pub trait Network: Send + Sync + 'static {
    /// UIDs of all pods of which anything (link, lease, element) is on the host, by looking.
    fn list(&self) -> impl Future<Output = PortResult<Vec<PodUid>>> + Send;
    /// What the host shows of a pod's network, looked at from the pinned `namespace`.
    fn observe(
        &self,
        uid: &PodUid,
        namespace: &Path,
    ) -> impl Future<Output = PortResult<NetworkState>> + Send;
    /// `Action::AttachNetwork`: lease, link, addresses, routes, host ports, bandwidth, in the pinned `namespace`.
    fn attach(
        &self,
        pod: &PodContext,
        namespace: &Path,
    ) -> impl Future<Output = PortResult<PodAddresses>> + Send;
    /// `Action::DetachNetwork`: all of it goes, whether the namespace is there or not.
    fn detach(&self, uid: &PodUid, namespace: &Path) -> impl Future<Output = PortResult<()>> + Send;
    /// Makes the Services' rules what the table says.
    fn apply_services(&self, table: &ServiceTable) -> impl Future<Output = PortResult<()>> + Send;
    /// Makes the policies' rules what the table says.
    fn apply_policies(&self, table: &PolicyTable) -> impl Future<Output = PortResult<()>> + Send;
}

/// The node's DNS server.
pub trait Names: Send + Sync + 'static {
    /// Answers from this table from now on. Nothing here waits or fails.
    fn publish(&self, table: NameTable);
}

/// What the node gave to Services that asked for nothing particular; durable.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct ServiceAllocation {
    /// Cluster addresses, a family each.
    pub cluster_ips: Vec<IpAddr>,
    /// Node ports by (protocol, port of the Service), as `TCP/80`.
    pub node_ports: std::collections::BTreeMap<String, u16>,
}
