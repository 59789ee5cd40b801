//! A pod that ended by itself, and the clearing away of what no container needs any more.

use std::collections::BTreeMap;

use pinnace_api::{ContainerName, Pod};

use super::action::Action;
use super::instances::{Instance, Life};
use super::observed::{Exit, SandboxState, ShimState};
use super::record::{FailedStep, Finished, Progress};
use super::restart;
use super::sketch::Sketch;
use crate::network::NetworkState;

/// The pod's end, once every container ended and none is started again.
pub(super) fn end_of(progress: &Progress, pod: &Pod, found: &[Instance]) -> Option<Finished> {
    let alive = |one: &Instance| !matches!(one.life, Life::Ended(_) | Life::Used);
    if found.iter().any(alive) {
        return None;
    }
    for container in &pod.spec.containers {
        let (_, exit) = progress.container(&container.name)?.last_exit.as_ref()?;
        if !restart::ended_for_good(pod.spec.restart_policy, exit) {
            return None;
        }
    }
    let exits = last_exits(progress);
    let succeeded = exits.values().all(|exit| exit.code == 0);
    Some(Finished {
        succeeded,
        reason: None,
        message: None,
        exits,
    })
}

/// How each container ended last, as far as recorded.
pub(super) fn last_exits(progress: &Progress) -> BTreeMap<ContainerName, Exit> {
    progress
        .containers
        .iter()
        .filter_map(|(name, container)| {
            let (_, exit) = container.last_exit.as_ref()?;
            Some((name.clone(), exit.clone()))
        })
        .collect()
}

/// Removes the instances given, none of which lives, then network, sandbox and volumes. True if nothing stays.
pub(super) fn clear(sketch: &mut Sketch<'_>, found: &[Instance]) -> bool {
    let mut held_up = false;
    for instance in found {
        if sketch.may_end(&instance.name) {
            let (name, attempt) = (instance.name.clone(), instance.attempt);
            sketch.push(Action::RemoveContainer { name, attempt });
        } else {
            held_up = true;
        }
    }
    let observed = sketch.observed;
    let sandbox = observed.sandbox != SandboxState::Absent
        || observed.shim != ShimState::Absent
        || !observed.containers.is_empty();
    let steps: Vec<Action> = [
        (observed.network != NetworkState::Absent, Action::DetachNetwork),
        (sandbox, Action::RemoveSandbox),
        (
            observed.volumes_present || observed.volumes_ready,
            Action::RemoveVolumes,
        ),
    ]
    .into_iter()
    .filter_map(|(is_there, step)| is_there.then_some(step))
    .collect();
    if held_up || (!steps.is_empty() && !sketch.pod_may_end()) {
        return false;
    }
    for step in in_turn(sketch, steps) {
        sketch.push(step);
    }
    true
}

/// A worker stops at the first failure: after each, another step goes first, so that none waits for ever.
fn in_turn(sketch: &Sketch<'_>, mut steps: Vec<Action>) -> Vec<Action> {
    let failure = sketch.record.pod_failure.as_ref();
    let failed = failure.filter(|failure| failure.step == FailedStep::End);
    let tries = failed.map_or(0, |failure| failure.tries as usize);
    if let Some(first) = tries.checked_rem(steps.len()) {
        steps.rotate_left(first);
    }
    steps
}
