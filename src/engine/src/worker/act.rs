//! Carries actions out through the ports.

use std::sync::Arc;
use std::time::Duration;

use pinnace_api::ContainerName;
use pinnace_api::pod::{Container, PullPolicy};
use pinnace_core::host::Host;
use pinnace_core::pod::{Action, HookPoint};
use pinnace_core::ports::{
    ContainerRequest, ImageHandle, Images, Network, PodRuntime, PortError, PortResult, Records, Telemetry,
    Volumes,
};
use pinnace_core::resources;

use super::PodWorker;
use super::hooks::HookOf;
use super::turn::{OrderChanged, Turn};
use crate::adapters::Adapters;

const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;
/// An image that takes longer to be found is not there yet: others may start meanwhile.
const IMAGE_AT_ONCE: Duration = Duration::from_millis(100);

/// A pod starts without its policies only where they cannot be applied for this long.
const POLICIES_WITHIN: Duration = Duration::from_secs(2);

/// What an action leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    /// Go on.
    Next,
    /// The order changed, and the action was given up: ask again.
    GivenUp,
    /// The pod is `Removed`: the worker ends.
    Removed,
}

impl From<OrderChanged> for Done {
    fn from(_: OrderChanged) -> Self {
        Done::GivenUp
    }
}

/// Whether the action makes something that a pod which shall end needs no more.
fn makes(action: &Action) -> bool {
    matches!(
        action,
        Action::CreateSandbox { .. }
            | Action::AttachNetwork
            | Action::PrepareVolumes
            | Action::CreateContainer { .. }
            | Action::StartContainer { .. }
    )
}

impl<A: Adapters> PodWorker<A> {
    /// Carries actions out until one fails; the failure is noted for the next plan.
    pub(super) async fn act(&mut self, actions: &[Action]) -> Done {
        let shared = Arc::clone(&self.shared);
        let mut turn = Turn::new(&shared.starts, self.desired.clone());
        for action in actions {
            if makes(action) && turn.take().await.is_err() {
                return Done::GivenUp;
            }
            tracing::debug!(uid = %self.context.uid, ?action, "act");
            match self.execute(action, &mut turn).await {
                Ok(Done::Next) => self.record.succeeded(action),
                Ok(done) => return done,
                Err(error) => {
                    self.note_failure(action, &error);
                    break;
                }
            }
        }
        Done::Next
    }

    fn note_failure(&mut self, action: &Action, error: &PortError) {
        self.report_failure(action, error);
        let now = self.shared.adapters.host().now();
        let policy = self.shared.settings.borrow().policy;
        self.record
            .failed(action, error.reason, error.chain(), &policy, now);
    }

    async fn execute(&mut self, action: &Action, turn: &mut Turn<'_>) -> PortResult<Done> {
        let adapters = Arc::clone(&self.shared.adapters);
        let uid = self.context.uid.clone();
        let (runtime, uid) = (adapters.runtime(), &uid);
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
                let identity = &self.record.identity;
                runtime.create_sandbox(&self.context, identity, *attempt).await?;
                self.tell_resolver();
            }
            Action::AttachNetwork => {
                let namespace = runtime.network_namespace(uid);
                self.addresses = adapters.network().attach(&self.context, &namespace).await?;
                let change = self.shared.board.attached(uid, &self.addresses);
                self.unguarded = Some(change);
            }
            Action::DetachNetwork => {
                let namespace = runtime.network_namespace(uid);
                adapters.network().detach(uid, &namespace).await?;
            }
            Action::PrepareVolumes => self.prepare_volumes().await?,
            Action::CreateContainer { name, attempt } => return self.create(name, *attempt, turn).await,
            Action::StartContainer { name, attempt } => return self.start(name, *attempt, turn).await,
            Action::StopContainer { name, attempt } => {
                self.tell_stopping(name, *attempt);
                runtime
                    .signal_container(uid, name, *attempt, SIGTERM, false)
                    .await?;
            }
            Action::KillContainer { name, attempt } => {
                self.tell_killing(name, *attempt);
                runtime
                    .signal_container(uid, name, *attempt, SIGKILL, true)
                    .await?;
            }
            Action::KillPodCgroup => runtime.kill_pod_cgroup(uid).await?,
            Action::RemoveContainer { name, attempt } => {
                runtime.remove_container(uid, name, *attempt).await?;
            }
            Action::RunHook {
                name,
                attempt,
                point,
                within_millis,
            } => {
                if *point == HookPoint::PreStop {
                    self.tell_stopping(name, *attempt);
                }
                let of = HookOf {
                    name: name.clone(),
                    attempt: *attempt,
                    point: *point,
                };
                self.begin_hook(of, *within_millis);
            }
            Action::NoteStop { name, cause, .. } => self.tell_stop(name, *cause),
            Action::NoteExit { name, attempt, exit } => self.tell_exit(name, *attempt, exit),
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

    async fn create(&mut self, name: &ContainerName, attempt: u32, turn: &mut Turn<'_>) -> PortResult<Done> {
        let pod = Arc::clone(&self.context.pod);
        // The plan names the spec's containers only.
        let Some(container) = pod.spec.container(name) else {
            return Ok(Done::Next);
        };
        self.contents.failed_image = None;
        let image = match self.image(container, turn).await {
            Ok(image) => image?,
            Err(changed) => return Ok(changed.into()),
        };
        self.tell_image(container);
        let invocation = self.invocation(container)?;
        let images = match self.image_volumes(container, turn).await {
            Ok(images) => images?,
            Err(changed) => return Ok(changed.into()),
        };
        let adapters = Arc::clone(&self.shared.adapters);
        let mounts = adapters
            .volumes()
            .mounts(&self.context, name, &invocation.env, &images)
            .await?;
        let settings = self.shared.settings.borrow().clone();
        let request = ContainerRequest {
            name: name.clone(),
            attempt,
            mounts,
            cgroup: resources::container_values(container, &settings.cgroup),
            oom_score_adj: resources::oom_score_adj(
                self.context.qos,
                &pod.spec,
                container,
                settings.memory_capacity,
            ),
            log: settings.log,
            invocation,
            addresses: self.addresses,
            image: image.clone(),
        };
        adapters
            .runtime()
            .create_container(&self.context, &request)
            .await?;
        self.images.insert(name.clone(), image);
        self.tell_created(name);
        Ok(Done::Next)
    }

    async fn start(&mut self, name: &ContainerName, attempt: u32, turn: &mut Turn<'_>) -> PortResult<Done> {
        if let Err(changed) = self.await_policies(turn).await {
            return Ok(changed.into());
        }
        let runtime = self.shared.adapters.runtime();
        runtime.start_container(&self.context.uid, name, attempt).await?;
        self.begun.insert(name.clone(), attempt);
        self.tell_started(name, attempt);
        Ok(Done::Next)
    }

    /// Waits until policies know of a pod that was just attached.
    async fn await_policies(&mut self, turn: &mut Turn<'_>) -> Result<(), OrderChanged> {
        let Some(change) = self.unguarded else {
            return Ok(());
        };
        let addresses = self.shared.board.addresses();
        let in_time = turn
            .unless_changed(addresses.applied(change, POLICIES_WITHIN))
            .await?;
        if !in_time {
            // Why they cannot be applied is told by whoever tries.
            tracing::warn!(uid = %self.context.uid, "started although policies do not know of the pod yet");
        }
        self.unguarded = None;
        Ok(())
    }

    /// Finds or gets the container's image.
    async fn image(
        &mut self,
        container: &Container,
        turn: &mut Turn<'_>,
    ) -> Result<PortResult<ImageHandle>, OrderChanged> {
        self.ensure_image(&container.image, container.image_pull_policy, turn)
            .await
    }

    /// Finds or gets an image; while that lasts, others may start.
    pub(super) async fn ensure_image(
        &mut self,
        reference: &str,
        policy: PullPolicy,
        turn: &mut Turn<'_>,
    ) -> Result<PortResult<ImageHandle>, OrderChanged> {
        // What comes from here on may be the image: it is tried again then, should it be missing now.
        self.images_changed.mark_unchanged();
        let images = self.shared.adapters.images();
        let mut ensured = std::pin::pin!(images.ensure(reference, policy));
        if let Ok(found) = tokio::time::timeout(IMAGE_AT_ONCE, &mut ensured).await {
            return Ok(found);
        }
        turn.give_up();
        let got = turn.unless_changed(ensured).await?;
        turn.take().await?;
        Ok(got)
    }

    /// Tells the metrics that a container was started again.
    pub(super) fn count_restart(&self, attempt: u32) {
        if attempt > 0 {
            self.shared.adapters.telemetry().container_restarted();
        }
    }
}
