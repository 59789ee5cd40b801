//! A pod that shall run: sandbox, network, volumes, then each container by itself.
//!
//! A network that has lost a part is attached again under its living containers; only a lost sandbox ends them.

use pinnace_api::{ContainerName, Pod};

use super::action::Action;
use super::ends;
use super::finish;
use super::instances::{self, Instance, Life};
use super::observed::{SandboxState, ShimState};
use super::record::FailedStep;
use super::restart;
use super::sketch::Sketch;
use crate::network::NetworkState;

/// Plans for a pod that is neither finished nor terminating.
pub(super) fn run(sketch: &mut Sketch<'_>, pod: &Pod) {
    if !sketch.pod_may_try() {
        return;
    }
    let (mut found, orphans) = instances::sort_out(sketch);
    if orphans {
        sketch.kill_cgroup_first();
    }
    let ends = ends::unrecorded(sketch, pod, &found, true);
    ends::take_note(sketch, ends);
    if let Some(finished) = finish::end_of(sketch.progress(), pod, &found) {
        sketch.push(Action::SaveFinished(finished));
        finish::clear(sketch, &found);
        return;
    }
    let mut has_sandbox = sketch.observed.sandbox != SandboxState::Absent;
    if needs_new_sandbox(sketch) {
        if !remove_sandbox(sketch, &found) {
            return;
        }
        found.clear();
        has_sandbox = false;
    } else if !has_sandbox {
        // A network is of one namespace: what an earlier sandbox left of its own goes first.
        detach(sketch);
    }
    if !has_sandbox {
        let attempt = sketch.progress().sandbox_attempt;
        sketch.push(Action::CreateSandbox { attempt });
    }
    let attached = has_sandbox && sketch.observed.network.addresses().is_some();
    if !attached && !pod.spec.host_network {
        sketch.push(Action::AttachNetwork);
    }
    if !sketch.observed.volumes_ready {
        sketch.push(Action::PrepareVolumes);
    }
    for container in &pod.spec.containers {
        let own: Vec<&Instance> = found.iter().filter(|one| one.name == container.name).collect();
        bring_up(sketch, pod, &container.name, &own);
    }
    let strangers = |one: &&Instance| pod.spec.containers.iter().all(|known| known.name != one.name);
    for stranger in found.iter().filter(strangers) {
        clear_away(sketch, stranger);
    }
}

/// The sandbox, or what is left of one, cannot carry the pod.
fn needs_new_sandbox(sketch: &Sketch<'_>) -> bool {
    let observed = sketch.observed;
    match observed.sandbox {
        SandboxState::Ready { .. } => observed.shim == ShimState::Dead,
        SandboxState::Broken => true,
        SandboxState::Absent => observed.shim != ShimState::Absent || !observed.containers.is_empty(),
    }
}

/// Removes all that is left of the sandbox, whose successor gets the next number; false if held up.
fn remove_sandbox(sketch: &mut Sketch<'_>, found: &[Instance]) -> bool {
    let mut held_up = false;
    for instance in found {
        held_up |= !clear_away(sketch, instance);
    }
    if held_up {
        return false;
    }
    let current = match sketch.observed.sandbox {
        SandboxState::Ready { attempt } => attempt,
        SandboxState::Broken | SandboxState::Absent => 0,
    };
    let now = sketch.now.wall;
    let progress = sketch.change();
    progress.sandbox_lost = Some(now);
    progress.sandbox_attempt = progress.sandbox_attempt.max(current).saturating_add(1);
    sketch.save();
    detach(sketch);
    sketch.push(Action::RemoveSandbox);
    true
}

fn detach(sketch: &mut Sketch<'_>) {
    if sketch.observed.network != NetworkState::Absent {
        sketch.push(Action::DetachNetwork);
    }
}

/// Removes an instance that is of no use any more; false if it is not gone after that.
fn clear_away(sketch: &mut Sketch<'_>, instance: &Instance) -> bool {
    if !sketch.may_try(&instance.name) {
        return false;
    }
    let (name, attempt) = (instance.name.clone(), instance.attempt);
    if instance.lives() {
        sketch.push(Action::KillContainer { name, attempt });
        return false;
    }
    sketch.push(Action::RemoveContainer { name, attempt });
    true
}

/// One container of a whole sandbox: at most one instance lives, and the newest decides.
fn bring_up(sketch: &mut Sketch<'_>, pod: &Pod, name: &ContainerName, own: &[&Instance]) {
    let Some((newest, older)) = own.split_last() else {
        return create_if_due(sketch, pod, name, 0);
    };
    for instance in older {
        if !clear_away(sketch, instance) {
            return;
        }
    }
    let attempt = newest.attempt;
    match &newest.life {
        Life::Running if !instances::is_used(sketch.progress(), name, attempt) => {}
        // A start that was given up came through late.
        Life::Running => {
            clear_away(sketch, newest);
        }
        Life::Created => {
            if sketch.may_try(name) {
                sketch.push(Action::StartContainer {
                    name: name.clone(),
                    attempt,
                });
            }
        }
        Life::Claimed => {
            if clear_away(sketch, newest) {
                let attempt = number_for(sketch, name, attempt);
                create(sketch, name, attempt);
            }
        }
        Life::Ended(_) | Life::Used => {
            if clear_away(sketch, newest) {
                create_if_due(sketch, pod, name, attempt.saturating_add(1));
            }
        }
    }
}

/// Makes the next instance, numbered `at_least`, if the restart policy and the back-off allow.
fn create_if_due(sketch: &mut Sketch<'_>, pod: &Pod, name: &ContainerName, at_least: u32) {
    let mut attempt = at_least;
    if let Some(progress) = sketch.progress().container(name) {
        attempt = attempt.max(progress.next_attempt);
        if let Some((_, exit)) = &progress.last_exit {
            if restart::ended_for_good(pod.spec.restart_policy, exit) {
                return;
            }
            let due = restart::due(progress);
            if due > sketch.now.boot {
                return sketch.wake(due);
            }
        }
    }
    if sketch.may_try(name) {
        let attempt = number_for(sketch, name, attempt);
        create(sketch, name, attempt);
    }
}

/// The number of an instance that could be `attempt`, but for a log that says that one has been created with
/// it. Where it is known that only its creation failed, the number is used again.
fn number_for(sketch: &Sketch<'_>, name: &ContainerName, attempt: u32) -> u32 {
    let failure = sketch.record.failures.get(name);
    let only_failed =
        failure.is_some_and(|failure| failure.step == FailedStep::Create && failure.attempt == Some(attempt));
    match sketch.observed.log_attempts.get(name) {
        Some(logged) if !only_failed => attempt.max(logged.saturating_add(1)),
        _ => attempt,
    }
}

fn create(sketch: &mut Sketch<'_>, name: &ContainerName, attempt: u32) {
    sketch.push(Action::CreateContainer {
        name: name.clone(),
        attempt,
    });
    sketch.push(Action::StartContainer {
        name: name.clone(),
        attempt,
    });
}
