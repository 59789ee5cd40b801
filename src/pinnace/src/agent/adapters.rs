//! The one place where all adapters meet.

use std::sync::Arc;

use pinnace_engine::adapters::Adapters;
use pinnace_metrics::AgentMetrics;
use pinnace_runtime::Runtime;
use pinnace_runtime::images::ImageStore;
use pinnace_store::RecordStore;
use pinnace_volumes::NodeVolumes;

use super::bundles::Bundles;
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
