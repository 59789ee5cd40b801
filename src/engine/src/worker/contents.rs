//! What the pod takes from ConfigMaps, Secrets and images, and how it follows their changes.
//!
//! Files of prepared volumes are brought up to date when an object changes that the pod takes from. What fails only
//! because an object is missing is tried again when it comes; until then the files stay as they were.

use std::collections::BTreeSet;
use std::sync::Arc;

use pinnace_api::Namespace;
use pinnace_api::pod::environment::ObjectSource;
use pinnace_api::pod::{Container, VolumeSource};
use pinnace_core::host::Host;
use pinnace_core::objects::ObjectTable;
use pinnace_core::payload::{PayloadError, Payloads, payloads, sources_of};
use pinnace_core::pod::{Backoff, Desired, FailureReason, Observed};
use pinnace_core::ports::{ImageVolumes, Images, PortError, PortResult, Retry, Volumes};
use pinnace_core::time::BootMillis;
use tokio::sync::watch;

use super::PodWorker;
use super::turn::{OrderChanged, Turn};
use crate::adapters::Adapters;

/// Between tries to write files that failed.
const AGAIN: Backoff = Backoff {
    initial_millis: 1_000,
    factor: 2,
    max_millis: 60_000,
};

/// What a worker knows of the objects that its pod takes from.
pub(super) struct Contents {
    namespace: Namespace,
    sources: BTreeSet<ObjectSource>,
    /// The node writes at least one volume.
    writes: bool,
    table: watch::Receiver<Arc<ObjectTable>>,
    /// As they were when the worker looked last.
    seen: Arc<ObjectTable>,
    /// The files of volumes may not be up to date.
    due: bool,
    /// Tries to write them that failed in a row.
    tries: u32,
    /// When the next is due.
    again_at: Option<BootMillis>,
    /// Why they could not be written, as it was told last.
    told: Option<String>,
    /// The image of a volume that could not be had when a container was made last.
    pub(super) failed_image: Option<String>,
}

impl Contents {
    /// Of a pod that is to be looked at for the first time.
    pub(super) fn of(pod: &pinnace_api::Pod, table: watch::Receiver<Arc<ObjectTable>>) -> Self {
        let seen = Arc::clone(&table.borrow());
        let writes = pod
            .spec
            .volumes
            .iter()
            .any(|volume| volume.source.is_written_by_node());
        Self {
            namespace: pod.meta.namespace.clone(),
            sources: sources_of(&pod.spec),
            writes,
            table,
            seen,
            due: writes,
            tries: 0,
            again_at: None,
            told: None,
            failed_image: None,
        }
    }

    /// Returns when an object came, went or changed that the pod takes from.
    pub(super) async fn changed(&mut self) {
        loop {
            if self.sources.is_empty() || self.table.changed().await.is_err() {
                // Nobody changes any.
                return std::future::pending().await;
            }
            let now = Arc::clone(&self.table.borrow_and_update());
            let before = std::mem::replace(&mut self.seen, now);
            let differs = |source: &ObjectSource| !is_same(&before, &self.seen, &self.namespace, source);
            if self.sources.iter().any(differs) || before.complete != self.seen.complete {
                return;
            }
        }
    }

    /// When files are to be written again that could not be.
    pub(super) fn wake_at(&self) -> Option<BootMillis> {
        self.again_at
    }

    /// The files are as the newest objects have them.
    fn settled(&mut self) {
        (self.due, self.tries, self.again_at, self.told) = (false, 0, None, None);
    }
}

fn is_same(before: &ObjectTable, now: &ObjectTable, namespace: &Namespace, source: &ObjectSource) -> bool {
    match source {
        ObjectSource::ConfigMap(name) => {
            before.config_map(namespace, name).ok() == now.config_map(namespace, name).ok()
        }
        ObjectSource::Secret(name) => before.secret(namespace, name).ok() == now.secret(namespace, name).ok(),
    }
}

/// Objects may be there that are not read yet; in the kubelet's words.
#[derive(Debug, thiserror::Error)]
#[error("failed to sync configmap cache: timed out waiting for the condition")]
pub(super) struct NotRead;

impl<A: Adapters> PodWorker<A> {
    /// Something is to be told and tried that an object held up.
    pub(super) fn try_contents_at_once(&mut self) {
        let waits = |reason: FailureReason| {
            matches!(
                reason,
                FailureReason::CreateContainerConfigError | FailureReason::FailedMount
            )
        };
        self.record.failures.retain(|_, failure| !waits(failure.reason));
        if self
            .record
            .pod_failure
            .as_ref()
            .is_some_and(|failure| waits(failure.reason))
        {
            self.record.pod_failure = None;
        }
        self.contents.due = self.contents.writes;
        self.contents.tries = 0;
        self.contents.again_at = None;
    }

    /// What the volumes hold that the node writes and can, and why the first of the others cannot be written.
    fn payloads(&self) -> PortResult<(Payloads, Option<PortError>)> {
        if !self.contents.writes {
            return Ok((Payloads::new(), None));
        }
        let complete = self.shared.board.objects().complete;
        self.with_facts(|facts| {
            let (payloads, failed) = payloads(facts);
            Ok((payloads, failed.map(|error| mount_error(error, complete))))
        })
    }

    /// `Action::PrepareVolumes`.
    pub(super) async fn prepare_volumes(&mut self) -> PortResult<()> {
        let (payloads, failed) = self.payloads()?;
        if let Some(error) = failed {
            return Err(error);
        }
        let adapters = Arc::clone(&self.shared.adapters);
        adapters.volumes().prepare(&self.context, &payloads).await?;
        Ok(())
    }

    /// Brings prepared volumes up to date, if that is due.
    pub(super) async fn keep_contents(&mut self, desired: &Desired, observed: &Observed) {
        let adapters = Arc::clone(&self.shared.adapters);
        let now = adapters.host().now().boot;
        let is_due = self.contents.due && self.contents.again_at.is_none_or(|at| at <= now);
        if !observed.volumes_ready || self.is_stand_in || !matches!(desired, Desired::Run(_)) {
            // Nothing is written now: an instant that has passed must not wake the worker again and again.
            self.contents.again_at = None;
            return;
        }
        if !is_due {
            return;
        }
        let done = match self.payloads() {
            // One object that is gone keeps no other from being followed.
            Ok((payloads, failed)) => {
                let updated = adapters.volumes().update(&self.context, &payloads).await;
                failed.map_or(updated, Err)
            }
            Err(error) => Err(error),
        };
        let error = match done {
            Ok(changed) => {
                if changed {
                    tracing::debug!(uid = %self.context.uid, "the volumes' files are up to date");
                }
                return self.contents.settled();
            }
            Err(error) => error,
        };
        if !self.shared.board.objects().complete {
            // The files are those of an earlier agent, and what is missing may only not have been read yet.
            self.contents.due = false;
            return;
        }
        let message = error.chain();
        if self.contents.told.as_ref() != Some(&message) {
            self.report_mount(&error);
            self.contents.told = Some(message);
        }
        self.contents.tries = self.contents.tries.saturating_add(1);
        self.contents.again_at = Some(now.after(AGAIN.delay_millis(self.contents.tries)));
    }

    /// The images of the volumes that a container mounts, found or got like its own.
    pub(super) async fn image_volumes(
        &mut self,
        container: &Container,
        turn: &mut Turn<'_>,
    ) -> Result<PortResult<ImageVolumes>, OrderChanged> {
        let pod = Arc::clone(&self.context.pod);
        let mut images = ImageVolumes::new();
        for volume in &pod.spec.volumes {
            let VolumeSource::Image {
                reference,
                pull_policy,
            } = &volume.source
            else {
                continue;
            };
            if !container
                .volume_mounts
                .iter()
                .any(|mount| mount.volume == volume.name)
            {
                continue;
            }
            let found = match self.ensure_image(reference, *pull_policy, turn).await? {
                Ok(image) => self.shared.adapters.images().layers(&image).await,
                Err(error) => Err(error),
            };
            match found {
                Ok(layers) => _ = images.insert(volume.name.clone(), layers),
                Err(error) => {
                    self.contents.failed_image = Some(reference.clone());
                    return Ok(Err(error));
                }
            }
        }
        Ok(Ok(images))
    }
}

fn mount_error(error: PayloadError, complete: bool) -> PortError {
    let retry = match error.source.is_about_objects() {
        true => Retry::Later,
        false => Retry::AfterChange,
    };
    let object = format!("\"{}\" ", error.volume);
    PortError {
        operation: "MountVolume.SetUp failed for volume",
        object,
        reason: FailureReason::FailedMount,
        retry,
        source: match error.source {
            source if source.is_missing() && !complete => Box::new(NotRead),
            source => Box::new(source),
        },
    }
}
