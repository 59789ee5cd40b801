//! What is known of a running instance: whether it has started, is ready, and lives.
//!
//! A verdict of this agent's probes counts most; before the first one, what was recorded of the instance counts, so
//! that an agent's restart makes no pod unready.

use pinnace_api::pod::Container;

use super::live::{HookPoint, HookState, Live};
use super::record::{ContainerProgress, Progress, StopCause};

/// What is known of a running instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// That its postStart hook is done is not recorded yet.
    pub hook_is_due: bool,
    /// Its postStart hook is not done: it does not count as running.
    pub hook_holds: bool,
    /// It has started.
    pub started: bool,
    /// It may be sent requests.
    pub ready: bool,
    /// It is to be ended.
    pub failed: Option<StopCause>,
}

impl Health {
    /// Of the running instance.
    pub fn of(container: &Container, attempt: u32, progress: &Progress, live: &Live) -> Self {
        let (name, probes) = (&container.name, &container.probes);
        let own = progress.container(name);
        let verdicts = live.verdicts(name, attempt);
        let recorded = |part: fn(&ContainerProgress) -> Option<u32>| own.and_then(part) == Some(attempt);
        let hook_is_due =
            container.lifecycle.post_start.is_some() && !recorded(|progress| progress.post_started);
        let hook_holds =
            hook_is_due && live.hook(name, attempt, HookPoint::PostStart) != Some(&HookState::Done);
        let has_started = verdicts.startup == Some(true) || recorded(|progress| progress.started);
        let started = !hook_holds && (probes.startup.is_none() || has_started);
        let known = own.and_then(|own| own.readiness);
        let known = known.is_some_and(|known| known.attempt == attempt && known.ready);
        let is_ready = probes.readiness.is_none() || verdicts.readiness.unwrap_or(known);
        let failed = if verdicts.liveness == Some(false) && probes.liveness.is_some() {
            Some(StopCause::Liveness)
        } else if verdicts.startup == Some(false) && probes.startup.is_some() {
            Some(StopCause::Startup)
        } else {
            None
        };
        Self {
            hook_is_due,
            hook_holds,
            started,
            ready: started && is_ready,
            failed,
        }
    }
}
