//! Ending one living instance: its preStop hook, its turn, the stop signal, and SIGKILL after the grace period.
//!
//! All of it has the one grace period. What had to wait for its hook or its turn gets a moment for the signal all
//! the same, as in the kubelet.

use pinnace_api::ContainerName;
use pinnace_api::pod::Container;

use super::action::Action;
use super::live::{HookPoint, HookState};
use super::sketch::Sketch;
use crate::time::BootMillis;

/// What is left for the signal at least, however long the hook took.
pub(super) const MINIMUM_MILLIS: u64 = 2_000;

/// How far the end of an instance is.
#[derive(Debug)]
pub(super) struct Pressed {
    pub since: BootMillis,
    pub deadline: BootMillis,
    /// When the stop signal was sent.
    pub signalled: Option<BootMillis>,
    /// When SIGKILL was sent last.
    pub killed: Option<BootMillis>,
    /// Nothing that must end before it lives.
    pub its_turn: bool,
}

/// What was asked for, to be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blow {
    None,
    Signal,
    Kill,
}

/// Asks for the next act against the instance, of a container that may not be known any more.
pub(super) fn press(
    sketch: &mut Sketch<'_>,
    container: Option<&Container>,
    name: &ContainerName,
    attempt: u32,
    pressed: &Pressed,
) -> Blow {
    let now = sketch.now.boot;
    let (name, deadline) = (name.clone(), pressed.deadline);
    if deadline > pressed.since {
        match pressed.signalled {
            None if now < deadline => {
                sketch.wake(deadline);
                if hook_holds(sketch, container, attempt, deadline) || !pressed.its_turn {
                    return Blow::None;
                }
                return signal(sketch, name, attempt);
            }
            None if was_held_back(container, pressed) && now < deadline.after(MINIMUM_MILLIS) => {
                sketch.wake(deadline.after(MINIMUM_MILLIS));
                return signal(sketch, name, attempt);
            }
            None => {}
            Some(at) => {
                let last = deadline.max(at.after(MINIMUM_MILLIS));
                if now < last {
                    sketch.wake(last);
                    return Blow::None;
                }
            }
        }
    }
    kill(sketch, name, attempt, pressed)
}

fn was_held_back(container: Option<&Container>, pressed: &Pressed) -> bool {
    !pressed.its_turn || container.is_some_and(|container| container.lifecycle.pre_stop.is_some())
}

/// The preStop hook is not done yet; it is begun where that is due.
fn hook_holds(
    sketch: &mut Sketch<'_>,
    container: Option<&Container>,
    attempt: u32,
    deadline: BootMillis,
) -> bool {
    let Some(container) = container.filter(|container| container.lifecycle.pre_stop.is_some()) else {
        return false;
    };
    match sketch
        .record
        .live
        .hook(&container.name, attempt, HookPoint::PreStop)
    {
        Some(HookState::Running) => true,
        Some(HookState::Done | HookState::Failed(_)) => false,
        None => {
            let within_millis = Some(deadline.since(sketch.now.boot));
            sketch.push(Action::RunHook {
                name: container.name.clone(),
                attempt,
                point: HookPoint::PreStop,
                within_millis,
            });
            true
        }
    }
}

fn signal(sketch: &mut Sketch<'_>, name: ContainerName, attempt: u32) -> Blow {
    if !sketch.may_end(&name) {
        return Blow::None;
    }
    sketch.push(Action::StopContainer { name, attempt });
    Blow::Signal
}

fn kill(sketch: &mut Sketch<'_>, name: ContainerName, attempt: u32, pressed: &Pressed) -> Blow {
    let (now, pause) = (sketch.now.boot, sketch.policy.kill_again_millis);
    if let Some(sent) = pressed.killed {
        let again = sent.after(pause);
        if now < again {
            sketch.wake(again);
            return Blow::None;
        }
    }
    if !sketch.may_end(&name) {
        return Blow::None;
    }
    sketch.wake(now.after(pause));
    sketch.push(Action::KillContainer { name, attempt });
    Blow::Kill
}
