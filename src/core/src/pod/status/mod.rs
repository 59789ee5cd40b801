//! A pod's status, derived anew from what is seen and recorded; nothing of it is stored.
//!
//! ```text
//! Desired, Observed, Record ──▶ containers ──▶ phase ──▶ conditions ──▶ PodStatus (core/v1) ──▶ PodRow
//! ```
//!
//! The status before serves one purpose only: a condition that has not changed keeps its time of transition.

mod conditions;
mod containers;
mod duration;
mod phase;
mod table;
#[cfg(test)]
mod tests;
mod timestamp;
mod types;

use std::collections::BTreeMap;
use std::net::IpAddr;

use pinnace_api::ContainerName;

pub use containers::restart_count;
pub use duration::human_duration;
pub use table::{PodRow, RowShape, pods_table_row};
pub use timestamp::{Timestamp, TimestampError};
pub use types::{
    ConditionStatus, ConditionType, ContainerState, ContainerStatus, HostIp, PodCondition, PodPhase,
    PodStatus, Running, Terminated, Waiting,
};

use super::{Desired, Observed, Record};
use crate::admission::Verdict;
use crate::ports::ImageHandle;
use crate::resources::QosClass;
use crate::time::WallMillis;
use conditions::Conditions;

/// What a status needs besides the three snapshots.
#[derive(Debug, Clone, Copy)]
pub struct StatusContext<'a> {
    /// The pod's class.
    pub qos: QosClass,
    /// The node's addresses, the first one first.
    pub host_ips: &'a [IpAddr],
    /// The pod's own addresses; the node's where it uses the host's network.
    pub pod_ips: &'a [IpAddr],
    /// The images that are known by now.
    pub images: &'a BTreeMap<ContainerName, ImageHandle>,
    /// The status before.
    pub previous: Option<&'a PodStatus>,
    /// For what ends unseen.
    pub now: WallMillis,
}

/// The status of a pod that has a record.
pub fn status(
    desired: &Desired,
    observed: &Observed,
    record: &Record,
    context: &StatusContext<'_>,
) -> PodStatus {
    let pod = desired.pod();
    let of = |container| containers::status(pod, container, observed, record, context);
    let init_containers: Vec<ContainerStatus> = pod.spec.init_containers.iter().map(of).collect();
    let mut containers: Vec<ContainerStatus> = pod.spec.containers.iter().map(of).collect();
    containers.sort_by(|a, b| a.name.cmp(&b.name));
    let finished = record.identity.finished.as_ref();
    let phase = match finished {
        Some(finished) if finished.succeeded => PodPhase::Succeeded,
        Some(_) => PodPhase::Failed,
        None => phase::unfinished(&pod.spec, &init_containers, &containers),
    };
    let conditions = Conditions {
        phase,
        spec: &pod.spec,
        init_containers: &init_containers,
        containers: &containers,
        has_sandbox: super::instances::sandbox_is_whole(observed)
            && (pod.spec.host_network || observed.network.addresses().is_some()),
        started: record.identity.created_at,
        found_at: found_at(record),
        sandbox_lost: record.progress.sandbox_lost,
        previous: context.previous,
    };
    PodStatus {
        phase,
        conditions: conditions.all(),
        reason: finished.and_then(|finished| finished.reason.clone()),
        message: finished.and_then(|finished| finished.message.clone()),
        host_ip: context.host_ips.first().copied(),
        host_ips: context.host_ips.iter().map(|ip| HostIp { ip: *ip }).collect(),
        pod_ip: context.pod_ips.first().copied(),
        pod_ips: context.pod_ips.iter().map(|ip| HostIp { ip: *ip }).collect(),
        start_time: Some(Timestamp(record.identity.created_at)),
        init_container_statuses: init_containers,
        container_statuses: containers,
        qos_class: Some(context.qos),
    }
}

/// When the newest verdict of each container's readiness probe came.
fn found_at(record: &Record) -> BTreeMap<ContainerName, WallMillis> {
    let containers = record.progress.containers.iter();
    containers
        .filter_map(|(name, own)| Some((name.clone(), own.readiness?.since)))
        .collect()
}

impl PodStatus {
    /// Shows these addresses as the pod's.
    pub fn set_pod_ips(&mut self, ips: &[IpAddr]) {
        self.pod_ip = ips.first().copied();
        self.pod_ips = ips.iter().map(|ip| HostIp { ip: *ip }).collect();
    }

    /// Of a pod that fits no node here: it waits.
    pub fn unschedulable(
        message: String,
        qos: QosClass,
        previous: Option<&PodStatus>,
        now: WallMillis,
    ) -> Self {
        Self {
            phase: PodPhase::Pending,
            conditions: conditions::unscheduled(Verdict::UNSCHEDULABLE, message, previous, now),
            qos_class: Some(qos),
            ..Self::empty(PodPhase::Pending)
        }
    }

    /// Of a pod that has scheduling gates: it waits until they are gone.
    pub fn gated(qos: QosClass, previous: Option<&PodStatus>, now: WallMillis) -> Self {
        let message = Verdict::GATED_MESSAGE.to_owned();
        let reason = Verdict::SCHEDULING_GATED;
        Self {
            conditions: conditions::unscheduled(reason, message, previous, now),
            qos_class: Some(qos),
            ..Self::empty(PodPhase::Pending)
        }
    }

    /// Of a pod that the node refused: it has failed before anything was made for it.
    pub fn rejected(reason: String, message: String, qos: QosClass, at: WallMillis) -> Self {
        Self {
            reason: Some(reason),
            message: Some(message),
            start_time: Some(Timestamp(at)),
            qos_class: Some(qos),
            ..Self::empty(PodPhase::Failed)
        }
    }

    fn empty(phase: PodPhase) -> Self {
        Self {
            phase,
            conditions: Vec::new(),
            reason: None,
            message: None,
            host_ip: None,
            host_ips: Vec::new(),
            pod_ip: None,
            pod_ips: Vec::new(),
            start_time: None,
            init_container_statuses: Vec::new(),
            container_statuses: Vec::new(),
            qos_class: None,
        }
    }
}
