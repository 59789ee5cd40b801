//! The phase of a pod that has not finished.
//!
//! That it has finished is told only once it is recorded: a final phase is never left again, not even by a crash.

use pinnace_api::pod::PodSpec;

use super::types::{ContainerStatus, PodPhase};
use crate::pod::restart;

/// Pending or Running, as the kubelet reckons.
pub(super) fn unfinished(
    spec: &PodSpec,
    init_containers: &[ContainerStatus],
    containers: &[ContainerStatus],
) -> PodPhase {
    let mut sidecars = init_containers.iter().filter(|one| is_sidecar(spec, one));
    let waits = containers.iter().any(never_ran) || sidecars.any(never_ran);
    let begins = init_containers.iter().any(|one| is_pending(spec, one));
    if waits || (begins && !any_has_started(containers)) {
        PodPhase::Pending
    } else {
        PodPhase::Running
    }
}

/// A main container runs, or has run.
pub(super) fn any_has_started(containers: &[ContainerStatus]) -> bool {
    containers
        .iter()
        .any(|one| one.state.running.is_some() || one.state.terminated.is_some())
}

pub(super) fn is_sidecar(spec: &PodSpec, status: &ContainerStatus) -> bool {
    let container = spec.container(&status.name);
    container.is_some_and(|container| restart::is_sidecar(spec, container))
}

fn never_ran(one: &ContainerStatus) -> bool {
    one.state.waiting.is_some() && one.last_state.terminated.is_none()
}

/// The part that it has before the main containers is not done.
fn is_pending(spec: &PodSpec, one: &ContainerStatus) -> bool {
    if is_sidecar(spec, one) {
        let starts = one.state.running.is_some() && one.started != Some(true);
        starts || never_ran(one)
    } else {
        one.state.running.is_some() || never_ran(one)
    }
}
