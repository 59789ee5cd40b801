//! One pod of a DaemonSet on this node, or none and why.
//!
//! ```text
//! fits? ──no──▶ no new pod; running ones stay unless selector, affinity or a NoExecute taint sends them away
//!   │yes
//!   ├─ an ended pod       ──▶ delete it (a failed one after a back-off)
//!   ├─ more than one      ──▶ keep the oldest
//!   ├─ an older template  ──▶ RollingUpdate: delete it; OnDelete: keep it
//!   └─ nothing left at all ──▶ create one
//! ```
//!
//! Whether it fits is asked of node name, selector, affinity and taints, as Kubernetes' controller does. Cpu,
//! memory and ports are admission's: a pod that finds none of them is made, and waits. A new pod comes only
//! when the old one is gone entirely, so at most one of them ever runs.

mod counts;
#[cfg(test)]
mod tests;

use pinnace_api::daemonset::UpdateStrategy;
use pinnace_api::pod::{PodSpec, TaintEffect};
use pinnace_api::{DaemonSet, ObjectName, Pod, PodUid};

use super::names::generated_name;
use crate::admission::filter;
use crate::node::Node;
use crate::time::{BootMillis, WallMillis};

pub use counts::Counts;

/// A pod that belongs to the DaemonSet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonPod {
    /// Its name.
    pub name: ObjectName,
    /// Its UID.
    pub uid: PodUid,
    /// The revision it was made of.
    pub revision: Option<String>,
    /// When it was made.
    pub created_at: WallMillis,
    /// What became of it.
    pub state: DaemonPodState,
}

/// State of a pod, as far as the controller cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DaemonPodState {
    /// Not admitted yet, or not on its way yet.
    Pending,
    /// On its way, or running.
    Running {
        /// All its containers are ready.
        ready: bool,
    },
    /// All containers ended well.
    Succeeded,
    /// It failed, was evicted or was refused.
    Failed,
    /// It is being removed.
    Terminating,
}

/// How long the next failed pod stays before it is replaced: a second at first, doubling to 15 minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FailedBackoff {
    /// The last delay, in milliseconds; 0 before the first failure.
    delay_millis: u64,
    /// When the last failed pod was deleted.
    since: BootMillis,
}

impl FailedBackoff {
    const FIRST_MILLIS: u64 = 1_000;
    const MAX_MILLIS: u64 = 15 * 60 * 1_000;

    /// When a failed pod may be deleted; `None`: now.
    fn waits_until(&self, now: BootMillis) -> Option<BootMillis> {
        let until = self.since.after(self.delay_millis);
        (until > now).then_some(until)
    }

    /// The back-off after one more failed pod is deleted; it starts anew after a long quiet time.
    fn next(self, now: BootMillis) -> Self {
        let quiet = now.since(self.since) > 2 * Self::MAX_MILLIS;
        let delay_millis = match self.delay_millis {
            0 => Self::FIRST_MILLIS,
            _ if quiet => Self::FIRST_MILLIS,
            delay => (delay * 2).min(Self::MAX_MILLIS),
        };
        Self {
            delay_millis,
            since: now,
        }
    }
}

/// Why a pod is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyDelete {
    /// It does not belong on this node any more.
    Misfit,
    /// There are more than one.
    Surplus,
    /// The template changed.
    Outdated,
    /// It failed.
    Failed,
    /// It ended well, which a daemon does not.
    Succeeded,
}

impl WhyDelete {
    /// The reason of the event about it.
    pub fn reason(self) -> &'static str {
        match self {
            WhyDelete::Failed => "FailedDaemonPod",
            WhyDelete::Succeeded => "SucceededDaemonPod",
            WhyDelete::Misfit | WhyDelete::Surplus | WhyDelete::Outdated => "SuccessfulDelete",
        }
    }
}

/// A pod to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// Its name, for the event.
    pub name: ObjectName,
    /// Its UID.
    pub uid: PodUid,
    /// Why.
    pub why: WhyDelete,
}

/// What should happen now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Pods that should go.
    pub delete: Vec<Deletion>,
    /// The pod that should be made.
    pub create: Option<Pod>,
    /// Why no pod is made here, a sentence each; empty where the DaemonSet fits.
    pub misfit: Vec<String>,
    /// The template's revision.
    pub revision: String,
    /// To be handed in at the next call.
    pub backoff: FailedBackoff,
    /// When to ask again although nothing happened.
    pub wake_at: Option<BootMillis>,
    /// For the DaemonSet's status.
    pub counts: Counts,
}

/// What this node's pod of `set` needs; `random` makes the name of a new pod.
pub fn decide(
    set: &DaemonSet,
    node: &Node,
    pods: &[DaemonPod],
    backoff: FailedBackoff,
    random: u64,
    now: BootMillis,
) -> Decision {
    let revision = set.template_document.digest();
    let made = set.pod(free_name(set, pods, random), &revision);
    let fit = Fit::of(&made.spec, node);
    let mut decision = Decision {
        delete: Vec::new(),
        create: None,
        counts: Counts::of(fit.should_run(), pods, &revision),
        misfit: Vec::new(),
        revision,
        backoff,
        wake_at: None,
    };
    if fit.should_continue {
        sweep(set, fit.should_run(), pods, now, &mut decision);
        if fit.should_run() && pods.is_empty() {
            decision.create = Some(made);
        }
    } else {
        let living = pods.iter().filter(|pod| !pod.is_terminating());
        decision.delete = living.map(|pod| pod.deletion(WhyDelete::Misfit)).collect();
    }
    decision.misfit = fit.why_not;
    decision
}

/// A name of the set's that none of `pods` has.
fn free_name(set: &DaemonSet, pods: &[DaemonPod], random: u64) -> ObjectName {
    let names = (0..=pods.len() as u64)
        .map(|step| generated_name(set.meta.name.as_str(), random.wrapping_add(step)))
        .filter_map(|name| ObjectName::new(name).ok());
    let mut free = names.filter(|name| pods.iter().all(|pod| pod.name != *name));
    // A generated name is always a name; the set's own is only what the types ask for.
    free.next().unwrap_or_else(|| set.meta.name.clone())
}

/// Deletes what ended, what is too many and what is outdated.
fn sweep(set: &DaemonSet, should_run: bool, pods: &[DaemonPod], now: BootMillis, decision: &mut Decision) {
    let mut running: Vec<&DaemonPod> = Vec::new();
    for pod in pods {
        match pod.state {
            DaemonPodState::Terminating => {}
            DaemonPodState::Succeeded => decision.delete.push(pod.deletion(WhyDelete::Succeeded)),
            DaemonPodState::Failed => match decision.backoff.waits_until(now) {
                Some(until) => decision.wake_at = Some(until),
                None => {
                    decision.delete.push(pod.deletion(WhyDelete::Failed));
                    decision.backoff = decision.backoff.next(now);
                }
            },
            DaemonPodState::Pending | DaemonPodState::Running { .. } => running.push(pod),
        }
    }
    running.sort_by_key(|pod| pod.age());
    let Some((oldest, surplus)) = running.split_first() else {
        return;
    };
    let surplus = surplus.iter().map(|pod| pod.deletion(WhyDelete::Surplus));
    decision.delete.extend(surplus);
    // What could not be made again is not thrown away for a newer template.
    let outdated = oldest.revision.as_ref() != Some(&decision.revision);
    if outdated && should_run && set.update_strategy == UpdateStrategy::RollingUpdate {
        decision.delete.push(oldest.deletion(WhyDelete::Outdated));
    }
}

impl DaemonPod {
    fn is_terminating(&self) -> bool {
        self.state == DaemonPodState::Terminating
    }

    /// Pods that got further come first, then the older ones.
    fn age(&self) -> (bool, WallMillis, &ObjectName) {
        (self.state == DaemonPodState::Pending, self.created_at, &self.name)
    }

    fn deletion(&self, why: WhyDelete) -> Deletion {
        Deletion {
            name: self.name.clone(),
            uid: self.uid.clone(),
            why,
        }
    }
}

/// Whether pods of this template belong on the node.
struct Fit {
    /// Empty: they do.
    why_not: Vec<String>,
    /// One that runs already may stay.
    should_continue: bool,
}

impl Fit {
    fn of(spec: &PodSpec, node: &Node) -> Self {
        let place = [filter::by_name(spec, node), filter::by_affinity(spec, node)];
        let place: Vec<String> = place.into_iter().flatten().flat_map(|no| no.details).collect();
        let evicting = node
            .taints
            .iter()
            .filter(|taint| taint.effect == TaintEffect::NoExecute)
            .any(|taint| taint.toleration(&spec.tolerations).is_none());
        let should_continue = place.is_empty() && !evicting;
        let taints = filter::by_taint(spec, node)
            .map(|no| no.details)
            .unwrap_or_default();
        Self {
            why_not: place.into_iter().chain(taints).collect(),
            should_continue,
        }
    }

    fn should_run(&self) -> bool {
        self.why_not.is_empty()
    }
}
