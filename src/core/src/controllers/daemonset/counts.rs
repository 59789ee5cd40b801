//! The numbers of a DaemonSet's status on a cluster of one node.

use super::{DaemonPod, DaemonPodState};

/// `status` of apps/v1 DaemonSet, under the names it has there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Nodes that should run a pod.
    pub desired_number_scheduled: u32,
    /// Of these, nodes that do.
    pub current_number_scheduled: u32,
    /// Nodes that have a pod and should not.
    pub number_misscheduled: u32,
    /// Nodes whose pod is ready.
    pub number_ready: u32,
    /// Nodes whose pod is of the newest template.
    pub updated_number_scheduled: u32,
    /// Nodes whose pod is available.
    pub number_available: u32,
    /// Nodes that should run a pod and have none that is available.
    pub number_unavailable: u32,
}

impl Counts {
    pub(super) fn of(should_run: bool, pods: &[DaemonPod], revision: &str) -> Self {
        let oldest = pods.iter().min_by_key(|pod| (pod.created_at, &pod.name));
        if !should_run {
            return Self {
                number_misscheduled: u32::from(oldest.is_some()),
                ..Self::default()
            };
        }
        let ready = oldest.is_some_and(|pod| pod.state == DaemonPodState::Running { ready: true });
        let updated = oldest.is_some_and(|pod| pod.revision.as_deref() == Some(revision));
        Self {
            desired_number_scheduled: 1,
            current_number_scheduled: u32::from(oldest.is_some()),
            number_misscheduled: 0,
            number_ready: u32::from(ready),
            updated_number_scheduled: u32::from(updated),
            number_available: u32::from(ready),
            number_unavailable: u32::from(!ready),
        }
    }
}
