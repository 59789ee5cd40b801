//! Kubernetes objects as JSON, out of what the board shows; with defaults, as an API server shows them.

use pinnace_api::ObjectKey;
use pinnace_core::admission::Verdict;
use pinnace_core::node::Node;
use pinnace_core::pod::status::PodStatus;
use pinnace_core::resources::qos_class;
use pinnace_core::time::WallMillis;
use pinnace_engine::board::{Counted, DaemonSetView, PodView};
use pinnace_engine::manager::WaitingPod;
use serde_json::{Map, Value, json};

/// A list object of Kubernetes.
pub fn list(kind: &str, api_version: &str, items: &[Value]) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "metadata": {}, "items": items})
}

/// Sets fields of the object's metadata.
pub fn set_metadata(
    object: &mut Map<String, Value>,
    fields: impl IntoIterator<Item = (&'static str, Value)>,
) {
    let mut metadata = match object.remove("metadata") {
        Some(Value::Object(metadata)) => metadata,
        _ => Map::new(),
    };
    metadata.extend(fields.into_iter().map(|(name, value)| (name.to_owned(), value)));
    object.insert("metadata".to_owned(), Value::Object(metadata));
}

/// A pod with a worker.
pub fn pod(view: &PodView, node: Option<&Node>) -> Value {
    let mut object = view.identity.document.defaulted();
    let identity = &view.identity;
    dress(
        &mut object,
        identity.namespace.as_str(),
        identity.uid.as_str(),
        identity.created_at,
    );
    if let Some(termination) = &view.terminating {
        let grace = termination.deadline.since(termination.since.boot) / 1000;
        let since = json!(termination.since.wall.rfc3339());
        set_metadata(
            &mut object,
            [
                ("deletionTimestamp", since),
                ("deletionGracePeriodSeconds", json!(grace)),
            ],
        );
    }
    place(&mut object, node);
    object.insert("status".to_owned(), json!(view.status));
    Value::Object(object)
}

/// A pod that is wanted and does not run.
pub fn waiting(waiting: &WaitingPod, node: Option<&Node>) -> Value {
    let mut object = waiting.pod.document.defaulted();
    let meta = &waiting.pod.meta;
    dress(
        &mut object,
        meta.namespace.as_str(),
        waiting.uid.as_str(),
        waiting.since.wall,
    );
    let qos = qos_class(&waiting.pod.spec);
    let since = waiting.since.wall;
    let status = match &waiting.verdict {
        Verdict::Refused { reason, message, .. } => {
            place(&mut object, node);
            PodStatus::rejected((*reason).to_owned(), message.clone(), qos, since)
        }
        Verdict::Unschedulable { message, .. } => PodStatus::unschedulable(message.clone(), qos, None, since),
        Verdict::Gated => PodStatus::gated(qos, None, since),
        Verdict::Admitted { .. } => PodStatus::unschedulable(String::new(), qos, None, since),
    };
    object.insert("status".to_owned(), json!(status));
    Value::Object(object)
}

fn dress(object: &mut Map<String, Value>, namespace: &str, uid: &str, created_at: WallMillis) {
    let created_at = json!(created_at.rfc3339());
    let fields = [
        ("namespace", json!(namespace)),
        ("uid", json!(uid)),
        ("creationTimestamp", created_at),
    ];
    set_metadata(object, fields);
}

fn place(object: &mut Map<String, Value>, node: Option<&Node>) {
    if let (Some(Value::Object(spec)), Some(node)) = (object.get_mut("spec"), node) {
        spec.insert("nodeName".to_owned(), json!(node.name.as_str()));
    }
}

/// The object with the time from which this node knows it, where it has none of its own.
pub fn dated(mut object: Value, since: WallMillis) -> Value {
    if let Some(Value::Object(meta)) = object.get_mut("metadata") {
        meta.entry("creationTimestamp")
            .or_insert_with(|| json!(since.rfc3339()));
    }
    object
}

/// A DaemonSet with its status, and why it makes no pod here, if so.
pub fn daemonset(view: &DaemonSetView, since: WallMillis) -> Value {
    let mut object = view.set.document.defaulted();
    let fields = [
        ("namespace", json!(view.key.namespace)),
        ("creationTimestamp", json!(since.rfc3339())),
    ];
    set_metadata(&mut object, fields);
    let mut status = json!(view.counts);
    if let (Value::Object(status), false) = (&mut status, view.misfit.is_empty()) {
        let condition = json!({
            "type": "FitsNode",
            "status": "False",
            "reason": "NodeMisfit",
            "message": view.misfit.join("; "),
        });
        status.insert("conditions".to_owned(), json!([condition]));
    }
    object.insert("status".to_owned(), status);
    Value::Object(object)
}

/// An event in the shape of core/v1.
pub fn event(counted: &Counted, index: usize, node: Option<&Node>) -> Value {
    let event = &counted.event;
    let ObjectKey {
        kind,
        namespace,
        name,
    } = &event.object;
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": format!("{name}.{index:x}"), "namespace": namespace},
        "involvedObject": {"kind": kind, "namespace": namespace, "name": name},
        "type": event.kind,
        "reason": event.reason,
        "message": event.message,
        "count": counted.count,
        "firstTimestamp": counted.first_at.rfc3339(),
        "lastTimestamp": event.at.rfc3339(),
        "source": {"component": "pinnace", "host": node.map(|node| node.name.as_str())},
    })
}
