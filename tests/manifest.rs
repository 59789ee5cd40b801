//! Manifests, as JSON.

use serde_json::{Value, json};

use crate::images::BUSYBOX;

/// A Pod in the namespace `default`.
pub fn pod(name: &str, spec: Value) -> String {
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}});
    pod["spec"] = spec;
    format!("{pod:#}")
}

/// A container of the tests' image that runs a script.
pub fn shell(name: &str, script: &str) -> Value {
    json!({
        "name": name,
        "image": BUSYBOX,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", script],
    })
}

/// A script that goes on until it is asked to end.
pub const GO_ON: &str = "trap 'exit 0' TERM; while :; do sleep 0.1; done";

/// `fields` of the second laid over the first.
pub fn with(mut object: Value, fields: Value) -> Value {
    let (Value::Object(all), Value::Object(more)) = (&mut object, fields) else {
        panic!("only fields of objects can be merged");
    };
    all.extend(more);
    object
}
