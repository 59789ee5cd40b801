//! `sizeLimit` of an emptyDir on disk, and `ephemeral-storage` of containers: measured while the pod runs; a
//! pod past a limit is evicted.
//!
//! Only pods that have such a limit are measured, as often as the kubelet does. And `activeDeadlineSeconds`: a pod
//! past it has failed.

use std::sync::Arc;

use pinnace_api::pod::{PodSpec, VolumeSource};
use pinnace_core::pod::{Desired, Observed, Record};
use pinnace_core::ports::{PodRuntime, PortResult, Volumes};
use pinnace_core::resources::{has_storage_limit, storage_exceeded};
use pinnace_core::time::{BootMillis, Now};

use super::PodWorker;
use crate::adapters::Adapters;

/// Between two measurements; the kubelet's housekeeping of local storage.
const INTERVAL_MILLIS: u64 = 10_000;
const EVICTED: &str = "Evicted";
const DEADLINE: &str = "DeadlineExceeded";
const PAST_DEADLINE: &str = "Pod was active on the node longer than the specified deadline";

/// What is kept between two measurements.
#[derive(Debug, Default)]
pub(super) struct Limits {
    next: BootMillis,
    /// The kubelet's sentence, once the pod was found past a limit.
    exceeded: Option<String>,
    /// That the pod is past its deadline was told.
    deadline_told: bool,
}

impl Limits {
    /// When to measure next; `None` where nothing is to be measured.
    pub fn wake_at(&self, desired: &Desired, record: &Record) -> Option<BootMillis> {
        let is_over = record.identity.finished.is_some() || record.progress.terminating.is_some();
        let has_limit = |spec: &PodSpec| has_volume_limit(spec) || has_storage_limit(spec);
        let measured = matches!(desired, Desired::Run(pod) if has_limit(&pod.spec));
        (measured && !is_over).then_some(self.next)
    }
}

fn has_volume_limit(spec: &PodSpec) -> bool {
    let limited = |source: &VolumeSource| {
        matches!(
            source,
            VolumeSource::EmptyDir {
                memory: false,
                size_limit: Some(_)
            }
        )
    };
    spec.volumes.iter().any(|volume| limited(&volume.source))
}

impl<A: Adapters> PodWorker<A> {
    /// When the pod is past its deadline; `None` of one that has none, or is over.
    pub(super) fn deadline_at(&self, desired: &Desired, now: Now) -> Option<BootMillis> {
        let Desired::Run(pod) = desired else {
            return None;
        };
        let is_over = self.record.identity.finished.is_some() || self.record.progress.terminating.is_some();
        let allowed_millis = pod.spec.active_deadline_seconds?.saturating_mul(1000);
        let boot = &self.record.progress.boot;
        let age_millis = self.record.identity.created().age_millis(boot, now);
        (!is_over).then(|| now.boot.after(allowed_millis.saturating_sub(age_millis)))
    }

    /// What is wanted of the pod, its own limits included.
    pub(super) async fn within_limits(&mut self, desired: Desired, observed: &Observed, now: Now) -> Desired {
        if self
            .deadline_at(&desired, now)
            .is_some_and(|deadline| deadline <= now.boot)
        {
            if !std::mem::replace(&mut self.limits.deadline_told, true) {
                self.tell_past_deadline(DEADLINE, PAST_DEADLINE);
            }
            return Desired::Evict {
                pod: Arc::clone(desired.pod()),
                reason: DEADLINE.to_owned(),
                message: PAST_DEADLINE.to_owned(),
            };
        }
        let due_at = self.limits.wake_at(&desired, &self.record);
        let due = due_at.is_some_and(|at| at <= now.boot);
        if due {
            self.limits.next = now.boot.after(INTERVAL_MILLIS);
        }
        if due && observed.volumes_ready && self.limits.exceeded.is_none() {
            match self.exceeded().await {
                Ok(exceeded) => self.limits.exceeded = exceeded,
                Err(error) => self.report_look(&error),
            }
            if let Some(message) = self.limits.exceeded.clone() {
                self.tell_evicted(message);
            }
        }
        match (&self.limits.exceeded, desired) {
            (Some(message), Desired::Run(pod)) => Desired::Evict {
                pod,
                reason: EVICTED.to_owned(),
                message: message.clone(),
            },
            (_, desired) => desired,
        }
    }

    /// The kubelet's order: each emptyDir, the pod as a whole, each container.
    async fn exceeded(&self) -> PortResult<Option<String>> {
        let (spec, adapters) = (&self.context.pod.spec, &self.shared.adapters);
        if has_volume_limit(spec)
            && let Some(message) = adapters.volumes().exceeded(&self.context).await?
        {
            return Ok(Some(message));
        }
        if !has_storage_limit(spec) {
            return Ok(None);
        }
        let containers = adapters.runtime().storage_use(&self.context.uid).await?;
        let volumes = adapters.volumes().held(&self.context).await?;
        Ok(storage_exceeded(spec, &containers, volumes))
    }
}
