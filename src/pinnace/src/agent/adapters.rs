//! The one place where all adapters meet.

use std::sync::Arc;

use pinnace_engine::adapters::Adapters;
use pinnace_engine::board::Board;
use pinnace_metrics::AgentMetrics;
use pinnace_runtime::Runtime;
use pinnace_runtime::images::ImageStore;
use pinnace_store::RecordStore;
use pinnace_volumes::NodeVolumes;

use super::bundles::{Bundles, chain};
use super::host::RealHost;

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
    type Images = ImageStore;
    type Volumes = NodeVolumes;
    type Records = RecordStore;
    type Host = RealHost;
    type Telemetry = AgentMetrics;

    fn runtime(&self) -> &Self::Runtime {
        &self.runtime
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
