//! One container of a whole sandbox: at most one instance lives, and the newest decides.

use pinnace_api::pod::Container;
use pinnace_api::{ContainerName, Pod};

use super::action::Action;
use super::instances::{self, Instance, Life};
use super::restart;
use super::sketch::Sketch;
use super::tend;
use super::tries::FailedStep;

/// How a container stands once its part of the plan is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It does not run.
    Down,
    /// Its postStart hook is under way: what is to be started after it waits.
    Hooked,
    /// It runs, and its startup probe has not succeeded yet.
    Starting,
    /// It has started.
    Started,
}

/// Brings the container up, if it is not `held` back by one before it, or looks after it where it runs.
pub(super) fn bring_up(
    sketch: &mut Sketch<'_>,
    pod: &Pod,
    container: &Container,
    own: &[&Instance],
    held: bool,
) -> Standing {
    let name = &container.name;
    let Some((newest, older)) = own.split_last() else {
        return create_if_due(sketch, pod, container, 0, held);
    };
    for instance in older {
        if !clear_away(sketch, instance) {
            return Standing::Down;
        }
    }
    let attempt = newest.attempt;
    match &newest.life {
        Life::Running if !instances::is_used(sketch.progress(), name, attempt) => {
            return tend::tend(sketch, pod, container, attempt);
        }
        // A start that was given up came through late.
        Life::Running => {
            clear_away(sketch, newest);
        }
        Life::Created => return start(sketch, container, attempt, held),
        Life::Claimed => {
            if clear_away(sketch, newest) && !held {
                let attempt = number_for(sketch, name, attempt);
                return create(sketch, container, attempt);
            }
        }
        Life::Ended(_) | Life::Used => {
            if clear_away(sketch, newest) {
                return create_if_due(sketch, pod, container, attempt.saturating_add(1), held);
            }
        }
    }
    Standing::Down
}

/// Removes an instance that is of no use any more; false if it is not gone after that.
pub(super) fn clear_away(sketch: &mut Sketch<'_>, instance: &Instance) -> bool {
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

/// Removes instances that are of no use any more, as far as they can be.
pub(super) fn clear_all(sketch: &mut Sketch<'_>, instances: &[&Instance]) {
    for instance in instances {
        clear_away(sketch, instance);
    }
}

/// Makes the next instance, numbered `at_least`, if the restart policy and the back-off allow.
fn create_if_due(
    sketch: &mut Sketch<'_>,
    pod: &Pod,
    container: &Container,
    at_least: u32,
    held: bool,
) -> Standing {
    let (name, spec) = (&container.name, &pod.spec);
    let mut attempt = at_least;
    if let Some(progress) = sketch.progress().container(name) {
        attempt = attempt.max(progress.next_attempt);
        if let Some((_, exit)) = &progress.last_exit {
            // What an init container did in an earlier sandbox is to be done again.
            let again = restart::must_end(spec, container) && exit.code == 0;
            if !again && restart::ended_for_good(spec, container, exit) {
                return Standing::Down;
            }
            let due = restart::due(progress);
            if due > sketch.now.boot {
                sketch.wake(due);
                return Standing::Down;
            }
        }
    }
    if held || !sketch.may_try(name) {
        return Standing::Down;
    }
    let attempt = number_for(sketch, name, attempt);
    create(sketch, container, attempt)
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

fn create(sketch: &mut Sketch<'_>, container: &Container, attempt: u32) -> Standing {
    sketch.push(Action::CreateContainer {
        name: container.name.clone(),
        attempt,
    });
    begin(sketch, container, attempt)
}

/// Starts a created instance.
fn start(sketch: &mut Sketch<'_>, container: &Container, attempt: u32, held: bool) -> Standing {
    if held || !sketch.may_try(&container.name) {
        return Standing::Down;
    }
    begin(sketch, container, attempt)
}

fn begin(sketch: &mut Sketch<'_>, container: &Container, attempt: u32) -> Standing {
    sketch.push(Action::StartContainer {
        name: container.name.clone(),
        attempt,
    });
    if container.lifecycle.post_start.is_none() {
        return Standing::Down;
    }
    tend::post_start(sketch, container, attempt);
    Standing::Hooked
}
