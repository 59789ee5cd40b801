//! Whether and when an ended container is started again.

use pinnace_api::pod::{Container, PodSpec, RestartPolicy};

use super::observed::Exit;
use super::policy::Policy;
use super::record::ContainerProgress;
use crate::time::{BootMillis, Now};

/// The container is one of those that run before the others.
pub(super) fn is_init(spec: &PodSpec, container: &Container) -> bool {
    spec.init_containers.iter().any(|one| one.name == container.name)
}

/// The container is a sidecar: it runs first, and goes on beside what follows.
pub(super) fn is_sidecar(spec: &PodSpec, container: &Container) -> bool {
    container.restart_policy == Some(RestartPolicy::Always) && is_init(spec, container)
}

/// An init container that must end before the next begins.
pub(super) fn must_end(spec: &PodSpec, container: &Container) -> bool {
    is_init(spec, container) && !is_sidecar(spec, container)
}

/// The container is not started again after this exit.
pub(super) fn ended_for_good(spec: &PodSpec, container: &Container, exit: &Exit) -> bool {
    if must_end(spec, container) && exit.code == 0 {
        return true;
    }
    let rules = match container.restart_policy {
        Some(_) => container.restart_rules.as_slice(),
        None => &[],
    };
    if rules
        .iter()
        .any(|rule| rule.values.contains(&exit.code) == rule.is_in)
    {
        // Both actions of a rule start it again.
        return false;
    }
    match container.restart_policy.unwrap_or(spec.restart_policy) {
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
