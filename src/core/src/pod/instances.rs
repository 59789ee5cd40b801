//! What is to be made of the instances that the host shows: which live, which ended, what is yet to be
//! taken note of.
//!
//! An instance is *used* once its end is recorded (`attempt < next_attempt`): it is only removed then, whatever
//! is left of it. That, and the rule that no instance is removed before its end is recorded, keeps every
//! instance from being started twice.

use pinnace_api::{ContainerName, Pod};

use super::action::Action;
use super::observed::{ContainerSeen, Exit, InstanceState, Observed, SandboxState, ShimState};
use super::record::{FailedStep, Progress, Record};
use super::restart;
use super::sketch::Sketch;
use crate::time::WallMillis;

/// An instance as the plan takes it.
#[derive(Debug, Clone)]
pub(super) struct Instance {
    pub name: ContainerName,
    pub attempt: u32,
    pub life: Life,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Life {
    /// Never ran, and its creation broke off.
    Claimed,
    /// Ready to be started.
    Created,
    /// Its program runs.
    Running,
    /// It ended: nothing but its removal is left.
    Ended(Exit),
    /// Its end is recorded: nothing but its removal is left.
    Used,
}

impl Instance {
    /// Its program runs, or may run.
    pub fn lives(&self) -> bool {
        self.life == Life::Running
    }
}

/// Code of an end that nobody saw, as the kubelet reports it.
const UNKNOWN_CODE: i32 = 137;
/// Code of a container that could not be started, as containerd reports it.
const START_ERROR_CODE: i32 = 128;

const SHIM_DIED: &str = "the container's supervisor died before its exit code was read";
const MACHINE_RESTARTED: &str = "the container was ended by a restart of the machine";

/// The end of a container that nobody saw.
pub(super) fn unknown_exit(message: &str, started_at: Option<WallMillis>, now: WallMillis) -> Exit {
    Exit {
        code: UNKNOWN_CODE,
        reason: "ContainerStatusUnknown".to_owned(),
        message: message.to_owned(),
        started_at,
        finished_at: now,
    }
}

/// States are believed only of a whole sandbox whose supervisor did not die.
pub(super) fn sandbox_is_whole(observed: &Observed) -> bool {
    matches!(observed.sandbox, SandboxState::Ready { .. }) && observed.shim != ShimState::Dead
}

/// What one instance is taken for.
pub(super) fn life_of(seen: &ContainerSeen, observed: &Observed, record: &Record, now: WallMillis) -> Life {
    let used = is_used(&record.progress, &seen.name, seen.attempt);
    let lost = |started_at| Life::Ended(unknown_exit(SHIM_DIED, started_at, now));
    let whole = sandbox_is_whole(observed);
    let life = match &seen.state {
        InstanceState::Exited(exit) => Life::Ended(exit.clone()),
        InstanceState::Lost { started_at } => lost(*started_at),
        InstanceState::Running { .. } if whole && observed.shim == ShimState::Alive => Life::Running,
        InstanceState::Running { started_at, .. } => lost(Some(*started_at)),
        InstanceState::Created if whole && observed.shim == ShimState::Alive => {
            match record.failures.get(&seen.name) {
                Some(failure) if failure.step == FailedStep::Start => Life::Ended(Exit {
                    code: START_ERROR_CODE,
                    reason: "StartError".to_owned(),
                    message: failure.message.clone(),
                    started_at: None,
                    finished_at: now,
                }),
                _ => Life::Created,
            }
        }
        InstanceState::Claimed if whole => Life::Claimed,
        InstanceState::Created | InstanceState::Claimed => lost(None),
    };
    if used && life != Life::Running {
        Life::Used
    } else {
        life
    }
}

fn is_used(progress: &Progress, name: &ContainerName, attempt: u32) -> bool {
    progress
        .container(name)
        .is_some_and(|container| attempt < container.next_attempt)
}

/// All instances, by name and attempt, and whether processes of theirs may be left that no supervisor holds.
pub(super) fn sort_out(sketch: &Sketch<'_>) -> (Vec<Instance>, bool) {
    let observed = sketch.observed;
    let orphans = observed.shim == ShimState::Dead
        || observed.containers.iter().any(|seen| match seen.state {
            InstanceState::Exited(_) => false,
            InstanceState::Lost { .. } => true,
            InstanceState::Running { .. } | InstanceState::Created => {
                !sandbox_is_whole(observed) || observed.shim != ShimState::Alive
            }
            InstanceState::Claimed => !sandbox_is_whole(observed),
        });
    let mut instances: Vec<Instance> = observed
        .containers
        .iter()
        .map(|seen| Instance {
            name: seen.name.clone(),
            attempt: seen.attempt,
            life: life_of(seen, observed, sketch.record, sketch.now.wall),
        })
        .collect();
    instances.sort_by(|a, b| (&a.name, a.attempt).cmp(&(&b.name, b.attempt)));
    (instances, orphans)
}

/// Takes note of all ends that are not recorded yet, those before a restart of the machine included if
/// `logs_count`, and saves them. Processes without a supervisor are ended before.
pub(super) fn take_note(
    sketch: &mut Sketch<'_>,
    pod: &Pod,
    instances: &[Instance],
    orphans: bool,
    logs_count: bool,
) {
    if orphans {
        sketch.kill_cgroup_first();
    }
    if logs_count {
        for (name, attempt) in ended_with_the_boot(sketch, pod, instances) {
            let exit = unknown_exit(MACHINE_RESTARTED, None, sketch.now.wall);
            note(sketch, &name, attempt, &exit);
        }
    }
    for instance in instances {
        if let Life::Ended(exit) = &instance.life {
            note(sketch, &instance.name, instance.attempt, exit);
        }
    }
    sketch.save();
}

/// [`take_note`] would have something to write.
pub(super) fn anything_to_note(instances: &[Instance]) -> bool {
    instances
        .iter()
        .any(|instance| matches!(instance.life, Life::Ended(_)))
}

/// Containers of which a log alone tells that they ran: their instances went with the machine's last boot.
fn ended_with_the_boot(sketch: &Sketch<'_>, pod: &Pod, instances: &[Instance]) -> Vec<(ContainerName, u32)> {
    let logs = &sketch.observed.log_attempts;
    pod.spec
        .containers
        .iter()
        .filter_map(|container| {
            let name = &container.name;
            let logged = *logs.get(name)?;
            let accounted = is_used(sketch.progress(), name, logged)
                || sketch.record.failures.contains_key(name)
                || instances
                    .iter()
                    .any(|instance| instance.name == *name && instance.attempt >= logged);
            (!accounted).then(|| (name.clone(), logged))
        })
        .collect()
}

fn note(sketch: &mut Sketch<'_>, name: &ContainerName, attempt: u32, exit: &Exit) {
    sketch.push(Action::NoteExit {
        name: name.clone(),
        attempt,
        exit: exit.clone(),
    });
    let (policy, now) = (sketch.policy, sketch.now);
    let progress = sketch.change().containers.entry(name.clone()).or_default();
    progress.backoff_millis = restart::delay_millis(progress, exit, policy, now);
    progress.next_attempt = progress.next_attempt.max(attempt.saturating_add(1));
    progress.restart_count = progress.restart_count.max(attempt);
    progress.last_exit = Some((attempt, exit.clone()));
    progress.last_exit_noted = now.boot;
}
