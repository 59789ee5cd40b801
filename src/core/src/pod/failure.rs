//! What a worker keeps of an action's outcome until its next question.
//!
//! A failure of an action that names a container belongs to that container and holds up nothing else; any
//! other belongs to the pod. It goes when an action of its kind goes through, or when what is wanted changes.

use pinnace_api::ContainerName;

use super::action::Action;
use super::live::HookState;
use super::policy::Policy;
use super::record::Record;
use super::tries::{FailedStep, Failure, FailureReason};
use crate::time::Now;

impl Action {
    /// The container that the action is about, if it is about one.
    pub fn container(&self) -> Option<&ContainerName> {
        match self {
            Action::CreateContainer { name, .. }
            | Action::StartContainer { name, .. }
            | Action::StopContainer { name, .. }
            | Action::KillContainer { name, .. }
            | Action::RemoveContainer { name, .. }
            | Action::RunHook { name, .. }
            | Action::NoteStop { name, .. }
            | Action::NoteExit { name, .. } => Some(name),
            _ => None,
        }
    }

    /// The instance that the action is about, if it is about one.
    pub fn attempt(&self) -> Option<u32> {
        match self {
            Action::CreateContainer { attempt, .. }
            | Action::StartContainer { attempt, .. }
            | Action::StopContainer { attempt, .. }
            | Action::KillContainer { attempt, .. }
            | Action::RemoveContainer { attempt, .. }
            | Action::RunHook { attempt, .. }
            | Action::NoteStop { attempt, .. }
            | Action::NoteExit { attempt, .. } => Some(*attempt),
            _ => None,
        }
    }

    /// The kind of action, for its failures.
    pub fn step(&self) -> FailedStep {
        match self {
            Action::SaveProgress(_)
            | Action::SaveFinished(_)
            | Action::NoteStop { .. }
            | Action::NoteExit { .. } => FailedStep::Save,
            Action::CreateSandbox { .. }
            | Action::AttachNetwork
            | Action::PrepareVolumes
            | Action::CreateContainer { .. } => FailedStep::Create,
            Action::StartContainer { .. } => FailedStep::Start,
            Action::StopContainer { .. }
            | Action::KillContainer { .. }
            | Action::RunHook { .. }
            | Action::KillPodCgroup
            | Action::RemoveContainer { .. }
            | Action::DetachNetwork
            | Action::RemoveSandbox
            | Action::RemoveVolumes
            | Action::RemoveLogs
            | Action::ForgetRecord => FailedStep::End,
        }
    }
}

impl Record {
    /// Takes note that `action` failed, with Kubernetes' reason and the whole chain of causes.
    pub fn failed(
        &mut self,
        action: &Action,
        reason: FailureReason,
        message: String,
        policy: &Policy,
        now: Now,
    ) {
        let step = action.step();
        let previous = match action.container() {
            Some(name) => self.failures.get(name),
            None => self.pod_failure.as_ref(),
        };
        let tries = previous
            .filter(|failure| failure.step == step)
            .map_or(0, |failure| failure.tries)
            .saturating_add(1);
        let retry_at = now.boot.after(policy.retry_millis(step, reason, tries));
        let failure = Failure {
            step,
            attempt: action.attempt(),
            reason,
            message,
            tries,
            failed_at: now.boot,
            retry_at,
        };
        match action.container() {
            Some(name) => {
                self.failures.insert(name.clone(), failure);
            }
            None => self.pod_failure = Some(failure),
        }
    }

    /// Takes note that `action` went through.
    pub fn succeeded(&mut self, action: &Action) {
        if let Action::RunHook {
            name, attempt, point, ..
        } = action
        {
            return self.live.set_hook(name, *attempt, *point, HookState::Running);
        }
        let step = action.step();
        // A new instance, or one that runs, has nothing to do with why an older one could not be started.
        let ends = |failure: &Failure| {
            failure.step == step || (step == FailedStep::Create && failure.step == FailedStep::Start)
        };
        match action.container() {
            Some(name) => {
                if self.failures.get(name).is_some_and(ends) {
                    self.failures.remove(name);
                }
            }
            None => {
                if self.pod_failure.as_ref().is_some_and(ends) {
                    self.pod_failure = None;
                }
            }
        }
    }

    /// Forgets all failures, so that everything is tried at once: what is wanted has changed, or an image
    /// that was missed has come.
    pub fn try_at_once(&mut self) {
        self.pod_failure = None;
        // A failed start is the instance's end, which only taking note of it may forget.
        self.failures.retain(|_, failure| failure.is_failed_start());
    }
}

#[cfg(test)]
mod tests {
    use pinnace_api::testing;
    use serde_json::json;

    use super::*;
    use crate::fake::sample;
    use crate::pod::Progress;
    use crate::time::{BootId, BootMillis, WallMillis};

    const NOW: Now = Now {
        boot: BootMillis(5_000),
        wall: WallMillis(0),
    };

    fn record() -> Record {
        let pod = testing::pod("web", json!({}));
        Record {
            identity: sample::identity(sample::uid(1), &pod, NOW.wall),
            progress: Progress::new(BootId("boot".to_owned())),
            failures: Default::default(),
            pod_failure: None,
            live: Default::default(),
        }
    }

    fn create() -> Action {
        Action::CreateContainer {
            name: sample::name("one"),
            attempt: 3,
        }
    }

    fn start() -> Action {
        Action::StartContainer {
            name: sample::name("one"),
            attempt: 3,
        }
    }

    fn remove() -> Action {
        Action::RemoveContainer {
            name: sample::name("one"),
            attempt: 3,
        }
    }

    fn fail(record: &mut Record, action: &Action, reason: FailureReason) {
        record.failed(action, reason, "because".to_owned(), &Policy::default(), NOW);
    }

    fn of_one(record: &Record) -> Option<&Failure> {
        record.failures.get(&sample::name("one"))
    }

    #[test]
    fn failures_of_one_kind_in_a_row_wait_ever_longer() {
        let mut record = record();
        for (tries, delay) in [(1, 1_000), (2, 2_000), (3, 4_000)] {
            fail(&mut record, &create(), FailureReason::CreateContainerError);
            let failure = of_one(&record).unwrap();
            assert_eq!((failure.tries, failure.retry_at), (tries, NOW.boot.after(delay)));
            assert_eq!(failure.attempt, Some(3));
        }
        fail(&mut record, &remove(), FailureReason::CreateContainerError);
        assert_eq!(of_one(&record).map(|failure| failure.tries), Some(1));
    }

    #[test]
    fn only_success_of_the_same_kind_ends_a_failure() {
        let mut record = record();
        fail(&mut record, &create(), FailureReason::CreateContainerError);
        record.succeeded(&remove());
        assert!(
            of_one(&record).is_some(),
            "a retry removes what is left before it creates"
        );
        record.succeeded(&create());
        assert!(of_one(&record).is_none());
        fail(&mut record, &start(), FailureReason::RunContainerError);
        record.succeeded(&create());
        assert!(of_one(&record).is_none(), "a new instance has its own start");
    }

    #[test]
    fn what_names_no_container_is_the_pods() {
        let mut record = record();
        fail(&mut record, &Action::PrepareVolumes, FailureReason::FailedMount);
        assert!(record.failures.is_empty());
        record.succeeded(&Action::SaveProgress(record.progress.clone()));
        assert!(record.pod_failure.is_some());
        record.succeeded(&Action::PrepareVolumes);
        assert!(record.pod_failure.is_none());
    }

    #[test]
    fn another_wish_forgets_all_but_that_a_program_could_not_be_started() {
        let mut record = record();
        fail(&mut record, &Action::PrepareVolumes, FailureReason::FailedMount);
        fail(&mut record, &create(), FailureReason::ErrImagePull);
        record.try_at_once();
        assert!(record.failures.is_empty() && record.pod_failure.is_none());
        fail(&mut record, &create(), FailureReason::RunContainerError);
        record.try_at_once();
        assert!(of_one(&record).is_some_and(Failure::is_failed_start));
    }
}
