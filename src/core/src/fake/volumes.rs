//! Volumes in memory.

use pinnace_api::{ContainerName, PodUid};

use super::faults::{Extent, Op};
use super::{Call, FakeHost};
use crate::payload::Payloads;
use crate::ports::{BindMount, ImageVolumes, PodContext, PortResult, Volumes};

fn on_pod(op: Op, uid: &PodUid) -> Call {
    Call {
        op,
        uid: Some(uid.clone()),
        container: None,
    }
}

impl Volumes for FakeHost {
    async fn list(&self) -> PortResult<Vec<PodUid>> {
        let state = self.lock();
        let with_volumes = state.pods.iter().filter(|(_, pod)| pod.volumes_present);
        Ok(with_volumes.map(|(uid, _)| uid.clone()).collect())
    }

    async fn observe(&self, uid: &PodUid) -> PortResult<(bool, bool)> {
        let state = self.lock();
        let pod = state.pods.get(uid);
        Ok(pod.map_or((false, false), |pod| (pod.volumes_ready, pod.volumes_present)))
    }

    async fn prepare(&self, pod: &PodContext, payloads: &Payloads) -> PortResult<()> {
        self.lock().payloads.insert(pod.uid.clone(), payloads.clone());
        self.call(on_pod(Op::PrepareVolumes, &pod.uid), |state, extent| {
            let on_host = state.pod(&pod.uid);
            on_host.volumes_present = true;
            on_host.volumes_ready = extent == Extent::Whole;
            Ok(())
        })
    }

    async fn update(&self, pod: &PodContext, payloads: &Payloads) -> PortResult<bool> {
        self.call(on_pod(Op::UpdateVolumes, &pod.uid), |state, _| {
            if !state.pods.get(&pod.uid).is_some_and(|pod| pod.volumes_ready) {
                state.violation(&pod.uid, "update of volumes that are not prepared");
            }
            // A volume without a payload is left as it is.
            let known = state.payloads.entry(pod.uid.clone()).or_default();
            let before = known.clone();
            known.extend(payloads.clone());
            Ok(before != *known)
        })
    }

    async fn mounts(
        &self,
        _pod: &PodContext,
        _container: &ContainerName,
        _env: &[(String, String)],
        _images: &ImageVolumes,
    ) -> PortResult<Vec<BindMount>> {
        Ok(Vec::new())
    }

    async fn remove(&self, uid: &PodUid) -> PortResult<()> {
        self.call(on_pod(Op::RemoveVolumes, uid), |state, extent| {
            if state
                .pods
                .get(uid)
                .is_some_and(super::state::PodOnHost::any_lives)
            {
                state.violation(uid, "RemoveVolumes: a process of the pod lives");
            }
            state.payloads.remove(uid);
            if let Some(pod) = state.pods.get_mut(uid) {
                pod.volumes_ready = false;
                pod.volumes_present = extent != Extent::Whole;
            }
            state.sweep(uid);
            Ok(())
        })
    }
}
