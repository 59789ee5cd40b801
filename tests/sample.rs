//! Sample objects as values that a test bends to its purpose; JSON is YAML too.

use serde_json::{Value, json};

/// A pod of one container that runs a script and ends without a grace period.
pub fn pod(name: &str, script: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": spec(script),
    })
}

/// A DaemonSet whose pod does the same.
pub fn daemonset(name: &str, script: &str) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": spec(script)},
        },
    })
}

fn spec(script: &str) -> Value {
    json!({
        "terminationGracePeriodSeconds": 0,
        "containers": [{
            "name": "main",
            "image": crate::images::BUSYBOX,
            "imagePullPolicy": "Never",
            "command": ["sh", "-c", script],
        }],
    })
}

/// A script that runs until it is killed.
pub const FOREVER: &str = "exec sleep 1000000";

/// Gives the pod (or the template's pod) a folder of the host at `/out`.
#[must_use]
pub fn with_out(mut object: Value, folder: &std::path::Path) -> Value {
    let spec = if object["kind"] == "Pod" {
        &mut object["spec"]
    } else {
        &mut object["spec"]["template"]["spec"]
    };
    spec["volumes"] = json!([{"name": "out", "hostPath": {"path": folder, "type": "Directory"}}]);
    spec["containers"][0]["volumeMounts"] = json!([{"name": "out", "mountPath": "/out"}]);
    object
}
