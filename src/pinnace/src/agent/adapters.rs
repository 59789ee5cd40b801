//! The one place where all adapters meet.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use pinnace_core::config::NodeConfig;
use pinnace_engine::adapters::Adapters;
use pinnace_engine::board::Board;
use pinnace_metrics::{AgentMetrics, BuildInfo};
use pinnace_runtime::images::ImageStore;
use pinnace_runtime::{Runtime, RuntimeConfig};
use pinnace_store::RecordStore;
use pinnace_sys::Layout;
use pinnace_volumes::NodeVolumes;

use super::bundles::Bundles;
use super::checks::NodeChecks;
use super::host::RealHost;
use super::network::{NetworkSettings, NodeNames, PodsNetwork};
use super::{AgentError, chain};

/// The real node's ports.
pub struct NodeAdapters {
    /// Sandboxes, shims, containers.
    pub runtime: Runtime<ImageStore>,
    /// What probes and hooks ask of containers.
    pub checks: NodeChecks,
    /// Pods' network.
    pub network: PodsNetwork,
    /// The DNS server.
    pub names: NodeNames,
    /// Images.
    pub images: ImageStore,
    /// Volumes.
    pub volumes: NodeVolumes,
    /// Records.
    pub records: RecordStore,
    /// Clocks and chance.
    pub host: RealHost,
    /// Measurements.
    pub metrics: Arc<AgentMetrics>,
    /// Image archives that lie in a directory.
    pub bundles: Arc<Bundles>,
}

impl NodeAdapters {
    /// Opens all of them; what cannot be opened ends the agent's start.
    pub async fn open(
        layout: &Layout,
        config: &NodeConfig,
        network: &NetworkSettings,
        host: RealHost,
    ) -> Result<Self, AgentError> {
        let images = ImageStore::open(layout)?;
        let mut runtime = RuntimeConfig::new(shim(config).map_err(AgentError::Shim)?);
        runtime.logger = own_shim().map_err(AgentError::Shim)?;
        runtime.oci_runtimes.clone_from(&config.oci_runtimes);
        runtime.naming.resolv_conf.clone_from(&config.resolv_conf);
        runtime.naming.dns.domain.clone_from(&config.cluster_domain);
        runtime.naming.dns.servers = network.dns_addresses().to_vec();
        runtime.seccomp_default = config.seccomp_default;
        runtime.seccomp_profiles = config.seccomp_profile_root.as_ref().map(PathBuf::from);
        let build = BuildInfo {
            version: env!("CARGO_PKG_VERSION"),
            revision: option_env!("PINNACE_REVISION").unwrap_or(""),
        };
        let runtime = Runtime::open(runtime, layout.clone(), images.clone()).await?;
        Ok(Self {
            checks: NodeChecks::new(runtime.clone(), layout.clone())?,
            runtime,
            bundles: Arc::new(Bundles::new(images.clone(), layout)),
            network: PodsNetwork::new(network),
            names: NodeNames::new(network),
            images,
            volumes: NodeVolumes::new(layout.clone()),
            records: RecordStore::new(layout.clone()),
            host,
            metrics: Arc::new(AgentMetrics::new(build)?),
        })
    }

    /// Removes what is the node's own on the host where no pod is left that would use it: its cgroups, which are
    /// made anew when a pod comes, and the rules and addresses of its network. What cannot be removed is another's
    /// by now.
    pub async fn leave_nothing(&self, board: &Board) {
        if !board.pods().is_empty() {
            return;
        }
        if let Err(error) = self.network.retire().await {
            tracing::warn!("parts of the node's network stay: {}", error.chain());
        }
        let runtime = self.runtime.clone();
        match tokio::task::spawn_blocking(move || runtime.remove_empty_groups()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("unused cgroups stay: {}", chain(&error)),
            Err(error) => tracing::warn!(%error, "unused cgroups stay"),
        }
    }
}

impl Adapters for NodeAdapters {
    type Runtime = Runtime<ImageStore>;
    type Network = PodsNetwork;
    type Checks = NodeChecks;
    type Names = NodeNames;
    type Images = ImageStore;
    type Volumes = NodeVolumes;
    type Records = RecordStore;
    type Host = RealHost;
    type Telemetry = AgentMetrics;

    fn runtime(&self) -> &Self::Runtime {
        &self.runtime
    }
    fn network(&self) -> &Self::Network {
        &self.network
    }
    fn checks(&self) -> &Self::Checks {
        &self.checks
    }
    fn names(&self) -> &Self::Names {
        &self.names
    }
    fn images(&self) -> &Self::Images {
        &self.images
    }
    fn volumes(&self) -> &Self::Volumes {
        &self.volumes
    }
    fn records(&self) -> &Self::Records {
        &self.records
    }
    fn host(&self) -> &Self::Host {
        &self.host
    }
    fn telemetry(&self) -> &Self::Telemetry {
        &self.metrics
    }
}

fn own_shim() -> io::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name("pinnace-shim"))
}

fn shim(config: &NodeConfig) -> io::Result<PathBuf> {
    match &config.shim_path {
        Some(path) => Ok(PathBuf::from(path)),
        None => own_shim(),
    }
}
