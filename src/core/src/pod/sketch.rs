//! A plan in the making.
//!
//! Holds the record as it will be once the actions so far are carried out. Changes of it are collected, and
//! written by one `SaveProgress` where the next action must not come before them.

use pinnace_api::ContainerName;

use super::action::{Action, Plan};
use super::instances;
use super::observed::Observed;
use super::policy::Policy;
use super::record::{ContainerProgress, Progress, Record};
use super::tries::{FailedStep, Failure};
use crate::time::{BootMillis, Now};

pub(super) struct Sketch<'a> {
    pub observed: &'a Observed,
    pub record: &'a Record,
    pub policy: &'a Policy,
    pub now: Now,
    progress: Progress,
    unsaved: bool,
    kill_first: bool,
    plan: Plan,
}

impl<'a> Sketch<'a> {
    pub fn new(observed: &'a Observed, record: &'a Record, policy: &'a Policy, now: Now) -> Self {
        Self {
            observed,
            record,
            policy,
            now,
            progress: record.progress.clone(),
            unsaved: false,
            kill_first: false,
            plan: Plan::default(),
        }
    }

    /// The record as it will be.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Changes the record; [`Sketch::save`] must follow before the plan's end.
    pub fn change(&mut self) -> &mut Progress {
        self.unsaved = true;
        &mut self.progress
    }

    /// Changes what is recorded of one container.
    pub fn change_container(&mut self, name: &ContainerName) -> &mut ContainerProgress {
        self.change().containers.entry(name.clone()).or_default()
    }

    /// The number of the sandbox that carries the pod once the actions so far are carried out, or of the next one.
    pub fn sandbox_attempt(&self) -> u32 {
        instances::sandbox_attempt(self.observed, &self.progress)
    }

    /// Writes the changes collected, if there are any.
    pub fn save(&mut self) {
        if self.unsaved {
            self.unsaved = false;
            self.push(Action::SaveProgress(self.progress.clone()));
        }
    }

    /// The pod's cgroup is ended before whatever comes next. Where nothing comes next, because it is held up
    /// by a failure, the cgroup was ended before that failure.
    pub fn kill_cgroup_first(&mut self) {
        self.kill_first = true;
    }

    pub fn push(&mut self, action: Action) {
        if std::mem::take(&mut self.kill_first) {
            self.plan.actions.push(Action::KillPodCgroup);
        }
        self.plan.actions.push(action);
    }

    /// Asks again at `at` at the latest.
    pub fn wake(&mut self, at: BootMillis) {
        let earliest = self.plan.wake_at.map_or(at, |other| other.min(at));
        self.plan.wake_at = Some(earliest);
    }

    /// Nothing of this container waits for a further try, or else its time is set as the wake-up.
    pub fn may_try(&mut self, name: &ContainerName) -> bool {
        // A failed start is waited out by the restart's own back-off.
        let failure = self.record.failures.get(name);
        self.passes(failure.filter(|failure| !failure.is_failed_start()))
    }

    /// Likewise for actions that end the container: what failed while it was made does not hold them up.
    pub fn may_end(&mut self, name: &ContainerName) -> bool {
        let failure = self.record.failures.get(name);
        self.passes(failure.filter(|failure| failure.step == FailedStep::End))
    }

    /// Likewise for actions on the pod as a whole.
    pub fn pod_may_try(&mut self) -> bool {
        self.passes(self.record.pod_failure.as_ref())
    }

    /// Likewise for actions that end the pod as a whole.
    pub fn pod_may_end(&mut self) -> bool {
        let failure = self.record.pod_failure.as_ref();
        self.passes(failure.filter(|failure| matches!(failure.step, FailedStep::End | FailedStep::Save)))
    }

    fn passes(&mut self, failure: Option<&Failure>) -> bool {
        match failure {
            Some(failure) if failure.retry_at > self.now.boot => {
                self.wake(failure.retry_at);
                false
            }
            _ => true,
        }
    }

    pub fn finish(self) -> Plan {
        self.plan
    }
}
