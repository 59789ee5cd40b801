//! A node that gives its pods no network: each has its own namespace with the loopback interface alone.

use std::path::Path;

use pinnace_api::PodUid;
use pinnace_core::network::{NetworkState, PodAddresses, PolicyTable, ServiceTable};
use pinnace_core::ports::{Network, PodContext, PortResult};

/// Attaches nothing: a pod is as attached as it can be when its namespace is there.
#[derive(Debug, Clone, Copy)]
pub struct NoNetwork;

impl NoNetwork {
    /// There is nothing to prepare.
    #[allow(clippy::unused_async, reason = "as its neighbours")]
    pub async fn start(&self) -> PortResult<()> {
        Ok(())
    }

    /// There is nothing to take away.
    #[allow(clippy::unused_async, reason = "as its neighbours")]
    pub async fn retire(&self) -> PortResult<()> {
        Ok(())
    }
}

impl Network for NoNetwork {
    async fn list(&self) -> PortResult<Vec<PodUid>> {
        Ok(Vec::new())
    }

    async fn observe(&self, _uid: &PodUid, namespace: &Path) -> PortResult<NetworkState> {
        Ok(match namespace.exists() {
            true => NetworkState::Attached(PodAddresses::default()),
            false => NetworkState::Absent,
        })
    }

    async fn attach(&self, _pod: &PodContext, _namespace: &Path) -> PortResult<PodAddresses> {
        Ok(PodAddresses::default())
    }

    async fn detach(&self, _uid: &PodUid, _namespace: &Path) -> PortResult<()> {
        Ok(())
    }

    async fn apply_services(&self, _table: &ServiceTable) -> PortResult<()> {
        Ok(())
    }

    async fn apply_policies(&self, _table: &PolicyTable) -> PortResult<()> {
        Ok(())
    }
}
