//! A pod that shall run: sandbox, network, volumes, then each container by itself.
//!
//! A network that has lost a part is attached again under its living containers; only a lost sandbox ends them.

use pinnace_api::Pod;

use super::action::Action;
use super::bring_up::{Standing, bring_up, clear_all, clear_away};
use super::ends;
use super::finish::{self, End};
use super::init;
use super::instances::{self, Instance};
use super::observed::{SandboxState, ShimState};
use super::record::Eviction;
use super::sketch::Sketch;
use super::terminate::{self, Ending};
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
    let nothing_new = ends.is_empty();
    ends::take_note(sketch, pod, ends);
    match finish::end_of(sketch.progress(), pod, &found) {
        End::NotYet => {}
        End::All(finished) => {
            sketch.push(Action::SaveFinished(finished));
            finish::clear(sketch, &found);
            return;
        }
        End::AllButHelpers if nothing_new => return wind_up(sketch, pod),
        // What was just noted is in the record at the next question.
        End::AllButHelpers => return,
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
        init::begin_anew(sketch);
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
    if init::initialise(sketch, pod, &found) {
        bring_up_main(sketch, pod, &found);
    }
    sketch.save();
    let strangers: Vec<&Instance> = found
        .iter()
        .filter(|one| pod.spec.container(&one.name).is_none())
        .collect();
    clear_all(sketch, &strangers);
}

/// The main containers in their order: what comes after one whose postStart hook is under way waits for that.
fn bring_up_main(sketch: &mut Sketch<'_>, pod: &Pod, found: &[Instance]) {
    let mut held = false;
    for container in &pod.spec.containers {
        // Recorded before the next act: what was found out before it must not be lost with it.
        sketch.save();
        let own = instances::of(found, &container.name);
        held |= bring_up(sketch, pod, container, &own, held) == Standing::Hooked;
    }
}

/// Ends what still runs of a pod whose main containers have ended for good, or cannot begin.
fn wind_up(sketch: &mut Sketch<'_>, pod: &Pod) {
    let eviction = Eviction {
        by_itself: true,
        ..Eviction::default()
    };
    let ending = Ending {
        grace_period_seconds: None,
        eviction: Some(eviction),
    };
    terminate::end(sketch, pod, &ending);
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
