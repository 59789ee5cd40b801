//! The one port `Network` over those who can make pods' networks.

use std::path::Path;

use pinnace_api::PodUid;
use pinnace_core::config::PodNetwork;
use pinnace_core::network::{NetworkState, PodAddresses, PolicyTable, ServiceTable};
use pinnace_core::ports::{Network, PodContext, PortResult};
use pinnace_net::cni::CniNet;
use pinnace_net::{Finding, Net};
use pinnace_sys::Layout;
use pinnace_sys::namespace::NamespaceKind;
use tokio::sync::RwLock;

use super::none::NoNetwork;
use super::settings::NetworkSettings;

/// The pods' network, until it is retired.
#[derive(Debug)]
pub struct PodsNetwork {
    by: By,
    /// It was taken down: rules that come late must not lay it again. Held for reading by who lays them.
    retired: RwLock<bool>,
}

/// Whoever the configuration names (`podNetwork`).
#[derive(Debug)]
enum By {
    /// This node.
    Routed(Net),
    /// CNI plugins.
    Cni(CniNet),
    /// Nobody.
    None(NoNetwork),
}

/// The same call of whichever there is.
macro_rules! ask {
    ($network:expr, $one:ident => $call:expr) => {
        match &$network.by {
            By::Routed($one) => $call,
            By::Cni($one) => $call,
            By::None($one) => $call,
        }
    };
}

impl PodsNetwork {
    /// Nothing is touched before the first call.
    pub fn new(settings: &NetworkSettings) -> Self {
        let by = match settings.plan().pods {
            PodNetwork::Routed => By::Routed(Net::new(settings.routed())),
            PodNetwork::Cni => By::Cni(CniNet::new(settings.cni())),
            PodNetwork::None => By::None(NoNetwork),
        };
        Self {
            by,
            retired: RwLock::new(false),
        }
    }

    /// Prepares the host. Where it fails, pods with a network of their own wait.
    pub async fn start(&self) -> PortResult<()> {
        let retired = self.retired.read().await;
        if *retired {
            return Ok(());
        }
        ask!(self, one => one.start().await)
    }

    /// Takes away what is the node's own, for a node without pods, which gets none any more.
    pub async fn retire(&self) -> PortResult<()> {
        let mut retired = self.retired.write().await;
        *retired = true;
        ask!(self, one => one.retire().await)
    }
}

/// What this host lacks for the network; blocks, and may execute CNI plugins.
pub fn findings(settings: &NetworkSettings, layout: &Layout) -> Vec<Finding> {
    match settings.plan().pods {
        PodNetwork::Routed => {
            let config = settings.routed();
            let mut findings = pinnace_net::doctor::links(&config);
            findings.extend(pinnace_net::doctor::rules(&config));
            findings
        }
        PodNetwork::Cni => pinnace_net::cni::doctor::findings(&settings.cni(), |uid| {
            let pins = layout.pod_run(uid.as_str());
            pins.join(NamespaceKind::Network.file_name())
        }),
        PodNetwork::None => Vec::new(),
    }
}

/// What still stands in the way of pods once their network was started; blocks.
pub fn after_start(settings: &NetworkSettings) -> Vec<Finding> {
    match settings.plan().pods {
        PodNetwork::Routed => pinnace_net::doctor::after_start(&settings.routed()),
        // Plugins look after the links and rules that they make.
        PodNetwork::Cni | PodNetwork::None => Vec::new(),
    }
}

impl Network for PodsNetwork {
    async fn list(&self) -> PortResult<Vec<PodUid>> {
        ask!(self, one => one.list().await)
    }

    async fn observe(&self, uid: &PodUid, namespace: &Path) -> PortResult<NetworkState> {
        ask!(self, one => one.observe(uid, namespace).await)
    }

    async fn attach(&self, pod: &PodContext, namespace: &Path) -> PortResult<PodAddresses> {
        ask!(self, one => one.attach(pod, namespace).await)
    }

    async fn detach(&self, uid: &PodUid, namespace: &Path) -> PortResult<()> {
        ask!(self, one => one.detach(uid, namespace).await)
    }

    async fn apply_services(&self, table: &ServiceTable) -> PortResult<()> {
        let retired = self.retired.read().await;
        if *retired {
            return Ok(());
        }
        ask!(self, one => one.apply_services(table).await)
    }

    async fn apply_policies(&self, table: &PolicyTable) -> PortResult<()> {
        let retired = self.retired.read().await;
        if *retired {
            return Ok(());
        }
        ask!(self, one => one.apply_policies(table).await)
    }
}
