//! Looking after an instance that runs while its pod goes on: its postStart hook, what its probes found, and its
//! end where one of them failed.

use pinnace_api::Pod;
use pinnace_api::pod::Container;

use super::action::Action;
use super::bring_up::Standing;
use super::health::Health;
use super::live::{HookPoint, HookState};
use super::press::{self, Blow, Pressed};
use super::record::{Readiness, Stop, StopCause};
use super::sketch::Sketch;

/// Looks after a running instance.
pub(super) fn tend(sketch: &mut Sketch<'_>, pod: &Pod, container: &Container, attempt: u32) -> Standing {
    let name = &container.name;
    let under_way = sketch.progress().container(name).and_then(|own| own.stop.clone());
    if let Some(stop) = under_way.filter(|stop| stop.attempt == attempt) {
        go_on(sketch, container, &stop);
        return Standing::Down;
    }
    let health = Health::of(container, attempt, sketch.progress(), &sketch.record.live);
    if health.hook_is_due {
        match sketch.record.live.hook(name, attempt, HookPoint::PostStart) {
            None => {
                post_start(sketch, container, attempt);
                return Standing::Hooked;
            }
            Some(HookState::Running) => return Standing::Hooked,
            Some(HookState::Failed(_)) => {
                begin(sketch, pod, container, attempt, StopCause::PostStart);
                return Standing::Down;
            }
            Some(HookState::Done) => sketch.change_container(name).post_started = Some(attempt),
        }
    }
    if let Some(cause) = health.failed {
        begin(sketch, pod, container, attempt, cause);
        return Standing::Down;
    }
    take_down(sketch, container, attempt, &health);
    match health.started {
        true => Standing::Started,
        false => Standing::Starting,
    }
}

/// Begins the postStart hook.
pub(super) fn post_start(sketch: &mut Sketch<'_>, container: &Container, attempt: u32) {
    sketch.push(Action::RunHook {
        name: container.name.clone(),
        attempt,
        point: HookPoint::PostStart,
        within_millis: None,
    });
}

/// Records what the probes found, for an agent to come.
fn take_down(sketch: &mut Sketch<'_>, container: &Container, attempt: u32, health: &Health) {
    let (name, now) = (&container.name, sketch.now.wall);
    let recorded = sketch.progress().container(name);
    let started = recorded.and_then(|own| own.started) == Some(attempt);
    let readiness = recorded.and_then(|own| own.readiness);
    if container.probes.startup.is_some() && health.started && !started {
        sketch.change_container(name).started = Some(attempt);
    }
    let known = readiness.filter(|known| known.attempt == attempt);
    if container.probes.readiness.is_some() && known.is_some_and(|known| known.ready) != health.ready {
        sketch.change_container(name).readiness = Some(Readiness {
            attempt,
            ready: health.ready,
            since: now,
        });
    }
}

/// Decides that the instance ends; the first act against it follows once that is recorded.
fn begin(sketch: &mut Sketch<'_>, pod: &Pod, container: &Container, attempt: u32, cause: StopCause) {
    if !sketch.may_end(&container.name) {
        return;
    }
    let (probes, now) = (&container.probes, sketch.now.boot);
    let own = match cause {
        StopCause::Startup => probes.startup.as_ref(),
        StopCause::Liveness => probes.liveness.as_ref(),
        StopCause::PostStart => None,
    };
    let grace = own
        .and_then(|probe| probe.termination_grace_period_seconds)
        .unwrap_or(pod.spec.termination_grace_period_seconds);
    let stop = Stop {
        attempt,
        cause,
        since: now,
        deadline: now.after(u64::from(grace) * 1000),
        signalled: None,
        killed: None,
    };
    sketch.push(Action::NoteStop {
        name: container.name.clone(),
        attempt,
        cause,
    });
    sketch.change_container(&container.name).stop = Some(stop.clone());
    sketch.save();
    go_on(sketch, container, &stop);
}

/// The next act against an instance that is to end.
fn go_on(sketch: &mut Sketch<'_>, container: &Container, stop: &Stop) {
    let (name, attempt) = (&container.name, stop.attempt);
    let pressed = Pressed {
        since: stop.since,
        deadline: stop.deadline,
        signalled: stop.signalled,
        killed: stop.killed,
        its_turn: true,
    };
    let now = sketch.now.boot;
    match press::press(sketch, Some(container), name, attempt, &pressed) {
        Blow::None => {}
        Blow::Signal => change_stop(sketch, container, |stop| stop.signalled = Some(now)),
        Blow::Kill => change_stop(sketch, container, |stop| stop.killed = Some(now)),
    }
}

fn change_stop(sketch: &mut Sketch<'_>, container: &Container, change: impl FnOnce(&mut Stop)) {
    if let Some(stop) = &mut sketch.change_container(&container.name).stop {
        change(stop);
    }
}
