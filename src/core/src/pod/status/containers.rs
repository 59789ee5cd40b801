//! What one container of a pod is doing.

use pinnace_api::pod::Container;
use pinnace_api::{ContainerName, Pod, PodUid};

use super::duration::go_duration;
use super::types::{ContainerState, ContainerStatus, Running, Terminated, Waiting};
use super::{StatusContext, Timestamp};
use crate::pod::instances::{self, Life};
use crate::pod::{
    ContainerProgress, ContainerSeen, Exit, FailedStep, Failure, FailureReason, InstanceState, Observed,
    Record, container_id, restart,
};
use crate::ports::ImageHandle;

const CREATING: &str = "ContainerCreating";

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
    let runs = state.running.is_some();
    let image = context.images.get(name);
    let container_id = attempt.map(|attempt| status_id(&record.identity.uid, name, attempt));
    ContainerStatus {
        name: name.clone(),
        state,
        last_state,
        ready: runs,
        restart_count: restart_count(name, observed, record),
        image: image.map_or_else(|| container.image.clone(), |image| image.reference.clone()),
        image_id: image
            .filter(|_| attempt.is_some())
            .map(image_id)
            .unwrap_or_default(),
        container_id,
        started: Some(runs),
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
            Life::Running => (running(&newest.state), self.last_exit_state(), Some(attempt)),
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
            let waiting = self
                .failure()
                .map_or_else(|| self.creating(), |failure| self.held_up(failure));
            return (waiting, none, None);
        };
        let ended = self.terminated(attempt, exit);
        let is_over = self.record.identity.finished.is_some()
            || self.record.progress.terminating.is_some()
            || restart::ended_for_good(self.pod.spec.restart_policy, exit);
        if is_over {
            return (ended, none, Some(attempt));
        }
        match (self.failure(), self.progress()) {
            (Some(failure), _) if !failure.is_failed_start() => (self.held_up(failure), ended, Some(attempt)),
            (_, Some(progress)) if progress.backoff_millis > 0 => {
                (self.crash_loop(progress), ended, Some(attempt))
            }
            (Some(failure), _) => (self.held_up(failure), ended, Some(attempt)),
            _ => (ended, none, Some(attempt)),
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

    fn creating(&self) -> ContainerState {
        let of_pod = self.record.pod_failure.as_ref();
        let message = of_pod.filter(|failure| failure.step == FailedStep::Create);
        waiting(CREATING, message.map(|failure| failure.message.clone()))
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
                waiting(CREATING, Some(message))
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
