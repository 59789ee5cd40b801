//! Taking note of how instances ended.
//!
//! Most ends are told by the supervisor. Three are not: that of an instance whose supervisor died, that of one
//! whose program could not be started, and that of one that went with the machine's last boot, of which only
//! a log is left.

use pinnace_api::{ContainerName, Pod};

use super::action::Action;
use super::instances::{self, Instance, Life};
use super::observed::{Exit, SandboxState};
use super::record::Record;
use super::restart;
use super::sketch::Sketch;
use super::tries::Failure;
use crate::time::WallMillis;

/// Code of an end that nobody saw, as the kubelet reports it.
const UNKNOWN_CODE: i32 = 137;
/// Code of a container that could not be started, as containerd reports it.
const START_ERROR_CODE: i32 = 128;

pub(super) const SHIM_DIED: &str = "the container's supervisor died before its exit code was read";
const MACHINE_RESTARTED: &str = "the container was ended by a restart of the machine";

/// An end that is not recorded yet.
#[derive(Debug)]
pub(super) struct End {
    name: ContainerName,
    attempt: u32,
    exit: Exit,
}

/// The end of a container that nobody saw.
pub(super) fn unknown(message: &str, started_at: Option<WallMillis>, now: WallMillis) -> Exit {
    Exit {
        code: UNKNOWN_CODE,
        reason: "ContainerStatusUnknown".to_owned(),
        message: message.to_owned(),
        started_at,
        finished_at: now,
    }
}

/// The end of a container that could not be started.
pub(super) fn start_error(failure: &Failure, now: WallMillis) -> Exit {
    Exit {
        code: START_ERROR_CODE,
        reason: "StartError".to_owned(),
        message: failure.message.clone(),
        started_at: None,
        finished_at: now,
    }
}

/// Why this instance could not be started, if that was tried in this life of the agent.
pub(super) fn failed_start<'a>(
    record: &'a Record,
    name: &ContainerName,
    attempt: u32,
) -> Option<&'a Failure> {
    let failure = record.failures.get(name)?;
    (failure.is_failed_start() && failure.attempt == Some(attempt)).then_some(failure)
}

/// All ends that are not recorded yet; those that only logs tell of if `logs_count`.
pub(super) fn unrecorded(sketch: &Sketch<'_>, pod: &Pod, found: &[Instance], logs_count: bool) -> Vec<End> {
    let mut ends = Vec::new();
    if logs_count && !matches!(sketch.observed.sandbox, SandboxState::Ready { .. }) {
        ends.extend(with_the_boot(sketch, pod, found));
    }
    ends.extend(failed_starts(sketch, found));
    for instance in found {
        if let Life::Ended(exit) = &instance.life {
            let (name, attempt) = (instance.name.clone(), instance.attempt);
            ends.push(End {
                name,
                attempt,
                exit: exit.clone(),
            });
        }
    }
    ends
}

/// Instances that could not be started, and of which nothing is left.
fn failed_starts<'a>(sketch: &'a Sketch<'_>, found: &'a [Instance]) -> impl Iterator<Item = End> + 'a {
    sketch.record.failures.iter().filter_map(move |(name, failure)| {
        let attempt = failure.attempt?;
        let of_it = |one: &Instance| one.name == *name && one.attempt == attempt;
        let recorded = instances::is_used(sketch.progress(), name, attempt) || found.iter().any(of_it);
        (failure.is_failed_start() && !recorded).then(|| End {
            name: name.clone(),
            attempt,
            exit: start_error(failure, sketch.now.wall),
        })
    })
}

/// Instances of which a log alone is left: they ended with the machine's last boot.
fn with_the_boot<'a>(
    sketch: &'a Sketch<'_>,
    pod: &'a Pod,
    found: &'a [Instance],
) -> impl Iterator<Item = End> + 'a {
    pod.spec.all_containers().filter_map(move |container| {
        let name = &container.name;
        let attempt = *sketch.observed.log_attempts.get(name)?;
        let newer = |one: &Instance| one.name == *name && one.attempt >= attempt;
        let accounted = instances::is_used(sketch.progress(), name, attempt)
            || sketch.record.failures.contains_key(name)
            || found.iter().any(newer);
        (!accounted).then(|| End {
            name: name.clone(),
            attempt,
            exit: unknown(MACHINE_RESTARTED, None, sketch.now.wall),
        })
    })
}

/// Tells of the ends and records them.
pub(super) fn take_note(sketch: &mut Sketch<'_>, pod: &Pod, ends: Vec<End>) {
    let sandbox = sketch.sandbox_attempt();
    for End { name, attempt, exit } in ends {
        sketch.push(Action::NoteExit {
            name: name.clone(),
            attempt,
            exit: exit.clone(),
        });
        let (policy, now) = (sketch.policy, sketch.now);
        let sandbox_is_gone = !matches!(sketch.observed.sandbox, SandboxState::Ready { .. });
        let progress = sketch.change();
        if sandbox_is_gone {
            progress.sandbox_lost = Some(now.wall);
        }
        let container = pod.spec.container(&name);
        let initialized =
            exit.code == 0 && container.is_some_and(|container| restart::must_end(&pod.spec, container));
        let progress = progress.containers.entry(name).or_default();
        if initialized {
            progress.initialized_in = Some(sandbox);
        }
        progress.stop = None;
        progress.backoff_millis = restart::delay_millis(progress, &exit, policy, now);
        progress.next_attempt = progress.next_attempt.max(attempt.saturating_add(1));
        progress.restart_count = progress.restart_count.max(attempt);
        progress.last_exit = Some((attempt, exit));
        progress.last_exit_noted = now.boot;
    }
    sketch.save();
}
