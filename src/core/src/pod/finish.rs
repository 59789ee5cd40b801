//! A pod that ended by itself, and the clearing away of what no container needs any more.

use std::collections::BTreeMap;

use pinnace_api::pod::Container;
use pinnace_api::{ContainerName, Pod};

use super::action::Action;
use super::init;
use super::instances::{Instance, Life};
use super::observed::{Exit, SandboxState, ShimState};
use super::record::{Finished, Progress};
use super::restart;
use super::sketch::Sketch;
use super::tries::FailedStep;
use crate::network::NetworkState;

/// Whether a pod has ended by itself.
pub(super) enum End {
    /// It goes on.
    NotYet,
    /// It has, and nothing of it runs.
    All(Finished),
    /// It has, but for what goes on beside the main containers.
    AllButHelpers,
}

/// Whether the pod has ended: every main container ended and none is started again, or an init container failed
/// for good.
pub(super) fn end_of(progress: &Progress, pod: &Pod, found: &[Instance]) -> End {
    let spec = &pod.spec;
    let alive = |one: &Instance| !matches!(one.life, Life::Ended(_) | Life::Used);
    let is_over = |container: &Container| {
        let exit = last_exit(progress, container);
        exit.is_some_and(|exit| restart::ended_for_good(spec, container, exit))
    };
    let main_lives = found
        .iter()
        .filter(|one| alive(one))
        .any(|one| spec.containers.iter().any(|main| main.name == one.name));
    let main_ended = !main_lives && spec.containers.iter().all(is_over);
    if !main_ended && !has_failed_init(progress, pod, found) {
        return End::NotYet;
    }
    if found.iter().any(alive) {
        return End::AllButHelpers;
    }
    End::All(finished(progress, pod))
}

/// How the pod ended, by how its containers did.
pub(super) fn finished(progress: &Progress, pod: &Pod) -> Finished {
    let went_well = |container: &Container| last_exit(progress, container).is_some_and(|exit| exit.code == 0);
    Finished {
        succeeded: pod.spec.containers.iter().all(went_well),
        reason: None,
        message: None,
        exits: last_exits(progress),
    }
}

/// An init container failed, and is not started again.
fn has_failed_init(progress: &Progress, pod: &Pod, found: &[Instance]) -> bool {
    if init::main_has_begun(pod, found) {
        return false;
    }
    let mut regular = pod
        .spec
        .init_containers
        .iter()
        .filter(|container| restart::must_end(&pod.spec, container));
    regular.any(|container| {
        let exit = last_exit(progress, container);
        exit.is_some_and(|exit| exit.code != 0 && restart::ended_for_good(&pod.spec, container, exit))
    })
}

fn last_exit<'a>(progress: &'a Progress, container: &Container) -> Option<&'a Exit> {
    let (_, exit) = progress.container(&container.name)?.last_exit.as_ref()?;
    Some(exit)
}

/// How each container ended last, as far as recorded.
fn last_exits(progress: &Progress) -> BTreeMap<ContainerName, Exit> {
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
