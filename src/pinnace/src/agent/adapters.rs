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
use super::host::RealHost;
use super::no_network::{NoNames, NoNetwork};
use super::{AgentError, chain};

/// The real node's ports.
pub struct NodeAdapters {
    /// Sandboxes, shims, containers.
    pub runtime: Runtime<ImageStore>,
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
    pub async fn open(layout: &Layout, config: &NodeConfig, host: RealHost) -> Result<Self, AgentError> {
        let images = ImageStore::open(layout)?;
        let mut runtime = RuntimeConfig::new(shim(config).map_err(AgentError::Shim)?);
        runtime.logger = own_shim().map_err(AgentError::Shim)?;
        runtime.oci_runtimes.clone_from(&config.oci_runtimes);
        let build = BuildInfo {
            version: env!("CARGO_PKG_VERSION"),
            revision: option_env!("PINNACE_REVISION").unwrap_or(""),
        };
        Ok(Self {
            runtime: Runtime::open(runtime, layout.clone(), images.clone()).await?,
            bundles: Arc::new(Bundles::new(images.clone(), layout)),
            images,
            volumes: NodeVolumes::new(layout.clone()),
            records: RecordStore::new(layout.clone()),
            host,
            metrics: Arc::new(AgentMetrics::new(build)?),
        })
    }

    /// Removes the node's own cgroups where no pod is left that would use them: they are made anew when one
    /// comes. What cannot be removed is another's by now.
    pub async fn remove_unused_groups(&self, board: &Board) {
        if !board.pods().is_empty() {
            return;
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
    type Network = NoNetwork;
    type Names = NoNames;
    type Images = ImageStore;
    type Volumes = NodeVolumes;
    type Records = RecordStore;
    type Host = RealHost;
    type Telemetry = AgentMetrics;

    fn runtime(&self) -> &Self::Runtime {
        &self.runtime
    }
    fn network(&self) -> &Self::Network {
        &NoNetwork
    }
    fn names(&self) -> &Self::Names {
        &NoNames
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
