//! A DaemonSet: one pod on each node that its template allows.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::canonical;
use crate::document::Document;
use crate::ident::{LabelName, ObjectName};
use crate::meta::Metadata;
use crate::pod::{Pod, PodSpec, TaintEffect, Toleration};

/// `DaemonSet` of apps/v1 as this node understands it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonSet {
    /// Name, namespace, labels, annotations.
    pub meta: Metadata,
    /// Labels of the template; the selector was found to match them when the document was read.
    pub template_labels: BTreeMap<LabelName, String>,
    /// Annotations of the template.
    pub template_annotations: BTreeMap<LabelName, String>,
    /// The template's pod.
    pub template_spec: PodSpec,
    /// The template alone, before defaulting: its digest is the revision.
    pub template_document: Document,
    /// When pods of an older template are replaced.
    pub update_strategy: UpdateStrategy,
    /// The whole object, before defaulting.
    pub document: Document,
}

/// `updateStrategy.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UpdateStrategy {
    /// The old pod goes first, then the new one starts.
    #[default]
    RollingUpdate,
    /// A pod changes only when someone deletes it.
    OnDelete,
}

/// Label of the revision of the template that a pod was made of.
pub const REVISION_LABEL: &str = "controller-revision-hash";
/// Label of the template's generation, an older name of the same.
pub const GENERATION_LABEL: &str = "pod-template-generation";
/// Annotation in which an API server keeps the generation.
const GENERATION_ANNOTATION: &str = "deprecated.daemonset.template.generation";

/// Taints that every DaemonSet's pod bears, as Kubernetes' controller has it.
const BORNE_TAINTS: [(&str, TaintEffect); 6] = [
    ("node.kubernetes.io/not-ready", TaintEffect::NoExecute),
    ("node.kubernetes.io/unreachable", TaintEffect::NoExecute),
    ("node.kubernetes.io/disk-pressure", TaintEffect::NoSchedule),
    ("node.kubernetes.io/memory-pressure", TaintEffect::NoSchedule),
    ("node.kubernetes.io/pid-pressure", TaintEffect::NoSchedule),
    ("node.kubernetes.io/unschedulable", TaintEffect::NoSchedule),
];
/// Borne only with the host's network.
const NETWORK_TAINT: (&str, TaintEffect) =
    ("node.kubernetes.io/network-unavailable", TaintEffect::NoSchedule);

impl DaemonSet {
    /// The pod that the controller makes of the template: `name`d, labelled with the `revision`, owned by the
    /// set, and bearing the taints that a DaemonSet's pods bear.
    ///
    /// Its document says all of that, so that the same pod is read from it again.
    pub fn pod(&self, name: ObjectName, revision: &str) -> Pod {
        let generation = self
            .meta
            .annotations
            .get(GENERATION_ANNOTATION)
            .map_or("1", String::as_str);
        let mut labels = self.template_labels.clone();
        labels.insert(REVISION_LABEL.to_owned(), revision.to_owned());
        labels.insert(GENERATION_LABEL.to_owned(), generation.to_owned());
        let meta = Metadata {
            name,
            namespace: self.meta.namespace.clone(),
            labels,
            annotations: self.template_annotations.clone(),
        };
        let borne: Vec<_> = BORNE_TAINTS
            .into_iter()
            .chain(self.template_spec.host_network.then_some(NETWORK_TAINT))
            .collect();
        let mut spec = self.template_spec.clone();
        for (key, effect) in &borne {
            bear(&mut spec.tolerations, key, *effect);
        }
        let document = self.pod_document(&meta, &borne);
        Pod { meta, spec, document }
    }

    fn pod_document(&self, meta: &Metadata, borne: &[(&str, TaintEffect)]) -> Document {
        // A document is JSON by construction.
        let mut pod: Value = serde_json::from_str(self.template_document.as_json()).unwrap_or_default();
        let owner = json!({
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "name": self.meta.name.as_str(),
            "controller": true,
            "blockOwnerDeletion": true,
        });
        let mut metadata = json!({
            "name": meta.name.as_str(),
            "namespace": meta.namespace.as_str(),
            "labels": meta.labels,
            "ownerReferences": [owner],
        });
        if !meta.annotations.is_empty() {
            metadata["annotations"] = json!(meta.annotations);
        }
        pod["apiVersion"] = json!("v1");
        pod["kind"] = json!("Pod");
        pod["metadata"] = metadata;
        let tolerations = &mut pod["spec"]["tolerations"];
        let mut given = std::mem::take(tolerations)
            .as_array_mut()
            .map(std::mem::take)
            .unwrap_or_default();
        for (key, effect) in borne {
            bear_in_document(&mut given, key, *effect);
        }
        *tolerations = Value::Array(given);
        canonical::of_object(pod)
    }
}

/// Adds the toleration, or lifts the time limit of the one that is there.
fn bear(tolerations: &mut Vec<Toleration>, key: &str, effect: TaintEffect) {
    let same = |given: &&mut Toleration| {
        given.key.as_deref() == Some(key) && given.value.is_none() && given.effect == Some(effect)
    };
    match tolerations.iter_mut().find(same) {
        Some(given) => given.toleration_seconds = None,
        None => tolerations.push(Toleration {
            key: Some(key.to_owned()),
            value: None,
            effect: Some(effect),
            toleration_seconds: None,
        }),
    }
}

/// The same for the document's tolerations.
fn bear_in_document(tolerations: &mut Vec<Value>, key: &str, effect: TaintEffect) {
    let effect = effect.as_str();
    let same = |given: &&mut Value| {
        given["key"] == key && given["operator"] == "Exists" && given["effect"] == effect
    };
    match tolerations.iter_mut().find(same) {
        Some(Value::Object(given)) => {
            given.remove("tolerationSeconds");
        }
        _ => tolerations.push(json!({ "key": key, "operator": "Exists", "effect": effect })),
    }
}
