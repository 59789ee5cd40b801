//! What one container of a pod is doing.

use pinnace_api::pod::Container;
use pinnace_api::{ContainerName, Pod, PodUid};

use super::duration::go_duration;
use super::types::{ContainerState, ContainerStatus, Running, Terminated, Waiting};
use super::{StatusContext, Timestamp};
use crate::pod::instances::{self, Life};
use crate::pod::{
    ContainerProgress, ContainerSeen, Exit, FailedStep, Failure, FailureReason, Health, HookPoint, HookState,
    InstanceState, Observed, Record, container_id, restart,
};
use crate::ports::ImageHandle;

const CREATING: &str = "ContainerCreating";
/// The same, of a pod that has init containers.
const INITIALIZING: &str = "PodInitializing";
const UNSEEN_INIT: &str = "Unable to get init container status from container runtime and pod has been initialized, default it to exit code 0";

/// `containerID` of an instance: the runtime's name, and the instance's own.
fn status_id(uid: &PodUid, name: &ContainerName, attempt: u32) -> String {
    format!("pinnace://{}", container_id(uid, name, attempt))
}

/// `restartCount`: the number of the newest instance, as far as one was created, logged or recorded.
pub fn restart_count(name: &ContainerName, observed: &Observed, record: &Record) -> u32 {
    let begun = |seen: &&ContainerSeen| seen.name == *name && seen.state != InstanceState::Claimed;
    let seen = observed.containers.iter().filter(begun).map(|seen| seen.attempt);
    let recorded = record.progress.container(name).map(|own| own.restart_count);
    let logged = observed.log_attempts.get(name).copied();
    seen.chain(recorded).chain(logged).max().unwrap_or(0)
}

pub(super) fn status(
    pod: &Pod,
    container: &Container,
    observed: &Observed,
    record: &Record,
    context: &StatusContext<'_>,
) -> ContainerStatus {
    let name = &container.name;
    let view = View {
        pod,
        container,
        observed,
        record,
        context,
    };
    let (state, last_state, attempt) = view.states();
    let (started, ready) = view.health(&state);
    let image = context.images.get(name);
    let container_id = attempt.map(|attempt| status_id(&record.identity.uid, name, attempt));
    ContainerStatus {
        name: name.clone(),
        state,
        last_state,
        ready,
        restart_count: restart_count(name, observed, record),
        image: image.map_or_else(|| container.image.clone(), |image| image.reference.clone()),
        image_id: image
            .filter(|_| attempt.is_some())
            .map(image_id)
            .unwrap_or_default(),
        container_id,
        started: Some(started),
    }
}

/// The image by digest, `docker.io/library/busybox@sha256:…`.
fn image_id(image: &ImageHandle) -> String {
    let untagged = match image.reference.rsplit_once('@') {
        Some((untagged, _)) => untagged,
        None => image.reference.as_str(),
    };
    // A colon before the last slash belongs to the registry's port.
    let repository = match untagged.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => untagged,
    };
    format!("{repository}@{}", image.manifest_digest)
}

struct View<'a> {
    pod: &'a Pod,
    container: &'a Container,
    observed: &'a Observed,
    record: &'a Record,
    context: &'a StatusContext<'a>,
}

impl View<'_> {
    /// State, last state, and the instance that they are about.
    fn states(&self) -> (ContainerState, ContainerState, Option<u32>) {
        let name = &self.container.name;
        let own = self.observed.containers.iter().filter(|seen| seen.name == *name);
        let Some(newest) = own.max_by_key(|seen| seen.attempt) else {
            return self.without_instance();
        };
        let attempt = newest.attempt;
        match instances::life_of(newest, self.observed, self.record, self.context.now) {
            Life::Used => self.without_instance(),
            Life::Running => (
                self.running(attempt, &newest.state),
                self.last_exit_state(),
                Some(attempt),
            ),
            Life::Ended(exit) => (
                self.terminated(attempt, &exit),
                self.last_exit_state(),
                Some(attempt),
            ),
            Life::Claimed | Life::Created => {
                let waiting = self
                    .failure()
                    .map_or_else(|| self.creating(), |failure| self.held_up(failure));
                let last = self.progress().and_then(|progress| progress.last_exit.as_ref());
                (waiting, self.last_exit_state(), last.map(|(attempt, _)| *attempt))
            }
        }
    }

    fn without_instance(&self) -> (ContainerState, ContainerState, Option<u32>) {
        let none = ContainerState::default();
        let Some((attempt, exit)) = self.last_exit() else {
            if self.was_done_unseen() {
                return (self.done_unseen(), none, None);
            }
            let waiting = self
                .failure()
                .map_or_else(|| self.creating(), |failure| self.held_up(failure));
            return (waiting, none, None);
        };
        let ended = self.terminated(attempt, exit);
        let ended_with_pod =
            self.record.identity.finished.is_some() || self.record.progress.terminating.is_some();
        let again = self.is_due_again(exit) && !ended_with_pod;
        if !again && (ended_with_pod || restart::ended_for_good(&self.pod.spec, self.container, exit)) {
            return (ended, none, Some(attempt));
        }
        match (self.failure(), self.progress()) {
            (Some(failure), _) if !failure.is_failed_start() => (self.held_up(failure), ended, Some(attempt)),
            (_, Some(progress)) if progress.backoff_millis > 0 => {
                (self.crash_loop(progress), ended, Some(attempt))
            }
            (Some(failure), _) => (self.held_up(failure), ended, Some(attempt)),
            _ if again => (self.creating(), ended, Some(attempt)),
            _ => (ended, none, Some(attempt)),
        }
    }

    /// Whether it has started, and is ready.
    fn health(&self, state: &ContainerState) -> (bool, bool) {
        let done = state
            .terminated
            .as_ref()
            .is_some_and(|ended| ended.exit_code == 0);
        if restart::must_end(&self.pod.spec, self.container) {
            return (state.running.is_some(), done);
        }
        let name = &self.container.name;
        let own = self.observed.containers.iter().filter(|seen| seen.name == *name);
        let newest = own.map(|seen| seen.attempt).max();
        match (newest, state.running.is_some()) {
            (Some(attempt), true) => {
                let health = self.health_of(attempt);
                (health.started, health.ready)
            }
            _ => (false, false),
        }
    }

    fn health_of(&self, attempt: u32) -> Health {
        Health::of(self.container, attempt, &self.record.progress, &self.record.live)
    }

    /// It runs; before its postStart hook is done it is still being made.
    fn running(&self, attempt: u32, state: &InstanceState) -> ContainerState {
        if !self.health_of(attempt).hook_holds {
            return running(state);
        }
        let hook = self
            .record
            .live
            .hook(&self.container.name, attempt, HookPoint::PostStart);
        match hook {
            Some(HookState::Failed(message)) => waiting("PostStartHookError", Some(message.clone())),
            Some(HookState::Running | HookState::Done) | None => self.creating(),
        }
    }

    /// An init container did its part, but in an earlier sandbox.
    fn is_due_again(&self, exit: &Exit) -> bool {
        let sandbox = instances::sandbox_attempt(self.observed, &self.record.progress);
        exit.code == 0
            && restart::must_end(&self.pod.spec, self.container)
            && !instances::is_initialized(&self.record.progress, &self.container.name, sandbox)
            && !self.main_runs()
    }

    /// An init container of which nothing is known, while main containers run: it did its part.
    fn was_done_unseen(&self) -> bool {
        restart::must_end(&self.pod.spec, self.container) && self.main_runs()
    }

    fn main_runs(&self) -> bool {
        let main = &self.pod.spec.containers;
        let runs = |seen: &ContainerSeen| matches!(seen.state, InstanceState::Running { .. });
        let mut running = self.observed.containers.iter().filter(|seen| runs(seen));
        running.any(|seen| main.iter().any(|one| one.name == seen.name))
    }

    fn done_unseen(&self) -> ContainerState {
        ContainerState {
            terminated: Some(Terminated {
                exit_code: 0,
                reason: Some("Completed".to_owned()),
                message: Some(UNSEEN_INIT.to_owned()),
                started_at: None,
                finished_at: Timestamp(self.record.identity.created_at),
                container_id: None,
            }),
            ..ContainerState::default()
        }
    }

    /// The newest end that is recorded: in this boot's record, or in the durable one.
    fn last_exit(&self) -> Option<(u32, &Exit)> {
        let name = &self.container.name;
        if let Some((attempt, exit)) = self.progress().and_then(|progress| progress.last_exit.as_ref()) {
            return Some((*attempt, exit));
        }
        let exit = self.record.identity.finished.as_ref()?.exits.get(name)?;
        Some((self.observed.log_attempts.get(name).copied().unwrap_or(0), exit))
    }

    fn last_exit_state(&self) -> ContainerState {
        match self.progress().and_then(|progress| progress.last_exit.as_ref()) {
            Some((attempt, exit)) => self.terminated(*attempt, exit),
            None => ContainerState::default(),
        }
    }

    fn progress(&self) -> Option<&ContainerProgress> {
        self.record.progress.container(&self.container.name)
    }

    /// Why the container is not made; what only could not be removed is no reason for that.
    fn failure(&self) -> Option<&Failure> {
        let failure = self.record.failures.get(&self.container.name)?;
        matches!(failure.step, FailedStep::Create | FailedStep::Start).then_some(failure)
    }

    fn creating_word(&self) -> &'static str {
        if self.pod.spec.init_containers.is_empty() {
            CREATING
        } else {
            INITIALIZING
        }
    }

    fn creating(&self) -> ContainerState {
        let of_pod = self.record.pod_failure.as_ref();
        let message = of_pod.filter(|failure| failure.step == FailedStep::Create);
        waiting(
            self.creating_word(),
            message.map(|failure| failure.message.clone()),
        )
    }

    fn held_up(&self, failure: &Failure) -> ContainerState {
        let message = failure.message.clone();
        match failure.reason {
            // The kubelet's two faces of it: the failure itself, and the wait after it.
            FailureReason::ErrImagePull if failure.tries > 1 => {
                let image = &self.container.image;
                let message = format!("Back-off pulling image {image:?}: ErrImagePull: {message}");
                waiting("ImagePullBackOff", Some(message))
            }
            FailureReason::FailedMount | FailureReason::FailedCreatePodSandBox => {
                waiting(self.creating_word(), Some(message))
            }
            reason => waiting(reason.as_str(), Some(message)),
        }
    }

    fn crash_loop(&self, progress: &ContainerProgress) -> ContainerState {
        let message = format!(
            "back-off {} restarting failed container={} pod={}_{}({})",
            go_duration(progress.backoff_millis),
            self.container.name,
            self.pod.meta.name,
            self.pod.meta.namespace,
            self.record.identity.uid,
        );
        waiting("CrashLoopBackOff", Some(message))
    }

    fn terminated(&self, attempt: u32, exit: &Exit) -> ContainerState {
        let text = |text: &String| (!text.is_empty()).then(|| text.clone());
        let terminated = Terminated {
            exit_code: exit.code,
            reason: text(&exit.reason),
            message: text(&exit.message),
            started_at: exit.started_at.map(Timestamp),
            finished_at: Timestamp(exit.finished_at),
            container_id: Some(status_id(
                &self.record.identity.uid,
                &self.container.name,
                attempt,
            )),
        };
        ContainerState {
            terminated: Some(terminated),
            ..ContainerState::default()
        }
    }
}

fn waiting(reason: &str, message: Option<String>) -> ContainerState {
    let waiting = Waiting {
        reason: reason.to_owned(),
        message,
    };
    ContainerState {
        waiting: Some(waiting),
        ..ContainerState::default()
    }
}

fn running(state: &InstanceState) -> ContainerState {
    match state {
        InstanceState::Running { started_at, .. } => {
            let running = Running {
                started_at: Timestamp(*started_at),
            };
            ContainerState {
                running: Some(running),
                ..ContainerState::default()
            }
        }
        _ => ContainerState::default(),
    }
}
