//! The order in which a pod's containers end.

use pinnace_api::ContainerName;
use pinnace_api::pod::PodSpec;

use super::instances::Instance;
use super::restart;

/// Nothing lives that must end before it: a sidecar waits for the main containers, and for the sidecars after it.
pub(super) fn is_its_turn(spec: &PodSpec, name: &ContainerName, living: &[Instance]) -> bool {
    let mut sidecars = spec
        .init_containers
        .iter()
        .filter(|container| restart::is_sidecar(spec, container));
    if !sidecars.any(|container| container.name == *name) {
        return true;
    }
    let lives = |name: &ContainerName| living.iter().any(|one| one.name == *name);
    let later = sidecars.map(|container| &container.name);
    let main = spec.containers.iter().map(|container| &container.name);
    !main.chain(later).any(lives)
}
