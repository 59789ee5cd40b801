//! The port [`Network`] on this host.

use std::path::Path;
use std::sync::Arc;

use pinnace_api::PodUid;
use pinnace_core::network::{NetworkState, PodAddresses, PolicyTable, ServiceTable};
use pinnace_core::ports::{Network, PodContext, PortResult};

use crate::config::NetConfig;
use crate::error::NetError;
use crate::names::HostNames;
use crate::rules::Rules;

/// Pods' network beneath one root, routed.
#[derive(Debug, Clone)]
pub struct Net {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    rules: Rules,
}

impl Net {
    /// Nothing is touched before the first call.
    pub fn new(config: NetConfig) -> Self {
        let names = HostNames::new(&config.layout);
        Self {
            inner: Arc::new(Inner {
                rules: Rules::new(config.rules, names),
            }),
        }
    }
}

impl Network for Net {
    async fn list(&self) -> PortResult<Vec<PodUid>> {
        let inner = Arc::clone(&self.inner);
        aside("list the networks of", "pods".to_owned(), move || {
            Ok(inner.rules.list()?)
        })
        .await
    }

    async fn observe(&self, _uid: &PodUid, _namespace: &Path) -> PortResult<NetworkState> {
        Ok(NetworkState::Absent)
    }

    async fn attach(&self, _pod: &PodContext, _namespace: &Path) -> PortResult<PodAddresses> {
        Ok(PodAddresses::default())
    }

    async fn detach(&self, uid: &PodUid, _namespace: &Path) -> PortResult<()> {
        let (inner, uid) = (Arc::clone(&self.inner), uid.clone());
        let object = uid.to_string();
        aside("take down the network of pod", object, move || {
            let errors = inner.rules.pod_detached(&uid).err().map(NetError::from);
            NetError::all(errors.into_iter().collect())
        })
        .await
    }

    async fn apply_services(&self, table: &ServiceTable) -> PortResult<()> {
        let (inner, table) = (Arc::clone(&self.inner), table.clone());
        aside("apply the rules of", "services".to_owned(), move || {
            Ok(inner.rules.apply_services(&table)?)
        })
        .await
    }

    async fn apply_policies(&self, table: &PolicyTable) -> PortResult<()> {
        let (inner, table) = (Arc::clone(&self.inner), table.clone());
        aside("apply the rules of", "network policies".to_owned(), move || {
            Ok(inner.rules.apply_policies(&table)?)
        })
        .await
    }
}

/// Runs on a thread that may wait: the kernel's lock of the network may be held by others.
async fn aside<T: Send + 'static>(
    operation: &'static str,
    object: String,
    work: impl FnOnce() -> Result<T, NetError> + Send + 'static,
) -> PortResult<T> {
    let done = match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(NetError::Worker(error)),
    };
    done.map_err(|error| error.of(operation, object))
}
