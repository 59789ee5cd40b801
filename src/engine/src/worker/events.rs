//! What people are told of a pod: events and log lines, in the kubelet's words where it has them.

use std::collections::BTreeMap;

use pinnace_api::pod::{Container, DnsPolicy, RestartPolicy};
use pinnace_api::{ContainerName, ObjectKey, Pod};
use pinnace_core::event::{Event, EventType};
use pinnace_core::host::Host;
use pinnace_core::network::ResolverWarning;
use pinnace_core::pod::{Action, Exit, FailedStep, FailureReason, HookPoint, StopCause};
use pinnace_core::ports::{PodRuntime, PortError, Telemetry};

use super::hooks::HookOf;
use super::{PodWorker, Shared};
use crate::adapters::Adapters;
use crate::board::PodView;

/// What was told once, so that it is not told at every look.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The wait before a restart, or for an image: the waiting reason, and the restarts or tries before it.
    back_offs: BTreeMap<ContainerName, (String, u32)>,
    /// The newest end of each container.
    exits: BTreeMap<ContainerName, u32>,
    /// The newest instance of each container that is to end with its pod.
    stopping: BTreeMap<ContainerName, u32>,
}

/// Records an event of a pod.
pub(super) fn record<A: Adapters>(
    shared: &Shared<A>,
    pod: &Pod,
    kind: EventType,
    reason: &str,
    message: String,
) {
    let object = ObjectKey {
        kind: "Pod".to_owned(),
        namespace: pod.meta.namespace.clone(),
        name: pod.meta.name.clone(),
    };
    shared.board.record(Event {
        kind,
        reason: reason.to_owned(),
        message,
        object,
        at: shared.adapters.host().now().wall,
    });
}

impl<A: Adapters> PodWorker<A> {
    fn event(&self, kind: EventType, reason: &str, message: String) {
        record(&self.shared, &self.context.pod, kind, reason, message);
    }

    fn normal(&self, reason: &str, message: String) {
        self.event(EventType::Normal, reason, message);
    }

    fn warning(&self, reason: &str, message: String) {
        self.event(EventType::Warning, reason, message);
    }

    /// The image is there.
    pub(super) fn tell_image(&self, container: &Container) {
        let image = &container.image;
        self.normal(
            "Pulled",
            format!("Container image {image:?} already present on machine"),
        );
    }

    pub(super) fn tell_created(&self, name: &ContainerName) {
        self.normal("Created", format!("Created container: {name}"));
    }

    /// A container runs; what this host could not give it is told once for each start.
    pub(super) fn tell_started(&self, name: &ContainerName, attempt: u32) {
        self.normal("Started", format!("Started container {name}"));
        self.count_restart(attempt);
        let wishes = self.shared.adapters.runtime().cannot_set(&self.context.uid);
        for (_, wish) in wishes.into_iter().filter(|(of, _)| of == name) {
            self.warning(
                "CannotSet",
                format!("Container {name} runs without all that it asks for: {wish}"),
            );
        }
    }

    /// What the pod's resolver lacks. That a node has no DNS server for those that ask for nothing in particular
    /// is no news of each pod.
    pub(super) fn tell_resolver(&self) {
        let runtime = self.shared.adapters.runtime();
        for warning in runtime.resolver_warnings(&self.context.uid) {
            if warning != ResolverWarning::MissingClusterDns(DnsPolicy::ClusterFirst) {
                self.warning(warning.reason(), warning.to_string());
            }
        }
    }

    /// The pod is ended for good because of what it does to the node.
    pub(super) fn tell_evicted(&self, message: String) {
        self.warning("Evicted", message);
    }

    /// The pod has run for longer than it may.
    pub(super) fn tell_past_deadline(&self, reason: &str, message: &str) {
        self.normal(reason, message.to_owned());
    }

    /// The instance is to end, and its hook or its signal comes next: told once.
    pub(super) fn tell_stopping(&mut self, name: &ContainerName, attempt: u32) {
        let of_probe = self.record.progress.terminating.is_none();
        if of_probe || self.told.stopping.insert(name.clone(), attempt) == Some(attempt) {
            return;
        }
        self.normal("Killing", format!("Stopping container {name}"));
    }

    /// The stop signal did not do, or there is no time for one.
    pub(super) fn tell_killing(&mut self, name: &ContainerName, attempt: u32) {
        let progress = &self.record.progress;
        let stop = progress.container(name).and_then(|own| own.stop.as_ref());
        let (signalled, killed) = match (&progress.terminating, stop) {
            (Some(termination), _) => (
                termination.signalled.contains(name),
                termination.killed.contains_key(name),
            ),
            (None, Some(stop)) => (stop.signalled.is_some(), stop.killed.is_some()),
            (None, None) => return,
        };
        if !signalled {
            self.tell_stopping(name, attempt);
        } else if !killed {
            let message = format!("Container {name} did not terminate in its grace period and is killed");
            self.warning("ExceededGracePeriod", message);
        }
    }

    /// An instance is ended while its pod goes on.
    pub(super) fn tell_stop(&self, name: &ContainerName, cause: StopCause) {
        let spec = &self.context.pod.spec;
        let is_init = spec.init_containers.iter().any(|one| one.name == *name);
        let what = match cause {
            StopCause::Startup => "startup probe",
            StopCause::Liveness => "liveness probe",
            StopCause::PostStart => return self.normal("Killing", "FailedPostStartHook".to_owned()),
        };
        let own = spec
            .container(name)
            .and_then(|container| container.restart_policy);
        let never = own.unwrap_or(spec.restart_policy) == RestartPolicy::Never;
        let message = match (is_init, never) {
            (true, _) => format!("Init container {name} failed {what}"),
            (false, true) => format!("Container {name} failed {what}"),
            (false, false) => format!("Container {name} failed {what}, will be restarted"),
        };
        self.normal("Killing", message);
    }

    /// A hook failed; what it said may be secret, and is in no event.
    pub(super) fn tell_failed_hook(&self, of: &HookOf, why: &str) {
        let point = of.point.as_str();
        tracing::warn!(
            pod = %self.context.pod.meta.name, namespace = %self.context.pod.meta.namespace,
            uid = %self.context.uid, container = %of.name, hook = point, why, "a hook failed"
        );
        let reason = match of.point {
            HookPoint::PostStart => "FailedPostStartHook",
            HookPoint::PreStop => "FailedPreStopHook",
        };
        self.warning(reason, format!("{point}Hook failed"));
    }

    /// A container ended; its end may come here again until it is recorded, and is told once.
    pub(super) fn tell_exit(&mut self, name: &ContainerName, attempt: u32, exit: &Exit) {
        if self.told.exits.get(name).is_some_and(|newest| *newest >= attempt) {
            return;
        }
        self.told.exits.insert(name.clone(), attempt);
        tracing::info!(
            pod = %self.context.pod.meta.name, namespace = %self.context.pod.meta.namespace,
            uid = %self.context.uid, container = %name, attempt, code = exit.code, reason = %exit.reason,
            "container ended"
        );
        if exit.reason == "OOMKilled" {
            self.shared.board.count_oom_kill(&self.context.uid, name);
            let message = format!("Container {name} was killed because it used more memory than its limit");
            self.warning("OOMKilling", message);
        }
    }

    /// A container waits for its restart, or for its image: told once for each wait.
    pub(super) fn tell_back_offs(&mut self, view: &PodView) {
        for status in view.status.all_containers() {
            let Some(waiting) = &status.state.waiting else {
                continue;
            };
            let tries = self
                .record
                .failures
                .get(&status.name)
                .map_or(0, |failure| failure.tries);
            let wait = match waiting.reason.as_str() {
                "CrashLoopBackOff" => (waiting.reason.clone(), status.restart_count),
                "ImagePullBackOff" => (waiting.reason.clone(), tries),
                _ => continue,
            };
            if self.told.back_offs.get(&status.name) == Some(&wait) {
                continue;
            }
            if wait.0 == "CrashLoopBackOff" {
                let meta = &self.context.pod.meta;
                let (pod, namespace, uid) = (&meta.name, &meta.namespace, &self.context.uid);
                let pod = format!("{pod}_{namespace}({uid})");
                let message = format!(
                    "Back-off restarting failed container {} in pod {pod}",
                    status.name
                );
                self.warning("BackOff", message);
            } else if let Some(container) = self.spec_of(&status.name) {
                self.normal("BackOff", format!("Back-off pulling image {:?}", container.image));
            }
            self.told.back_offs.insert(status.name.clone(), wait);
        }
    }

    fn spec_of(&self, name: &ContainerName) -> Option<&Container> {
        self.context.pod.spec.container(name)
    }

    /// An action failed.
    pub(super) fn report_failure(&self, action: &Action, error: &PortError) {
        self.log(error);
        let message = error.chain();
        let container = action.container().and_then(|name| self.spec_of(name));
        match (action.step(), error.reason, container) {
            (FailedStep::End, ..) => self.warning("FailedKillPod", format!("error killing pod: {message}")),
            (FailedStep::Save, ..) => self.warning("FailedSync", format!("error syncing pod: {message}")),
            (_, FailureReason::FailedMount, _) => self.warning("FailedMount", message),
            (_, FailureReason::FailedCreatePodSandBox, _) => {
                let message = format!("Failed to create pod sandbox: {message}");
                self.warning("FailedCreatePodSandBox", message);
            }
            (_, reason, Some(container)) => self.report_container(reason, container, &message),
            (_, _, None) => self.warning("Failed", format!("Error: {message}")),
        }
    }

    fn report_container(&self, reason: FailureReason, container: &Container, message: &str) {
        let image = self.contents.failed_image.as_ref().unwrap_or(&container.image);
        match reason {
            FailureReason::ErrImageNeverPull => {
                let text = format!("Container image {image:?} is not present with pull policy of Never");
                self.warning("ErrImageNeverPull", text);
            }
            FailureReason::ErrImagePull => {
                self.warning("Failed", format!("Failed to pull image {image:?}: {message}"));
            }
            FailureReason::InvalidImageName => {
                let text = format!("Failed to apply default image tag {image:?}: {message}");
                self.warning("InspectFailed", text);
            }
            FailureReason::ImageInspectError => {
                self.warning(
                    "InspectFailed",
                    format!("Failed to inspect image {image:?}: {message}"),
                );
            }
            _ => return self.warning("Failed", format!("Error: {message}")),
        }
        self.warning("Failed", format!("Error: {}", reason.as_str()));
    }

    /// Files of volumes could not be brought up to date.
    pub(super) fn report_mount(&self, error: &PortError) {
        self.log(error);
        self.warning("FailedMount", error.chain());
    }

    /// The host could not be asked about the pod.
    pub(super) fn report_look(&self, error: &PortError) {
        self.log(error);
        let message = format!("error determining status: {}", error.chain());
        self.warning("FailedSync", message);
    }

    /// The pod's identity could not be written.
    pub(super) fn report_unsaved(&self, error: &PortError) {
        self.log(error);
        self.warning("FailedSync", format!("error syncing pod: {}", error.chain()));
    }

    /// Plan follows plan, and the pod does not come to rest.
    pub(super) fn report_unrest(&self, slow_rounds: u32, actions: &[Action]) {
        if slow_rounds.is_power_of_two() {
            tracing::error!(uid = %self.context.uid, slow_rounds, ?actions, "the pod does not come to rest");
        }
    }

    /// The worker itself failed, and is started again.
    pub(crate) fn report_panic(&self) {
        let meta = &self.context.pod.meta;
        tracing::error!(pod = %meta.name, namespace = %meta.namespace, uid = %self.context.uid,
            "the pod's worker panicked, and is started again");
        self.shared.adapters.telemetry().error("work on a pod");
        let message = "error syncing pod: the worker panicked, and is started again".to_owned();
        self.warning("FailedSync", message);
    }

    fn log(&self, error: &PortError) {
        let meta = &self.context.pod.meta;
        tracing::warn!(pod = %meta.name, namespace = %meta.namespace, uid = %self.context.uid,
            reason = ?error.reason, "{}", error.chain());
        self.shared.adapters.telemetry().error(error.operation);
    }
}
