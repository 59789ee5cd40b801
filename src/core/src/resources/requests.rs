//! What a pod counts for on its node.

use pinnace_api::pod::{PodSpec, ResourceList};
use pinnace_api::{Bytes, MilliCpu};

/// Effective requests of a pod; what it does not ask for is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Requests {
    /// Thousandths of a CPU.
    pub cpu: MilliCpu,
    /// Bytes of memory.
    pub memory: Bytes,
    /// Bytes of local storage.
    pub ephemeral_storage: Bytes,
}

impl Requests {
    /// The sum with another pod's requests.
    pub fn plus(self, other: Self) -> Self {
        Self {
            cpu: MilliCpu(self.cpu.0.saturating_add(other.cpu.0)),
            memory: Bytes(self.memory.0.saturating_add(other.memory.0)),
            ephemeral_storage: Bytes(self.ephemeral_storage.0.saturating_add(other.ephemeral_storage.0)),
        }
    }
}

impl From<&ResourceList> for Requests {
    fn from(list: &ResourceList) -> Self {
        Self {
            cpu: list.cpu.unwrap_or_default(),
            memory: list.memory.unwrap_or_default(),
            ephemeral_storage: list.ephemeral_storage.unwrap_or_default(),
        }
    }
}

/// The sum over the pod's containers.
pub fn pod_requests(spec: &PodSpec) -> Requests {
    spec.containers
        .iter()
        .map(|container| Requests::from(&container.resources.requests))
        .fold(Requests::default(), Requests::plus)
}
