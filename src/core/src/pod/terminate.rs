//! A pod that is ended: stop signals, the grace period, SIGKILL, then everything it made is removed.
//!
//! Once `Progress::terminating` is recorded nothing starts any more, whatever is wanted later. A removal
//! cannot be taken back; an eviction can become a removal.

use pinnace_api::Pod;

use super::action::Action;
use super::ends;
use super::finish;
use super::instances::{self, Instance};
use super::record::{Eviction, FailedStep, Finished, Termination};
use super::sketch::Sketch;

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
    ends::take_note(sketch, ends);
    let (living, ended): (Vec<Instance>, Vec<Instance>) = found.into_iter().partition(Instance::lives);
    for instance in &living {
        press(sketch, &termination, instance);
    }
    sketch.save();
    if living.is_empty() && stays && sketch.record.identity.finished.is_none() {
        if !sketch.pod_may_end() {
            return;
        }
        let exits = finish::last_exits(sketch.progress());
        let Eviction { reason, message } = termination.eviction.unwrap_or_default();
        sketch.push(Action::SaveFinished(Finished {
            succeeded: false,
            reason,
            message,
            exits,
        }));
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

/// The grace period ran out before any signal was sent, because the agent was away: it is granted anew.
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
}

/// Sends the stop signal once, and SIGKILL after the deadline.
fn press(sketch: &mut Sketch<'_>, termination: &Termination, instance: &Instance) {
    let now = sketch.now.boot;
    let (name, attempt) = (instance.name.clone(), instance.attempt);
    if now < termination.deadline {
        sketch.wake(termination.deadline);
        if !termination.signalled.contains(&name) && sketch.may_end(&name) {
            sketch.push(Action::StopContainer {
                name: name.clone(),
                attempt,
            });
            if let Some(recorded) = &mut sketch.change().terminating {
                recorded.signalled.insert(name);
            }
        }
        return;
    }
    if let Some(sent) = termination.killed.get(&name) {
        let again = sent.after(sketch.policy.kill_again_millis);
        if now < again {
            return sketch.wake(again);
        }
    }
    if sketch.may_end(&name) {
        sketch.wake(now.after(sketch.policy.kill_again_millis));
        sketch.push(Action::KillContainer {
            name: name.clone(),
            attempt,
        });
        if let Some(recorded) = &mut sketch.change().terminating {
            recorded.killed.insert(name, now);
        }
    }
}
