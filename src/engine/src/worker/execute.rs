//! Carries one action out through the ports, and says in events what people would want to know.

use pinnace_api::ContainerName;
use pinnace_api::pod::{Container, PullPolicy};
use pinnace_core::event::EventType;
use pinnace_core::pod::{Action, Exit};
use pinnace_core::ports::{
    ContainerRequest, Images, PodRuntime, PortError, PortResult, Records, Telemetry, Volumes,
};
use pinnace_core::resources;

use super::PodWorker;
use crate::adapters::Adapters;

const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;

/// What an action leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Done {
    /// Go on.
    Next,
    /// The pod is `Removed`: the worker ends.
    Removed,
}

impl<A: Adapters> PodWorker<A> {
    /// Carries `action` out. An error names the container it concerns, if any, through [`Action`].
    pub(super) async fn execute(&mut self, action: &Action) -> PortResult<Done> {
        let adapters = self.shared.adapters.clone();
        let (runtime, uid) = (adapters.runtime(), &self.context.uid.clone());
        match action {
            Action::SaveProgress(progress) => {
                adapters.records().save_progress(uid, progress).await?;
                self.record.progress = progress.clone();
            }
            Action::SaveFinished(finished) => {
                let mut identity = self.record.identity.clone();
                identity.finished = Some(finished.clone());
                adapters.records().save_identity(&identity).await?;
                self.record.identity = identity;
            }
            Action::CreateSandbox { attempt } => {
                runtime
                    .create_sandbox(&self.context, &self.record.identity, *attempt)
                    .await?;
            }
            Action::PrepareVolumes => adapters.volumes().prepare(&self.context).await?,
            Action::CreateContainer { name, attempt } => self.create(name, *attempt).await?,
            Action::StartContainer { name, attempt } => self.start(name, *attempt).await?,
            Action::StopContainer { name, attempt } => {
                self.event(EventType::Normal, "Killing", format!("Stopping container {name}"));
                runtime
                    .signal_container(uid, name, *attempt, SIGTERM, false)
                    .await?;
            }
            Action::KillContainer { name, attempt } => {
                runtime
                    .signal_container(uid, name, *attempt, SIGKILL, true)
                    .await?;
            }
            Action::KillPodCgroup => runtime.kill_pod_cgroup(uid).await?,
            Action::RemoveContainer { name, attempt } => {
                runtime.remove_container(uid, name, *attempt).await?
            }
            Action::NoteExit { name, attempt, exit } => self.note_exit(name, *attempt, exit),
            Action::RemoveSandbox => runtime.remove_sandbox(uid).await?,
            Action::RemoveVolumes => adapters.volumes().remove(uid).await?,
            Action::RemoveLogs => runtime.remove_logs(uid).await?,
            Action::ForgetRecord => {
                adapters.records().remove(uid).await?;
                return Ok(Done::Removed);
            }
        }
        Ok(Done::Next)
    }

    async fn create(&mut self, name: &ContainerName, attempt: u32) -> PortResult<()> {
        let adapters = self.shared.adapters.clone();
        let Some(container) = self.container(name) else {
            return Ok(());
        };
        let image = adapters
            .images()
            .ensure(&container.image, container.image_pull_policy)
            .await?;
        let mounts = adapters.volumes().mounts(&self.context, name).await?;
        let settings = self.shared.settings.borrow().clone();
        let request = ContainerRequest {
            name: name.clone(),
            attempt,
            mounts,
            cgroup: resources::container_values(&container, &settings.cgroup),
            oom_score_adj: resources::oom_score_adj(self.context.qos, &container, settings.memory_capacity),
            log: settings.log,
            env: container.env.clone(),
            image: image.clone(),
        };
        adapters
            .runtime()
            .create_container(&self.context, &request)
            .await?;
        self.images.insert(name.clone(), image);
        self.event(EventType::Normal, "Created", format!("Created container: {name}"));
        Ok(())
    }

    async fn start(&mut self, name: &ContainerName, attempt: u32) -> PortResult<()> {
        let adapters = self.shared.adapters.clone();
        adapters
            .runtime()
            .start_container(&self.context.uid, name, attempt)
            .await?;
        self.event(EventType::Normal, "Started", format!("Started container {name}"));
        if attempt > 0 {
            adapters.telemetry().container_restarted();
        }
        Ok(())
    }

    fn note_exit(&self, name: &ContainerName, attempt: u32, exit: &Exit) {
        if exit.reason == "OOMKilled" {
            self.shared.board.count_oom_kill(&self.context.uid, name);
        }
        tracing::info!(
            pod = %self.context.pod.meta.name, namespace = %self.context.pod.meta.namespace,
            uid = %self.context.uid, container = %name, attempt, code = exit.code, reason = %exit.reason,
            "container ended"
        );
    }

    pub(super) fn container(&self, name: &ContainerName) -> Option<Container> {
        self.context
            .pod
            .spec
            .containers
            .iter()
            .find(|container| container.name == *name)
            .cloned()
    }

    /// After an adoption the images of running containers are looked up again, for statuses.
    pub(super) async fn find_images(&mut self) {
        for container in &self.context.pod.spec.containers {
            if self.images.contains_key(&container.name) {
                continue;
            }
            if let Ok(image) = self
                .shared
                .adapters
                .images()
                .ensure(&container.image, PullPolicy::Never)
                .await
            {
                self.images.insert(container.name.clone(), image);
            }
        }
    }
}

/// The event's reason for a failed action, in the kubelet's words.
pub(super) fn event_reason(error: &PortError) -> &'static str {
    use pinnace_core::pod::FailureReason as Reason;
    match error.reason {
        Reason::FailedMount => "FailedMount",
        Reason::FailedCreatePodSandBox => "FailedCreatePodSandBox",
        Reason::InvalidImageName => "InspectFailed",
        _ => "Failed",
    }
}
