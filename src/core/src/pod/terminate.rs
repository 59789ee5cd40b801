//! A pod that is ended: stop signals, the grace period, SIGKILL, then everything it made is removed.
//!
//! Once `Progress::terminating` is recorded nothing starts any more, whatever is wanted later. A removal
//! cannot be taken back; an eviction can become a removal.
//!
//! All main containers are told at once; sidecars end after them, the last one first, within the same period.

use pinnace_api::Pod;

use super::action::Action;
use super::ends;
use super::finish;
use super::instances::{self, Instance};
use super::order;
use super::press::{self, Blow, Pressed};
use super::record::{Eviction, Finished, Termination};
use super::sketch::Sketch;
use super::tries::FailedStep;

/// How the pod ends.
pub(super) struct Ending {
    /// Overrides the pod's grace period; may shorten a termination under way.
    pub grace_period_seconds: Option<u32>,
    /// The pod stays listed; `None`: nothing of it stays.
    pub eviction: Option<Eviction>,
}

/// Plans for a pod that is being removed or evicted.
pub(super) fn end(sketch: &mut Sketch<'_>, pod: &Pod, ending: &Ending) {
    let stays = ending.eviction.is_some();
    let Some(termination) = begin(sketch, pod, ending) else {
        return;
    };
    let (found, orphans) = instances::sort_out(sketch);
    let logs_count = stays && sketch.record.identity.finished.is_none();
    let ends = ends::unrecorded(sketch, pod, &found, logs_count);
    if (orphans || !ends.is_empty()) && !sketch.pod_may_end() {
        return;
    }
    if orphans {
        sketch.kill_cgroup_first();
    }
    ends::take_note(sketch, pod, ends);
    let (living, ended): (Vec<Instance>, Vec<Instance>) = found.into_iter().partition(Instance::lives);
    for instance in &living {
        press(sketch, pod, &termination, instance, &living);
    }
    sketch.save();
    if living.is_empty() && stays && sketch.record.identity.finished.is_none() {
        if !sketch.pod_may_end() {
            return;
        }
        let finished = how(sketch, pod, termination.eviction.unwrap_or_default());
        sketch.push(Action::SaveFinished(finished));
    }
    if living.is_empty() {
        if finish::clear(sketch, &ended) && !stays && sketch.pod_may_end() {
            sketch.push(Action::RemoveLogs);
            sketch.push(Action::ForgetRecord);
        }
        return;
    }
    for instance in &ended {
        if sketch.may_end(&instance.name) {
            let (name, attempt) = (instance.name.clone(), instance.attempt);
            sketch.push(Action::RemoveContainer { name, attempt });
        }
    }
}

/// How a pod that stays listed has ended.
fn how(sketch: &Sketch<'_>, pod: &Pod, eviction: Eviction) -> Finished {
    let finished = finish::finished(sketch.progress(), pod);
    Finished {
        succeeded: eviction.by_itself && finished.succeeded,
        reason: eviction.reason,
        message: eviction.message,
        exits: finished.exits,
    }
}

/// Records the termination before its first act, or adapts the one under way; `None` if held up.
fn begin(sketch: &mut Sketch<'_>, pod: &Pod, ending: &Ending) -> Option<Termination> {
    let now = sketch.now;
    let own = pod.spec.termination_grace_period_seconds;
    let grace_millis = u64::from(ending.grace_period_seconds.unwrap_or(own)) * 1000;
    let current = sketch.progress().terminating.clone();
    let mut next = match &current {
        Some(termination) => termination.clone(),
        None => Termination {
            since: now,
            deadline: now.boot.after(grace_millis),
            eviction: ending.eviction.clone(),
            ..Termination::default()
        },
    };
    if ending.eviction.is_none() {
        next.eviction = None;
    }
    if ending.grace_period_seconds.is_some() {
        next.deadline = next.deadline.min(next.since.boot.after(grace_millis));
    }
    if expired_unsignalled(sketch, &next) {
        let grace_millis = next.deadline.since(next.since.boot);
        next.since = now;
        next.deadline = now.boot.after(grace_millis);
    }
    if current.as_ref() != Some(&next) {
        if !sketch.pod_may_end() {
            return None;
        }
        sketch.change().terminating = Some(next.clone());
        sketch.save();
    }
    Some(next)
}

/// The grace period ran out before any signal was sent, because the agent was away: it is granted anew. An agent that
/// has begun a hook was not away: there the hook took all the time.
fn expired_unsignalled(sketch: &Sketch<'_>, termination: &Termination) -> bool {
    let tried = sketch
        .record
        .failures
        .values()
        .any(|failure| failure.step == FailedStep::End);
    termination.deadline > termination.since.boot
        && termination.deadline <= sketch.now.boot
        && termination.signalled.is_empty()
        && termination.killed.is_empty()
        && !tried
        && !sketch.record.live.has_begun_pre_stop()
}

/// The next act against a living instance: its hook, the stop signal once it is its turn, SIGKILL.
fn press(
    sketch: &mut Sketch<'_>,
    pod: &Pod,
    termination: &Termination,
    instance: &Instance,
    living: &[Instance],
) {
    let name = &instance.name;
    let late = termination.signalled_late.get(name).copied();
    let signalled = termination.signalled.contains(name);
    let pressed = Pressed {
        since: termination.since.boot,
        deadline: termination.deadline,
        signalled: late.or(signalled.then_some(termination.since.boot)),
        killed: termination.killed.get(name).copied(),
        its_turn: order::is_its_turn(&pod.spec, name, living),
    };
    let (container, now) = (pod.spec.container(name), sketch.now.boot);
    let blow = press::press(sketch, container, name, instance.attempt, &pressed);
    if blow == Blow::None {
        return;
    }
    let Some(recorded) = &mut sketch.change().terminating else {
        return;
    };
    if blow == Blow::Kill {
        recorded.killed.insert(name.clone(), now);
        return;
    }
    recorded.signalled.insert(name.clone());
    if now > recorded.since.boot {
        recorded.signalled_late.insert(name.clone(), now);
    }
}
