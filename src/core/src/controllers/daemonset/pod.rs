//! The pod that a DaemonSet makes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use pinnace_api::pod::{PodSpec, TaintEffect, Toleration};
use pinnace_api::{DaemonSet, Document, Metadata, ObjectName, Pod};

use super::DaemonPod;
use crate::controllers::names::generated_name;
use crate::node::effect_name;

/// The label that carries the revision.
pub const REVISION_LABEL: &str = "controller-revision-hash";

/// Taints that Kubernetes sets on a node in trouble, which a daemon's pod bears.
const BORNE: [(&str, TaintEffect); 6] = [
    ("node.kubernetes.io/not-ready", TaintEffect::NoExecute),
    ("node.kubernetes.io/unreachable", TaintEffect::NoExecute),
    ("node.kubernetes.io/disk-pressure", TaintEffect::NoSchedule),
    ("node.kubernetes.io/memory-pressure", TaintEffect::NoSchedule),
    ("node.kubernetes.io/pid-pressure", TaintEffect::NoSchedule),
    ("node.kubernetes.io/unschedulable", TaintEffect::NoSchedule),
];
const BORNE_ON_HOST_NETWORK: (&str, TaintEffect) =
    ("node.kubernetes.io/network-unavailable", TaintEffect::NoSchedule);

/// The tolerations that are added to the template's own.
fn added(spec: &PodSpec) -> Vec<Toleration> {
    let on_host_network = spec.host_network.then_some(BORNE_ON_HOST_NETWORK);
    let borne = BORNE.into_iter().chain(on_host_network);
    let all = borne.map(|(key, effect)| Toleration {
        key: Some(key.to_owned()),
        value: None,
        effect: Some(effect),
        toleration_seconds: None,
    });
    all.filter(|toleration| !spec.tolerations.contains(toleration))
        .collect()
}

/// The template's pod with the tolerations that Kubernetes' controller adds.
pub fn template_spec(set: &DaemonSet) -> PodSpec {
    let mut spec = set.template_spec.clone();
    spec.tolerations.extend(added(&set.template_spec));
    spec
}

/// A pod of the template, under a name that none of `pods` has.
pub(super) fn make(set: &DaemonSet, pods: &[DaemonPod], revision: &str, random: u64) -> Pod {
    let mut labels = set.template_labels.clone();
    labels.insert(REVISION_LABEL.to_owned(), revision.to_owned());
    let meta = Metadata {
        name: free_name(set, pods, random),
        namespace: set.meta.namespace.clone(),
        labels,
        annotations: set.template_annotations.clone(),
    };
    Pod {
        document: document(set, &meta),
        spec: template_spec(set),
        meta,
    }
}

fn free_name(set: &DaemonSet, pods: &[DaemonPod], random: u64) -> ObjectName {
    let names = (0..=pods.len() as u64)
        .map(|step| generated_name(set.meta.name.as_str(), random.wrapping_add(step)))
        .filter_map(|name| ObjectName::new(name).ok());
    let mut free = names.filter(|name| pods.iter().all(|pod| pod.name != *name));
    // A generated name is always a name; the set's own is only what the types ask for.
    free.next().unwrap_or_else(|| set.meta.name.clone())
}

/// The pod's document: the template's, with what the controller adds, so that it is read again as this pod.
fn document(set: &DaemonSet, meta: &Metadata) -> Document {
    let template: Value = serde_json::from_str(set.template_document.as_json()).unwrap_or_default();
    let mut spec = template.get("spec").cloned().unwrap_or_else(|| json!({}));
    let more = added(&set.template_spec).into_iter().map(|toleration| {
        json!({
            "key": toleration.key,
            "operator": "Exists",
            "effect": toleration.effect.map(effect_name),
        })
    });
    let mut tolerations = match spec.get("tolerations") {
        Some(Value::Array(own)) => own.clone(),
        _ => Vec::new(),
    };
    tolerations.extend(more);
    if let Value::Object(members) = &mut spec
        && !tolerations.is_empty()
    {
        members.insert("tolerations".to_owned(), Value::Array(tolerations));
    }
    Document::of_controller(&json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata(meta),
        "spec": spec,
    }))
}

fn metadata(meta: &Metadata) -> Value {
    let mut members = json!({
        "name": meta.name.as_str(),
        "namespace": meta.namespace.as_str(),
        "labels": meta.labels,
    });
    let annotations: &BTreeMap<_, _> = &meta.annotations;
    if !annotations.is_empty() {
        members["annotations"] = json!(annotations);
    }
    members
}
