//! What becomes of a pod's fields, and what is said of wrong ones.
//!
//! The table of fields is not asked here, so that conversion is tested for what the table may still refuse.

#![allow(
    clippy::needless_pass_by_value,
    reason = "a value is written where it is used"
)]

mod containers;
mod hooks;
mod objects;
mod pods;
mod security;
mod variables;
mod volumes;

use serde_json::{Value, json};

use crate::pod::{Container, Pod, PodSpec};
use crate::problem::Severity;
use crate::report::Report;
use crate::tree::Node;
use crate::{canonical, typed};

/// A pod read from its spec, and what was found.
fn read(spec: &Value) -> (Option<Pod>, Vec<String>) {
    let manifest = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec});
    let root = Node::from_json(manifest);
    let mut report = Report::new(&root, "a.yaml");
    let pod = typed::pod(&root, &mut report)
        .and_then(|pod| super::pod(&pod, canonical::of_object(root.to_json()), &mut report));
    let problems = report.into_problems().into_iter();
    let found = problems.map(|problem| {
        let severity = match problem.severity {
            Severity::Error => "",
            Severity::Warning => "warning: ",
            Severity::Note => "note: ",
        };
        let field = problem.field.unwrap_or_default();
        format!("{severity}{field}: {}", problem.message)
    });
    (pod, found.collect())
}

/// The spec of a pod with which nothing is wrong.
fn spec(spec: Value) -> PodSpec {
    let (pod, found) = read(&filled(spec));
    assert_eq!(found, Vec::<String>::new());
    pod.expect("a pod").spec
}

/// What is found in a spec.
fn faults(spec: Value) -> Vec<String> {
    read(&filled(spec)).1
}

/// A container with which nothing is wrong.
fn container(fields: Value) -> Container {
    spec(json!({"containers": [fields]})).containers.remove(0)
}

/// What is found in a container, its path left out.
fn faults_of_container(fields: Value) -> Vec<String> {
    let found = faults(json!({"containers": [fields]})).into_iter();
    found
        .map(|fault| fault.replace("spec.containers[0].", ""))
        .collect()
}

fn filled(mut spec: Value) -> Value {
    if spec.get("containers").is_none() {
        spec["containers"] = json!([{}]);
    }
    for list in ["containers", "initContainers"] {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut);
        for (index, container) in containers.into_iter().flatten().enumerate() {
            let name = format!("{}{index}", &list[..1]);
            let fields = container.as_object_mut().expect("a map");
            fields.entry("name").or_insert(json!(name));
            fields.entry("image").or_insert(json!("example.com/a:1"));
        }
    }
    spec
}
