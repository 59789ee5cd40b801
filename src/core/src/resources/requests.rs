//! What a pod counts for on its node.

use pinnace_api::pod::{Container, PodSpec, ResourceList, RestartPolicy};
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

impl Requests {
    /// The greater amount of each.
    fn max(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.max(other.cpu),
            memory: self.memory.max(other.memory),
            ephemeral_storage: self.ephemeral_storage.max(other.ephemeral_storage),
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

/// What the pod asks for at the moment at which it asks for most, its overhead included: an init container beside
/// the sidecars before it, or all main containers beside all sidecars.
pub fn pod_requests(spec: &PodSpec) -> Requests {
    peak(spec, |container| Requests::from(&container.resources.requests)).plus(Requests::from(&spec.overhead))
}

/// The most that all containers which run at one time come to.
pub(super) fn peak(spec: &PodSpec, of: impl Fn(&Container) -> Requests) -> Requests {
    let main = spec.containers.iter().map(&of);
    let main = main.fold(Requests::default(), Requests::plus);
    let (mut sidecars, mut begin) = (Requests::default(), Requests::default());
    for container in &spec.init_containers {
        let now = sidecars.plus(of(container));
        begin = begin.max(now);
        if container.restart_policy == Some(RestartPolicy::Always) {
            sidecars = now;
        }
    }
    main.plus(sidecars).max(begin)
}
