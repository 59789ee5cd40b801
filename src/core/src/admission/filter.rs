//! The scheduler's filters, in its order and its words.

use pinnace_api::pod::{PodSpec, TaintEffect};
use pinnace_api::{Bytes, MilliCpu};

use super::affinity::{self, Named};
use super::{Accounted, ports};
use crate::node::{Node, Taint};
use crate::resources::{Requests, pod_requests};

/// A filter of the scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Filter {
    /// The node is cordoned.
    NodeUnschedulable,
    /// The pod names another node.
    NodeName,
    /// A taint is not tolerated.
    TaintToleration,
    /// nodeSelector or required node affinity.
    NodeAffinity,
    /// Host ports.
    NodePorts,
    /// Number of pods, cpu, memory, local storage.
    NodeResourcesFit,
}

/// One filter's no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The filter.
    pub filter: Filter,
    /// The scheduler's reasons, without the number of nodes.
    pub reasons: Vec<&'static str>,
    /// Whether removing other pods could ever help.
    pub preemption_could_help: bool,
    /// What the reasons leave out, a sentence each.
    pub details: Vec<String>,
}

/// A resource of which there is not enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shortage {
    /// The scheduler's reason.
    pub(super) reason: &'static str,
    /// Kubernetes' name of the resource.
    pub(super) resource: &'static str,
    /// What the pod asks for.
    pub(super) requested: u64,
    /// What other pods were granted.
    pub(super) used: u64,
    /// What is allocatable.
    pub(super) capacity: u64,
}

/// The words for a node that lacks what selector or affinity ask for.
pub(super) const AFFINITY_REASON: &str = "node(s) didn't match Pod's node affinity/selector";
/// The words for a pod that names another node.
pub(super) const NAME_REASON: &str = "node(s) didn't match the requested node name";
/// The words for host ports that are taken.
pub(super) const PORTS_REASON: &str = "node(s) didn't have free ports for the requested pod ports";
/// The words for a taint that is not tolerated.
const TAINT_REASON: &str = "node(s) had untolerated taint(s)";
/// The words where affinity names other nodes only, found before any node is looked at.
const OTHER_NODES_REASON: &str = "node(s) didn't satisfy plugin(s) [NodeAffinity]";

/// Message and details where a scheduler would find no node; `None` where this one will do.
pub(super) fn unschedulable(
    spec: &PodSpec,
    node: &Node,
    running: &[Accounted],
) -> Option<(String, Vec<String>)> {
    if let Named::Conflict = affinity::named(spec) {
        let message = format!(
            "{NO_NODE} pod affinity terms conflict. {}",
            after_preemption(false)
        );
        let detail = "node affinity: the names in matchFields exclude each other".to_owned();
        return Some((message, vec![detail]));
    }
    let mut rejections = rejections(spec, node, running);
    let first = rejections.first_mut()?;
    let mut reasons: Vec<String> = first.reasons.iter().map(|reason| format!("1 {reason}")).collect();
    reasons.sort_unstable();
    let mut message = format!(
        "{NO_NODE} {}. {}",
        reasons.join(", "),
        after_preemption(first.preemption_could_help)
    );
    if first.filter == Filter::NodePorts {
        // Who holds the port is all that helps, and nothing but this pod's status is looked at by many.
        for holder in first.details.drain(..) {
            message.push(' ');
            message.push_str(&holder);
        }
    }
    let details = rejections.into_iter().flat_map(|rejection| rejection.details);
    Some((message, details.collect()))
}

const NO_NODE: &str = "0/1 nodes are available:";

/// Nothing is ever preempted here: all pods of one node have the same priority.
fn after_preemption(could_help: bool) -> String {
    let result = if could_help {
        "No preemption victims found for incoming pod"
    } else {
        "Preemption is not helpful for scheduling"
    };
    format!("preemption: {NO_NODE} 1 {result}.")
}

/// All filters that say no, in the scheduler's order. The scheduler stops at the first; a person wants all.
fn rejections(spec: &PodSpec, node: &Node, running: &[Accounted]) -> Vec<Rejection> {
    let filters = [
        by_affinity_name(spec, node),
        by_cordon(spec, node),
        by_name(spec, node),
        by_taint(spec, node),
        by_affinity(spec, node),
        by_ports(spec, node, running),
        by_resources(spec, node, running),
    ];
    filters.into_iter().flatten().collect()
}

fn rejection(filter: Filter, reason: &'static str, details: Vec<String>) -> Rejection {
    Rejection {
        filter,
        reasons: vec![reason],
        preemption_could_help: false,
        details,
    }
}

fn by_affinity_name(spec: &PodSpec, node: &Node) -> Option<Rejection> {
    match affinity::named(spec) {
        Named::Only(names) if !names.contains(node.name.as_str()) => {
            let names = names.into_iter().collect::<Vec<_>>().join(", ");
            let detail = format!("node affinity: allows {names} only, this node is {}", node.name);
            Some(rejection(Filter::NodeAffinity, OTHER_NODES_REASON, vec![detail]))
        }
        _ => None,
    }
}

fn by_cordon(spec: &PodSpec, node: &Node) -> Option<Rejection> {
    let cordon = Taint::new("node.kubernetes.io/unschedulable", TaintEffect::NoSchedule);
    if !node.unschedulable || cordon.toleration(&spec.tolerations).is_some() {
        return None;
    }
    let detail = format!("node {} is cordoned", node.name);
    Some(rejection(
        Filter::NodeUnschedulable,
        "node(s) were unschedulable",
        vec![detail],
    ))
}

/// The pod names another node.
pub(crate) fn by_name(spec: &PodSpec, node: &Node) -> Option<Rejection> {
    let wanted = spec.node_name.as_ref().filter(|name| **name != node.name)?;
    let detail = format!("nodeName: wants {wanted}, this node is {}", node.name);
    Some(rejection(Filter::NodeName, NAME_REASON, vec![detail]))
}

/// A taint that lets no new pod in is not tolerated.
pub(crate) fn by_taint(spec: &PodSpec, node: &Node) -> Option<Rejection> {
    let details: Vec<String> = node
        .taints
        .iter()
        .filter(|taint| taint.effect != TaintEffect::PreferNoSchedule)
        .filter(|taint| taint.toleration(&spec.tolerations).is_none())
        .map(|taint| {
            let effect = taint.effect.as_str();
            format!(
                "untolerated taint {{{}: {}}} with effect {effect}",
                taint.key, taint.value
            )
        })
        .collect();
    (!details.is_empty()).then(|| rejection(Filter::TaintToleration, TAINT_REASON, details))
}

/// nodeSelector or required node affinity does not match.
pub(crate) fn by_affinity(spec: &PodSpec, node: &Node) -> Option<Rejection> {
    if affinity::matches_node(spec, node) {
        return None;
    }
    let missing = |(key, value): (&String, &String)| match node.labels.get(key) {
        Some(other) if other == value => None,
        Some(other) => Some(format!(
            "nodeSelector: wants {key}={value}, the node has {key}={other}"
        )),
        None => Some(format!(
            "nodeSelector: wants {key}={value}, the node has no label {key}"
        )),
    };
    let mut details: Vec<String> = spec.node_selector.iter().filter_map(missing).collect();
    if details.is_empty() {
        details.push("node affinity: no term of nodeSelectorTerms matches the node's labels".to_owned());
    }
    Some(rejection(Filter::NodeAffinity, AFFINITY_REASON, details))
}

fn by_ports(spec: &PodSpec, node: &Node, running: &[Accounted]) -> Option<Rejection> {
    let details = ports::conflicts(spec, node, running);
    (!details.is_empty()).then(|| Rejection {
        preemption_could_help: true,
        ..rejection(Filter::NodePorts, PORTS_REASON, details)
    })
}

fn by_resources(spec: &PodSpec, node: &Node, running: &[Accounted]) -> Option<Rejection> {
    let short = shortages(spec, node, running);
    if short.is_empty() {
        return None;
    }
    Some(Rejection {
        filter: Filter::NodeResourcesFit,
        reasons: short.iter().map(|shortage| shortage.reason).collect(),
        preemption_could_help: short
            .iter()
            .all(|shortage| shortage.requested <= shortage.capacity),
        details: short.iter().map(Shortage::sentence).collect(),
    })
}

impl Shortage {
    fn sentence(&self) -> String {
        let show = |amount: u64| match self.resource {
            "cpu" => MilliCpu(amount).to_string(),
            "pods" => amount.to_string(),
            _ => Bytes(amount).to_string(),
        };
        format!(
            "{}: asks for {}, of {} allocatable {} are taken by other pods",
            self.resource,
            show(self.requested),
            show(self.capacity),
            show(self.used)
        )
    }
}

/// What there is not enough of; a pod that asks for nothing of a resource is never short of it.
pub(super) fn shortages(spec: &PodSpec, node: &Node, running: &[Accounted]) -> Vec<Shortage> {
    let wanted = pod_requests(spec);
    let used = running
        .iter()
        .map(|pod| pod.requests)
        .fold(Requests::default(), Requests::plus);
    let all = &node.allocatable;
    let mut short = Vec::new();
    let others = running.len() as u64;
    if others >= u64::from(all.pods) {
        short.push(Shortage {
            reason: "Too many pods",
            resource: "pods",
            requested: 1,
            used: others,
            capacity: u64::from(all.pods),
        });
    }
    let resources = [
        ("Insufficient cpu", "cpu", wanted.cpu.0, used.cpu.0, all.cpu.0),
        (
            "Insufficient memory",
            "memory",
            wanted.memory.0,
            used.memory.0,
            all.memory.0,
        ),
        (
            "Insufficient ephemeral-storage",
            "ephemeral-storage",
            wanted.ephemeral_storage.0,
            used.ephemeral_storage.0,
            all.ephemeral_storage.0,
        ),
    ];
    for (reason, resource, requested, used, capacity) in resources {
        if requested > 0 && requested > capacity.saturating_sub(used) {
            short.push(Shortage {
                reason,
                resource,
                requested,
                used,
                capacity,
            });
        }
    }
    short
}
