//! The port [`Network`] by CNI plugins.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pinnace_api::PodUid;
use pinnace_core::network::{NetworkState, PodAddresses, PolicyTable, ServiceTable};
use pinnace_core::ports::{Network, PodContext, PortResult};
use tokio::sync::Semaphore;

use super::config::CniConfig;
use super::error::CniError;
use super::node::CniNode;
use super::services::Services;
use crate::host;
use crate::host::sysctl;

/// So many pods are attached or detached at once; each is a thread, and a program or two.
const AT_ONCE: usize = 16;

/// Pods' network beneath one root, by CNI plugins.
#[derive(Debug, Clone)]
pub struct CniNet {
    node: Arc<CniNode>,
    services: Arc<Services>,
    at_once: Arc<Semaphore>,
}

impl CniNet {
    /// Nothing is touched before the first call.
    pub fn new(config: CniConfig) -> Self {
        Self {
            services: Arc::new(Services::new(&config)),
            node: Arc::new(CniNode::new(config)),
            at_once: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Puts the addresses of names on the loopback interface, calls GC, and asks whether the network takes pods. Where
    /// it does not (yet), pods with a network of their own wait, and each of their attempts tries it again.
    pub async fn start(&self) -> PortResult<()> {
        let done = self.aside(|node| {
            host::put_on_loopback(&loopback_addresses(node))?;
            node.start()
        });
        done.await
            .map_err(|error| error.of("prepare the host for the network of", "pods".to_owned()))
    }

    /// Takes away what is the node's own, the rules and the addresses on the loopback interface: for a node without
    /// pods.
    pub async fn retire(&self) -> PortResult<()> {
        let services = Arc::clone(&self.services);
        let done = self.aside(move |node| {
            let mut errors: Vec<CniError> = Vec::new();
            errors.extend(services.retract().err());
            let addresses = loopback_addresses(node);
            errors.extend(host::take_from_loopback(&addresses).err().map(CniError::from));
            CniError::all(errors)
        });
        done.await
            .map_err(|error| error.of("take down the network of", "the node".to_owned()))
    }

    /// Runs on a thread that may wait, and to its end even where nobody waits for it any more.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&CniNode) -> Result<T, CniError> + Send + 'static,
    ) -> Result<T, CniError> {
        let node = Arc::clone(&self.node);
        match tokio::task::spawn_blocking(move || work(&node)).await {
            Ok(done) => done,
            Err(error) => Err(CniError::Worker(error)),
        }
    }

    /// The same for what executes plugins, some at a time.
    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce(&CniNode) -> Result<T, CniError> + Send + 'static,
    ) -> Result<T, CniError> {
        // Never closed, so there is always a turn.
        let turn = Arc::clone(&self.at_once).acquire_owned().await.ok();
        self.aside(move |node| {
            let _turn = turn;
            work(node)
        })
        .await
    }
}

impl Network for CniNet {
    async fn list(&self) -> PortResult<Vec<PodUid>> {
        let done = self.aside(CniNode::list).await;
        done.map_err(|error| error.of("list the networks of", "pods".to_owned()))
    }

    async fn observe(&self, uid: &PodUid, namespace: &Path) -> PortResult<NetworkState> {
        let (object, uid, namespace) = of(uid, namespace);
        let done = self.aside(move |node| node.observe(&uid, &namespace)).await;
        done.map_err(|error| error.of("look at the network of pod", object))
    }

    async fn attach(&self, pod: &PodContext, namespace: &Path) -> PortResult<PodAddresses> {
        let (object, uid, namespace) = of(&pod.uid, namespace);
        let (pod, services) = (Arc::clone(&pod.pod), Arc::clone(&self.services));
        let done = self.in_turn(move |node| {
            let addresses = node.attach(&uid, &pod, &namespace)?;
            services.pod_attached(&uid, &addresses)?;
            Ok(addresses)
        });
        let done = done.await;
        done.map_err(|error| error.of("set up the network of pod", object))
    }

    async fn detach(&self, uid: &PodUid, namespace: &Path) -> PortResult<()> {
        let (object, uid, namespace) = of(uid, namespace);
        let services = Arc::clone(&self.services);
        let done = self.in_turn(move |node| {
            services.pod_detached(&uid)?;
            node.detach(&uid, &namespace)
        });
        let done = done.await;
        done.map_err(|error| error.of("take down the network of pod", object))
    }

    async fn apply_services(&self, table: &ServiceTable) -> PortResult<()> {
        let (services, table) = (Arc::clone(&self.services), table.clone());
        let done = self.aside(move |node| services.apply(&table, node)).await;
        done.map_err(|error| error.of("apply the rules of", "services".to_owned()))
    }

    async fn apply_policies(&self, table: &PolicyTable) -> PortResult<()> {
        if table.ingress_isolated.is_empty() && table.egress_isolated.is_empty() {
            return Ok(());
        }
        Err(CniError::NoPolicies.of("apply the rules of", "network policies".to_owned()))
    }
}

fn of(uid: &PodUid, namespace: &Path) -> (String, PodUid, PathBuf) {
    (uid.to_string(), uid.clone(), namespace.to_owned())
}

/// Those that this kernel can have.
fn loopback_addresses(node: &CniNode) -> Vec<IpAddr> {
    let addresses = node.config().loopback_addresses.iter();
    addresses
        .filter(|address| address.is_ipv4() || sysctl::has_ipv6())
        .copied()
        .collect()
}
