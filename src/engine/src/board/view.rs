//! One pod, and one DaemonSet, as everybody may see them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use pinnace_api::{ContainerName, DaemonSet, ObjectKey, Pod, Service};
use pinnace_core::controllers::daemonset::{Counts, DaemonPodState};
use pinnace_core::network::{PodOnNetwork, ServiceEntry};
use pinnace_core::pod::status::{
    ConditionStatus, ConditionType, PodPhase, PodRow, PodStatus, RowShape, StatusContext, pods_table_row,
    status,
};
use pinnace_core::pod::{Desired, InstanceState, Observed, PodIdentity, Record, Termination};
use pinnace_core::ports::{ImageHandle, PhaseCounts, PodContext};
use pinnace_core::time::WallMillis;

/// A pod with a worker, as its worker saw it last.
#[derive(Debug, Clone, PartialEq)]
pub struct PodView {
    /// The durable record.
    pub identity: PodIdentity,
    /// The pod as admitted.
    pub pod: Arc<Pod>,
    /// Its termination, once that is under way.
    pub terminating: Option<Termination>,
    /// The instances that run: container, attempt, process id.
    pub running: Vec<(ContainerName, u32, u32)>,
    /// Its status in Kubernetes' shape.
    pub status: PodStatus,
}

/// Whether and where others can reach a pod.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reach {
    /// Its addresses; none of one that has ended.
    pub addresses: Vec<IpAddr>,
    /// It is ready.
    pub ready: bool,
    /// It is on its way out.
    pub terminating: bool,
}

/// What a worker saw last.
pub struct Look<'a> {
    /// The pod.
    pub context: &'a PodContext,
    /// What is recorded of it.
    pub record: &'a Record,
    /// What is wanted of it.
    pub desired: &'a Desired,
    /// What the host shows of it.
    pub observed: &'a Observed,
    /// The images that are known by now.
    pub images: &'a BTreeMap<ContainerName, ImageHandle>,
    /// When it looked.
    pub now: WallMillis,
}

impl PodView {
    pub(super) fn of(look: &Look<'_>, host_ips: &[IpAddr], before: Option<&PodView>) -> Self {
        let pod = &look.context.pod;
        let running = look
            .observed
            .containers
            .iter()
            .filter_map(|seen| match seen.state {
                InstanceState::Running { pid, .. } => Some((seen.name.clone(), seen.attempt, pid)),
                _ => None,
            });
        let pod_ips = pod_ips(look, host_ips, before);
        let context = StatusContext {
            qos: look.context.qos,
            host_ips,
            pod_ips: &pod_ips,
            images: look.images,
            previous: before.map(|view| &view.status),
            now: look.now,
        };
        Self {
            identity: look.record.identity.clone(),
            pod: Arc::clone(pod),
            terminating: look.record.progress.terminating.clone(),
            running: running.collect(),
            status: status(look.desired, look.observed, look.record, &context),
        }
    }

    /// Every container of the pod runs.
    pub fn all_running(&self) -> bool {
        let runs = |name: &ContainerName| self.running.iter().any(|(one, ..)| one == name);
        self.pod
            .spec
            .containers
            .iter()
            .all(|container| runs(&container.name))
    }

    /// It has ended for good.
    pub fn is_finished(&self) -> bool {
        self.identity.finished.is_some()
    }

    /// The condition `Ready` holds.
    pub fn is_ready(&self) -> bool {
        let ready = self
            .status
            .conditions
            .iter()
            .find(|condition| condition.kind == ConditionType::Ready);
        ready.is_some_and(|condition| condition.status == ConditionStatus::True)
    }

    /// How a controller sees the pod.
    pub fn daemon_state(&self) -> DaemonPodState {
        match &self.identity.finished {
            Some(finished) if finished.succeeded => DaemonPodState::Succeeded,
            Some(_) => DaemonPodState::Failed,
            None if self.terminating.is_some() => DaemonPodState::Terminating,
            None if self.status.phase == PodPhase::Pending => DaemonPodState::Pending,
            None => DaemonPodState::Running {
                ready: self.is_ready(),
            },
        }
    }

    /// The columns that `kubectl get pods` shows.
    pub fn row(&self, now: WallMillis) -> PodRow {
        pods_table_row(
            &self.status,
            &RowShape::of(&self.pod.spec),
            self.terminating.is_some(),
            self.identity.created_at,
            now,
        )
    }

    /// Whether and where others can reach it.
    pub fn reach(&self) -> Reach {
        if self.is_finished() || self.status.pod_ips.is_empty() {
            return Reach::default();
        }
        Reach {
            addresses: self.status.pod_ips.iter().map(|one| one.ip).collect(),
            ready: self.is_ready(),
            terminating: self.terminating.is_some(),
        }
    }

    /// The pod for the tables of Services and policies; `None` of one that has no address, or has ended.
    pub fn on_network(&self) -> Option<PodOnNetwork> {
        let Reach {
            addresses,
            ready,
            terminating,
        } = self.reach();
        (!addresses.is_empty()).then(|| PodOnNetwork {
            pod: Arc::clone(&self.pod),
            addresses,
            ready,
            terminating,
        })
    }

    /// Restarts of all containers.
    pub fn restarts(&self) -> u32 {
        self.status
            .all_containers()
            .fold(0, |sum, one| sum.saturating_add(one.restart_count))
    }

    pub(super) fn count(&self, counts: &mut PhaseCounts) {
        match self.status.phase {
            PodPhase::Pending => counts.pending += 1,
            PodPhase::Running => counts.running += 1,
            PodPhase::Succeeded => counts.succeeded += 1,
            PodPhase::Failed => counts.failed += 1,
        }
    }
}

/// A pod that has ended keeps the addresses that it had.
fn pod_ips(look: &Look<'_>, host_ips: &[IpAddr], before: Option<&PodView>) -> Vec<IpAddr> {
    if look.context.pod.spec.host_network {
        return host_ips.to_vec();
    }
    match (look.observed.network.addresses(), before) {
        (Some(addresses), _) => addresses.list(),
        (None, Some(before)) if look.record.identity.finished.is_some() => {
            before.status.pod_ips.iter().map(|one| one.ip).collect()
        }
        (None, _) => Vec::new(),
    }
}

/// A DaemonSet and how it stands here.
#[derive(Debug, Clone, PartialEq)]
pub struct DaemonSetView {
    /// Its identity.
    pub key: ObjectKey,
    /// The object.
    pub set: Arc<DaemonSet>,
    /// Digest of its template.
    pub revision: String,
    /// Why it makes no pod here, a sentence each; empty where it does.
    pub misfit: Vec<String>,
    /// Its status.
    pub counts: Counts,
}

/// A Service and what stands behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceView {
    /// The object.
    pub service: Arc<Service>,
    /// Its addresses, ports and endpoints; `None` where it cannot be served.
    pub entry: Option<ServiceEntry>,
    /// Why it cannot.
    pub refused: Option<String>,
}
