//! Whether a pod belongs on this node, and in which words it does not.
//!
//! A pod that names no node is asked the scheduler's questions, one filter after the other in the scheduler's
//! order; the first filter that says no gives the message, and the pod waits ([`Verdict::Unschedulable`]). A
//! pod that names this node was placed by somebody else: the scheduler is not asked, and what the node itself
//! must refuse is refused for good in the kubelet's words ([`Verdict::Refused`]). Some questions only the
//! kubelet asks (`os.name`); they come after the scheduler's.
//!
//! A pod with scheduling gates is asked nothing: it waits until its manifest has none ([`Verdict::Gated`]).
//! What the node's own rules of security forbid ([`security`]) is refused whoever placed the pod.
//!
//! The words are Kubernetes'; what they leave out (which taint, who holds the port, how much is missing) is in
//! `details`, for events and `describe`. See `docs/admission.md`.

mod affinity;
mod evict;
pub(crate) mod filter;
mod ports;
mod refuse;
pub mod security;
#[cfg(test)]
mod tests;

use pinnace_api::pod::{PodSpec, TaintEffect};
use pinnace_api::{Pod, PodUid};

use crate::node::Node;
use crate::resources::{Requests, pod_requests};

pub use affinity::matches_node;
pub use evict::{Eviction, eviction};
pub use filter::{Filter, Rejection};
pub use ports::HostPort;

/// A pod that is admitted and has not ended: it counts against the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accounted {
    /// The pod, so that it is not weighed against itself.
    pub uid: PodUid,
    /// `namespace/name`, for messages.
    pub pod: String,
    /// What it counts for.
    pub requests: Requests,
    /// The ports of the host that it holds.
    pub ports: Vec<HostPort>,
}

impl Accounted {
    /// What a pod counts for.
    pub fn of(uid: PodUid, pod: &Pod) -> Self {
        Self {
            uid,
            pod: format!("{}/{}", pod.meta.namespace, pod.meta.name),
            requests: pod_requests(&pod.spec),
            ports: HostPort::of(&pod.spec),
        }
    }
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It runs here.
    Admitted {
        /// Sentences worth an event: a taint that weighs nothing here, a port that stays inert.
        notes: Vec<String>,
    },
    /// It waits: phase Pending, `PodScheduled=False`, reason `Unschedulable`.
    Unschedulable {
        /// The scheduler's message.
        message: String,
        /// What the message leaves out, a sentence each.
        details: Vec<String>,
    },
    /// It waits for its gates to be taken away: phase Pending, `PodScheduled=False`, reason `SchedulingGated`.
    Gated,
    /// It has failed: phase Failed.
    Refused {
        /// The kubelet's reason, such as `OutOfcpu`.
        reason: &'static str,
        /// The kubelet's message.
        message: String,
        /// What the message leaves out, a sentence each.
        details: Vec<String>,
    },
}

impl Verdict {
    /// The reason of the condition `PodScheduled` while a pod waits.
    pub const UNSCHEDULABLE: &'static str = "Unschedulable";
    /// The same of a pod that has gates.
    pub const SCHEDULING_GATED: &'static str = "SchedulingGated";
    /// The message about a pod that has gates.
    pub const GATED_MESSAGE: &'static str = "Scheduling is blocked due to non-empty scheduling gates";
    /// The reason of the event about a pod that waits.
    pub const FAILED_SCHEDULING: &'static str = "FailedScheduling";

    /// A label for metrics: `admitted`, `unschedulable`, `gated` or `refused`.
    pub fn label(&self) -> &'static str {
        match self {
            Verdict::Admitted { .. } => "admitted",
            Verdict::Unschedulable { .. } => "unschedulable",
            Verdict::Gated => "gated",
            Verdict::Refused { .. } => "refused",
        }
    }
}

impl Verdict {
    /// A rule of this node keeps the pod out, and a change of the rule lets it in. On a cluster there would be
    /// no such pod: its API server would have refused it.
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Verdict::Refused { reason, .. } if *reason == security::FORBIDDEN)
    }
}

/// Whether `pod` may run on `node` beside `running`, in which it must not be itself.
pub fn admit(pod: &Pod, node: &Node, running: &[Accounted]) -> Verdict {
    let bound_here = pod.spec.node_name.as_ref() == Some(&node.name);
    if !bound_here && !pod.spec.scheduling_gates.is_empty() {
        return Verdict::Gated;
    }
    if !bound_here && let Some((message, details)) = filter::unschedulable(&pod.spec, node, running) {
        return Verdict::Unschedulable { message, details };
    }
    let ruled_out = refuse::by_system(pod).or_else(|| node.rules.refusal(pod));
    let refusal = ruled_out.or_else(|| {
        bound_here
            .then(|| refuse::by_node(&pod.spec, node, running))
            .flatten()
    });
    if let Some(refusal) = refusal {
        return refusal;
    }
    let mut notes = notes(&pod.spec, node);
    notes.extend(node.rules.notes(pod));
    Verdict::Admitted { notes }
}

fn notes(spec: &PodSpec, node: &Node) -> Vec<String> {
    let mut notes = Vec::new();
    for taint in &node.taints {
        if taint.effect == TaintEffect::PreferNoSchedule && taint.toleration(&spec.tolerations).is_none() {
            notes.push(format!(
                "taint {taint} is not tolerated, but there is no other node to be preferred"
            ));
        }
    }
    if !spec.host_network && !node.forwards_host_ports {
        for port in HostPort::of(spec) {
            notes.push(format!(
                "host port {port} is held for the pod but not forwarded: it takes hostNetwork to be reached"
            ));
        }
    }
    notes
}
