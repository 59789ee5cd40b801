//! The set of ports that one engine works with.

use pinnace_core::host::Host;
use pinnace_core::ports::{Checks, Images, Names, Network, PodRuntime, Records, Telemetry, Volumes};

/// Every adapter, named once; the program wires them, tests put fakes in their place.
pub trait Adapters: Send + Sync + 'static {
    /// Sandboxes, shims, containers.
    type Runtime: PodRuntime;
    /// Pods' network, Services and policies.
    type Network: Network;
    /// Questions to containers.
    type Checks: Checks;
    /// The node's DNS server.
    type Names: Names;
    /// Images.
    type Images: Images;
    /// Volumes.
    type Volumes: Volumes;
    /// Records.
    type Records: Records;
    /// Clocks and chance.
    type Host: Host;
    /// Measurements.
    type Telemetry: Telemetry;

    /// The runtime.
    fn runtime(&self) -> &Self::Runtime;
    /// The pods' network.
    fn network(&self) -> &Self::Network;
    /// The questions to containers.
    fn checks(&self) -> &Self::Checks;
    /// The DNS server.
    fn names(&self) -> &Self::Names;
    /// The images.
    fn images(&self) -> &Self::Images;
    /// The volumes.
    fn volumes(&self) -> &Self::Volumes;
    /// The records.
    fn records(&self) -> &Self::Records;
    /// The host.
    fn host(&self) -> &Self::Host;
    /// The measurements.
    fn telemetry(&self) -> &Self::Telemetry;
}
