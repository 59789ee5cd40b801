//! Whether and when an ended container is started again.

use pinnace_api::pod::RestartPolicy;

use super::observed::Exit;
use super::policy::Policy;
use super::record::ContainerProgress;
use crate::time::{BootMillis, Now};

/// The container is not started again after this exit.
pub(super) fn ended_for_good(policy: RestartPolicy, exit: &Exit) -> bool {
    match policy {
        RestartPolicy::Always => false,
        RestartPolicy::OnFailure => exit.code == 0,
        RestartPolicy::Never => true,
    }
}

/// The delay before the restart that follows `exit`, of which `before` holds what came before it.
///
/// The first restart, and the first after a long run, waits for nothing. How long it ran is asked of both
/// clocks: the wall clock may have jumped, and the exit may have been seen late.
pub(super) fn delay_millis(before: &ContainerProgress, exit: &Exit, policy: &Policy, now: Now) -> u64 {
    if before.last_exit.is_none() {
        return 0;
    }
    let at_most = now.boot.since(due(before));
    let by_wall = exit
        .started_at
        .map_or(0, |started| exit.finished_at.0.saturating_sub(started.0));
    if at_most.min(by_wall) >= policy.restart_reset_millis {
        return 0;
    }
    policy.restart.after_millis(before.backoff_millis)
}

/// When the next instance may be created.
pub(super) fn due(progress: &ContainerProgress) -> BootMillis {
    progress.last_exit_noted.after(progress.backoff_millis)
}
