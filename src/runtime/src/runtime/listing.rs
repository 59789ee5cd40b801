//! The containers that are there, for metrics and for images that are in use.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use pinnace_api::{ContainerName, PodUid};
use pinnace_core::network::ResolverWarning;

use super::disk::Measured;
use super::{Inner, PodHandle, Runtime};
use crate::records::{ContainerRecord, SandboxRecord};

/// What is known of a pod's instances.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub sandbox: Option<Arc<SandboxRecord>>,
    pub containers: BTreeMap<(ContainerName, u32), Arc<ContainerRecord>>,
    /// What the newest instances hold of the disk.
    pub disks: BTreeMap<ContainerName, Measured>,
    /// What the pod's resolver lacks, until it is asked for.
    pub resolver_warnings: Vec<ResolverWarning>,
}

/// One instance.
#[derive(Debug, Clone)]
pub struct RunningContainer {
    /// The pod.
    pub uid: PodUid,
    /// The pod's namespace, name and cgroup.
    pub sandbox: Arc<SandboxRecord>,
    /// Name, image, id, cgroup, log.
    pub container: Arc<ContainerRecord>,
}

impl PodHandle {
    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.containers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<I> Runtime<I> {
    /// All instances of all pods that were looked at since this program began; reads nothing of the host.
    pub fn containers(&self) -> Vec<RunningContainer> {
        let pods: Vec<_> = self
            .inner
            .pods()
            .iter()
            .map(|(uid, pod)| (uid.clone(), Arc::clone(pod)))
            .collect();
        let mut all = Vec::new();
        for (uid, pod) in pods {
            let known = pod.known();
            let Some(sandbox) = &known.sandbox else { continue };
            all.extend(known.containers.values().map(|container| RunningContainer {
                uid: uid.clone(),
                sandbox: Arc::clone(sandbox),
                container: Arc::clone(container),
            }));
        }
        all.sort_by(|a, b| (&a.uid, &a.container.name).cmp(&(&b.uid, &b.container.name)));
        all
    }

    /// The pods' sandboxes.
    pub fn sandboxes(&self) -> Vec<(PodUid, Arc<SandboxRecord>)> {
        let pods = self.inner.pods();
        let mut all: Vec<_> = pods
            .iter()
            .filter_map(|(uid, pod)| Some((uid.clone(), pod.known().sandbox.clone()?)))
            .collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// What of a pod's wishes this host could not meet, for a warning event.
    pub fn cannot_set(&self, uid: &PodUid) -> Vec<(ContainerName, String)> {
        let pod = self.inner.pods().get(uid).cloned();
        let Some(pod) = pod else { return Vec::new() };
        let known = pod.known();
        let wishes = |record: &Arc<ContainerRecord>| {
            let name = record.name.clone();
            record
                .cannot_set
                .clone()
                .into_iter()
                .map(move |wish| (name.clone(), wish))
        };
        known.containers.values().flat_map(wishes).collect()
    }
}

impl<I> Inner<I> {
    pub(super) fn remember(&self, uid: &PodUid, record: ContainerRecord) {
        let key = (record.name.clone(), record.attempt);
        self.pod(uid).known().containers.insert(key, Arc::new(record));
    }

    pub(super) fn forget(&self, uid: &PodUid, name: &ContainerName, attempt: u32) {
        let pod = self.pod(uid);
        let mut known = pod.known();
        known.containers.remove(&(name.clone(), attempt));
        if !known.containers.keys().any(|(other, _)| other == name) {
            known.disks.remove(name);
        }
    }
}
