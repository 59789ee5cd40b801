//! The port [`Network`] on this host.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pinnace_api::PodUid;
use pinnace_core::network::{NetworkState, PodAddresses, PolicyTable, ServiceTable};
use pinnace_core::ports::{Network, PodContext, PortResult};

use crate::config::NetConfig;
use crate::error::NetError;
use crate::node::Node;

/// Pods' network beneath one root, routed.
#[derive(Debug, Clone)]
pub struct Net {
    node: Arc<Node>,
    /// A sweep was asked for and has not begun.
    sweeping: Arc<AtomicBool>,
}

impl Net {
    /// Nothing is touched before the first call.
    pub fn new(config: NetConfig) -> Self {
        Self {
            node: Arc::new(Node::new(config)),
            sweeping: Arc::default(),
        }
    }

    /// Prepares the host: forwarding, addresses on the loopback interface, the rules. Where it fails, pods with a
    /// network of their own wait, and each of their attempts tries it again.
    pub async fn start(&self) -> PortResult<()> {
        self.aside("prepare the host for the network of", "pods".to_owned(), |node| {
            node.start()
        })
        .await
    }

    /// Takes away what is the node's own: the rules and the addresses on the loopback interface. For a node
    /// without pods; forwarding stays on.
    pub async fn retire(&self) -> PortResult<()> {
        self.aside("take down the network of", "the node".to_owned(), |node| {
            node.retire()
        })
        .await
    }

    /// Takes down what was given up, once for all who ask before it begins. Nobody waits for it: what it leaves is
    /// no pod's any more, and is found again.
    fn sweep_soon(&self) {
        if self.sweeping.swap(true, Ordering::AcqRel) {
            return;
        }
        let (node, sweeping) = (Arc::clone(&self.node), Arc::clone(&self.sweeping));
        tokio::task::spawn_blocking(move || {
            sweeping.store(false, Ordering::Release);
            if let Err(error) = node.sweep() {
                tracing::warn!(error = error.chain(), "links of removed pods are left for later");
            }
        });
    }

    /// Runs on a thread that may wait: the kernel's lock of the network may be held by others.
    async fn aside<T: Send + 'static>(
        &self,
        operation: &'static str,
        object: String,
        work: impl FnOnce(&Node) -> Result<T, NetError> + Send + 'static,
    ) -> PortResult<T> {
        let node = Arc::clone(&self.node);
        let done = match tokio::task::spawn_blocking(move || work(&node)).await {
            Ok(done) => done,
            Err(error) => Err(NetError::Worker(error)),
        };
        done.map_err(|error| error.of(operation, object))
    }
}

impl Network for Net {
    async fn list(&self) -> PortResult<Vec<PodUid>> {
        self.aside("list the networks of", "pods".to_owned(), Node::list)
            .await
    }

    async fn observe(&self, uid: &PodUid, namespace: &Path) -> PortResult<NetworkState> {
        let (object, uid, namespace) = of(uid, namespace);
        self.aside("look at the network of pod", object, move |node| {
            node.observe(&uid, &namespace)
        })
        .await
    }

    async fn attach(&self, pod: &PodContext, namespace: &Path) -> PortResult<PodAddresses> {
        let (object, uid, namespace) = of(&pod.uid, namespace);
        let pod = Arc::clone(&pod.pod);
        self.aside("set up the network of pod", object, move |node| {
            node.attach(&uid, &pod, &namespace)
        })
        .await
    }

    async fn detach(&self, uid: &PodUid, namespace: &Path) -> PortResult<()> {
        let (object, uid, _) = of(uid, namespace);
        let sweep = self
            .aside("take down the network of pod", object, move |node| {
                node.detach(&uid)
            })
            .await?;
        if sweep {
            self.sweep_soon();
        }
        Ok(())
    }

    async fn apply_services(&self, table: &ServiceTable) -> PortResult<()> {
        let table = table.clone();
        self.aside("apply the rules of", "services".to_owned(), move |node| {
            Ok(node.started()?.apply_services(&table)?)
        })
        .await
    }

    async fn apply_policies(&self, table: &PolicyTable) -> PortResult<()> {
        let table = table.clone();
        self.aside("apply the rules of", "network policies".to_owned(), move |node| {
            Ok(node.started()?.apply_policies(&table)?)
        })
        .await
    }
}

fn of(uid: &PodUid, namespace: &Path) -> (String, PodUid, PathBuf) {
    (uid.to_string(), uid.clone(), namespace.to_owned())
}
