//! What the node itself must refuse, in the kubelet's reasons and words.

use pinnace_api::Pod;
use pinnace_api::pod::{PodSpec, TaintEffect};

use super::{Accounted, Verdict, filter, ports};
use crate::node::Node;

const OS_LABEL: &str = "kubernetes.io/os";
const OS: &str = "linux";

/// The operating system is asked of every pod, whoever placed it.
pub(super) fn by_system(pod: &Pod) -> Option<Verdict> {
    let refused = |reason, message: &str, detail: String| Verdict::Refused {
        reason,
        message: message.to_owned(),
        details: vec![detail],
    };
    if let Some(os) = pod.meta.labels.get(OS_LABEL).filter(|os| *os != OS) {
        return Some(refused(
            "PodOSSelectorNodeLabelDoesNotMatch",
            "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label",
            format!("the pod's label {OS_LABEL} is {os}, this node runs {OS}"),
        ));
    }
    let os = pod.spec.os.as_ref().filter(|os| *os != OS)?;
    Some(refused(
        "PodOSNotSupported",
        "Failed to admit pod as the OS field doesn't match node OS",
        format!("os.name is {os}, this node runs {OS}"),
    ))
}

/// What a pod that was placed here by its nodeName may lack; the first finding counts.
pub(super) fn by_node(spec: &PodSpec, node: &Node, running: &[Accounted]) -> Option<Verdict> {
    by_resources(spec, node, running)
        .or_else(|| by_affinity(spec, node))
        .or_else(|| by_ports(spec, node, running))
        .or_else(|| by_taint(spec, node))
}

fn predicate(reason: &'static str, words: &str, details: Vec<String>) -> Verdict {
    Verdict::Refused {
        reason,
        message: format!("Predicate {reason} failed: {words}"),
        details,
    }
}

fn by_resources(spec: &PodSpec, node: &Node, running: &[Accounted]) -> Option<Verdict> {
    let short = filter::shortages(spec, node, running);
    let first = short.first()?;
    let reason = match first.resource {
        "cpu" => "OutOfcpu",
        "memory" => "OutOfmemory",
        "ephemeral-storage" => "OutOfephemeral-storage",
        _ => "OutOfpods",
    };
    let message = format!(
        "Node didn't have enough resource: {}, requested: {}, used: {}, capacity: {}",
        first.resource, first.requested, first.used, first.capacity
    );
    Some(Verdict::Refused {
        reason,
        message,
        details: Vec::new(),
    })
}

fn by_affinity(spec: &PodSpec, node: &Node) -> Option<Verdict> {
    let rejection = filter::by_affinity(spec, node)?;
    Some(predicate(
        "NodeAffinity",
        filter::AFFINITY_REASON,
        rejection.details,
    ))
}

fn by_ports(spec: &PodSpec, node: &Node, running: &[Accounted]) -> Option<Verdict> {
    let details = ports::conflicts(spec, node, running);
    (!details.is_empty()).then(|| predicate("NodePorts", filter::PORTS_REASON, details))
}

/// The kubelet asks for NoExecute only: NoSchedule is the scheduler's, which was not asked.
fn by_taint(spec: &PodSpec, node: &Node) -> Option<Verdict> {
    let details: Vec<String> = node
        .taints
        .iter()
        .filter(|taint| taint.effect == TaintEffect::NoExecute)
        .filter(|taint| taint.toleration(&spec.tolerations).is_none())
        .map(|taint| {
            format!(
                "untolerated taint {{{}: {}}} with effect NoExecute",
                taint.key, taint.value
            )
        })
        .collect();
    let words = "node(s) had taints that the pod didn't tolerate";
    (!details.is_empty()).then(|| predicate("TaintToleration", words, details))
}
