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

/// Gives the pod labels: `app` with this value.
#[must_use]
pub fn labelled(mut pod: Value, app: &str) -> Value {
    pod["metadata"]["labels"] = json!({"app": app});
    pod
}

/// Gives the pod's container ports.
#[must_use]
pub fn with_ports(mut pod: Value, ports: Value) -> Value {
    pod["spec"]["containers"][0]["ports"] = ports;
    pod
}

/// A Service of both families where the node has them, for pods with this label `app`: port 80 by TCP and UDP,
/// which leads to 8080.
pub fn service(name: &str, app: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "selector": {"app": app},
            "ipFamilyPolicy": "PreferDualStack",
            "ports": [
                {"name": "tcp", "port": 80, "targetPort": 8080},
                {"name": "udp", "port": 80, "targetPort": 8080, "protocol": "UDP"},
            ],
        },
    })
}

/// A NetworkPolicy for pods with this label `app`, with these rules.
pub fn policy(name: &str, app: &str, rules: &Value) -> Value {
    let mut policy = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {"podSelector": {"matchLabels": {"app": app}}},
    });
    for (key, value) in rules.as_object().into_iter().flatten() {
        policy["spec"][key.as_str()] = value.clone();
    }
    policy
}
