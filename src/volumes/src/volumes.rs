//! The port [`Volumes`], on the host.

use std::collections::BTreeMap;

use pinnace_api::pod::{Volume, VolumeSource};
use pinnace_api::{Bytes, ContainerName, PodUid};
use pinnace_core::payload::Payloads;
use pinnace_core::pod::FailureReason;
use pinnace_core::ports::{BindMount, ImageVolumes, PodContext, PortError, PortResult, Volumes};
use pinnace_sys::Layout;

use crate::error::{Failed, VolumeError};
use crate::pod::{self, PodVolumes};

/// The volumes of all pods beneath one root.
#[derive(Debug, Clone)]
pub struct NodeVolumes {
    layout: Layout,
}

impl NodeVolumes {
    /// The volumes of a root; nothing is touched before the first call.
    pub fn new(layout: Layout) -> Self {
        Self { layout }
    }

    /// What each emptyDir of a pod holds now, for `sizeLimit`. Takes as long as walking through them.
    pub async fn usage(&self, uid: &PodUid) -> PortResult<BTreeMap<ContainerName, Bytes>> {
        let volumes = PodVolumes::new(&self.layout, uid);
        let object = uid.to_string();
        aside(move || failing("measure the volumes of pod", object, volumes.usage())).await
    }
}

impl Volumes for NodeVolumes {
    async fn list(&self) -> PortResult<Vec<PodUid>> {
        let layout = self.layout.clone();
        let object = layout.root().display().to_string();
        aside(move || failing("list the volumes beneath", object, pod::list(&layout))).await
    }

    async fn observe(&self, uid: &PodUid) -> PortResult<(bool, bool)> {
        let volumes = PodVolumes::new(&self.layout, uid);
        let object = uid.to_string();
        aside(move || failing("look at the volumes of pod", object, volumes.observe())).await
    }

    async fn prepare(&self, pod: &PodContext, payloads: &Payloads) -> PortResult<()> {
        let volumes = PodVolumes::new(&self.layout, &pod.uid);
        let (pod, payloads) = (pod.clone(), payloads.clone());
        aside(move || volumes.prepare(&pod, &payloads)).await
    }

    async fn update(&self, pod: &PodContext, payloads: &Payloads) -> PortResult<bool> {
        let volumes = PodVolumes::new(&self.layout, &pod.uid);
        let (pod, payloads) = (pod.clone(), payloads.clone());
        aside(move || volumes.update(&pod, &payloads)).await
    }

    async fn mounts(
        &self,
        pod: &PodContext,
        container: &ContainerName,
        env: &[(String, String)],
        images: &ImageVolumes,
    ) -> PortResult<Vec<BindMount>> {
        let volumes = PodVolumes::new(&self.layout, &pod.uid);
        let (pod, container, env) = (pod.clone(), container.clone(), env.to_vec());
        let images = images.clone();
        aside(move || volumes.mounts(&pod, &container, &env, &images)).await
    }

    async fn remove(&self, uid: &PodUid) -> PortResult<()> {
        let volumes = PodVolumes::new(&self.layout, uid);
        let object = uid.to_string();
        aside(move || failing("remove the volumes of pod", object, volumes.remove())).await
    }

    async fn held(&self, pod: &PodContext) -> PortResult<Bytes> {
        let usage = self.usage(&pod.uid).await?;
        // What lies in memory is on no disk.
        let is_on_disk = |volume: &&Volume| {
            matches!(
                volume.source,
                VolumeSource::EmptyDir { memory: false, .. } | VolumeSource::ConfigMap { .. }
            )
        };
        let on_disk = pod.pod.spec.volumes.iter().filter(is_on_disk);
        let held = on_disk
            .filter_map(|volume| usage.get(&volume.name))
            .fold(0_u64, |sum, used| sum.saturating_add(used.0));
        Ok(Bytes(held))
    }

    async fn exceeded(&self, pod: &PodContext) -> PortResult<Option<String>> {
        // A limit of 0 is none, as in Kubernetes.
        let limited = |volume: &Volume| match volume.source {
            VolumeSource::EmptyDir {
                memory: false,
                size_limit: Some(limit),
            } if limit.0 > 0 => Some((volume.name.clone(), limit)),
            _ => None,
        };
        let limits: Vec<_> = pod.pod.spec.volumes.iter().filter_map(limited).collect();
        let volumes = PodVolumes::new(&self.layout, &pod.uid);
        let object = pod.uid.to_string();
        aside(move || failing("measure the volumes of pod", object, volumes.exceeded(&limits))).await
    }
}

fn failing<T, E: Into<VolumeError>>(
    operation: &'static str,
    object: String,
    done: Result<T, E>,
) -> Result<T, Failed> {
    done.map_err(|error| Failed {
        operation,
        object,
        reason: FailureReason::FailedMount,
        source: error.into(),
    })
}

/// Runs on a thread that may wait: a hostPath may lie on a file system that does not answer.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failed> + Send + 'static,
) -> PortResult<T> {
    let done = match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => failing("work on", "volumes".to_owned(), Err(VolumeError::Worker(error))),
    };
    done.map_err(PortError::from)
}

#[cfg(test)]
mod tests;
