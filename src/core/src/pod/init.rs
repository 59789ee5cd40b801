//! What runs before the main containers: init containers one after another, each to its success, and sidecars,
//! each until it has started.
//!
//! What was done counts for one sandbox: in the next one all is done again. Whether a main container has begun
//! tells that all was done, should the record of it be lost.

use pinnace_api::Pod;

use super::bring_up::{self, Standing};
use super::instances::{self, Instance, Life};
use super::record::ContainerProgress;
use super::restart;
use super::sketch::Sketch;

/// Brings up what comes before the main containers; true once they may begin.
pub(super) fn initialise(sketch: &mut Sketch<'_>, pod: &Pod, found: &[Instance]) -> bool {
    let sandbox = sketch.sandbox_attempt();
    let over = main_has_begun(pod, found);
    for container in &pod.spec.init_containers {
        let own = instances::of(found, &container.name);
        let done = over || instances::is_initialized(sketch.progress(), &container.name, sandbox);
        if restart::is_sidecar(&pod.spec, container) {
            let standing = bring_up::bring_up(sketch, pod, container, &own, false);
            if !done && standing != Standing::Started {
                return false;
            }
        } else if done {
            bring_up::clear_all(sketch, &own);
        } else {
            bring_up::bring_up(sketch, pod, container, &own, false);
            return false;
        }
        if !instances::is_initialized(sketch.progress(), &container.name, sandbox) {
            sketch.change_container(&container.name).initialized_in = Some(sandbox);
        }
        // Recorded before whatever may begin because of it.
        sketch.save();
    }
    true
}

/// What was done in an earlier sandbox does not count in the one that is made next, whatever its number.
pub(super) fn begin_anew(sketch: &mut Sketch<'_>) {
    let was_done = |own: &ContainerProgress| own.initialized_in.is_some();
    if sketch.progress().containers.values().any(was_done) {
        for own in sketch.change().containers.values_mut() {
            own.initialized_in = None;
        }
        sketch.save();
    }
}

/// An instance of a main container is there, so that all before it was done in this sandbox.
pub(super) fn main_has_begun(pod: &Pod, found: &[Instance]) -> bool {
    let is_main = |one: &&Instance| pod.spec.containers.iter().any(|main| main.name == one.name);
    found.iter().filter(is_main).any(|one| one.life != Life::Claimed)
}
