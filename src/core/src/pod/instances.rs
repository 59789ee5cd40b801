//! What is to be made of the instances that the host shows: which live, which ended, what is yet to be
//! taken note of.
//!
//! An instance is *used* once its end is recorded (`attempt < next_attempt`): it is only removed then, whatever
//! is left of it. That, and the rule that no instance is removed before its end is recorded, keeps every
//! instance from being started twice.

use pinnace_api::ContainerName;

use super::ends;
use super::observed::{ContainerSeen, Exit, InstanceState, Observed, SandboxState, ShimState};
use super::record::{Progress, Record};
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

/// States are believed only of a whole sandbox whose supervisor did not die.
pub(super) fn sandbox_is_whole(observed: &Observed) -> bool {
    matches!(observed.sandbox, SandboxState::Ready { .. }) && observed.shim != ShimState::Dead
}

/// What one instance is taken for.
pub(super) fn life_of(seen: &ContainerSeen, observed: &Observed, record: &Record, now: WallMillis) -> Life {
    let used = is_used(&record.progress, &seen.name, seen.attempt);
    let lost = |started_at| Life::Ended(ends::unknown(ends::SHIM_DIED, started_at, now));
    let whole = sandbox_is_whole(observed);
    let never_started = matches!(seen.state, InstanceState::Created | InstanceState::Claimed);
    if let Some(failure) = ends::failed_start(record, &seen.name, seen.attempt)
        && never_started
        && whole
        && !used
    {
        return Life::Ended(ends::start_error(failure, now));
    }
    let life = match &seen.state {
        InstanceState::Exited(exit) => Life::Ended(exit.clone()),
        InstanceState::Lost { started_at } => lost(*started_at),
        InstanceState::Running { .. } if whole && observed.shim == ShimState::Alive => Life::Running,
        InstanceState::Running { started_at, .. } => lost(Some(*started_at)),
        InstanceState::Created if whole && observed.shim == ShimState::Alive => Life::Created,
        InstanceState::Claimed if whole => Life::Claimed,
        InstanceState::Created | InstanceState::Claimed => lost(None),
    };
    if used && life != Life::Running {
        Life::Used
    } else {
        life
    }
}

/// Its end is recorded.
pub(super) fn is_used(progress: &Progress, name: &ContainerName, attempt: u32) -> bool {
    progress
        .container(name)
        .is_some_and(|container| attempt < container.next_attempt)
}

/// The number of the sandbox that is there, or of the next one where its number is recorded already.
pub(super) fn sandbox_attempt(observed: &Observed, progress: &Progress) -> u32 {
    match observed.sandbox {
        SandboxState::Ready { attempt } => progress.sandbox_attempt.max(attempt),
        SandboxState::Absent | SandboxState::Broken => progress.sandbox_attempt,
    }
}

/// It did its part before the main containers, in this sandbox.
pub(super) fn is_initialized(progress: &Progress, name: &ContainerName, sandbox: u32) -> bool {
    let own = progress.container(name);
    own.is_some_and(|own| own.initialized_in == Some(sandbox))
}

/// The instances of one container, the newest last.
pub(super) fn of<'a>(found: &'a [Instance], name: &ContainerName) -> Vec<&'a Instance> {
    found.iter().filter(|one| one.name == *name).collect()
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
