//! Pod Security Standards and allowed directories of the host, by configuration and by namespaces' labels.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use nix::sys::signal::Signal;
use pinnace_tests::Node;
use pinnace_tests::manifest::{GO_ON, pod, shell, with};
use serde_json::{Value, json};

fn failed(node: &Node, name: &str) -> Value {
    node.wait_pod(name, "its refusal", |pod| {
        (pod["status"]["phase"] == "Failed").then(|| pod["status"].clone())
    })
}

fn of_namespace(name: &str, namespace: &str, spec: Value) -> String {
    let mut object: Value = serde_json::from_str(&pod(name, spec)).unwrap();
    object["metadata"]["namespace"] = json!(namespace);
    object.to_string()
}

#[test]
fn a_pod_beyond_the_level_is_refused_in_kubernetes_words_until_the_level_changes() {
    let mut node = Node::new();
    node.configure("nodeName: test\npodSecurity: {defaults: {enforce: baseline, warn: restricted}}\n");
    node.start();
    let privileged = with(
        shell("one", GO_ON),
        json!({"securityContext": {"privileged": true}}),
    );
    node.lay(
        "bad.json",
        &pod(
            "bad",
            json!({"terminationGracePeriodSeconds": 0, "containers": [privileged]}),
        ),
    );
    node.lay(
        "good.json",
        &pod(
            "good",
            json!({"terminationGracePeriodSeconds": 0, "containers": [shell("one", GO_ON)]}),
        ),
    );
    let status = failed(&node, "bad");
    assert_eq!(status["reason"], "Forbidden");
    let message = "pods \"bad\" is forbidden: violates PodSecurity \"baseline:latest\": privileged (container \"one\" \
        must not set securityContext.privileged=true)";
    assert_eq!(status["message"], message);
    node.wait_running("good");
    let warning = "would violate PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false (container \"one\" \
        must set securityContext.allowPrivilegeEscalation=false)";
    let events = node.events();
    assert!(events.contains(warning), "{events}");
    node.configure("nodeName: test\n");
    node.signal(Signal::SIGHUP);
    node.wait_running("bad");
    node.drain_and_find_nothing();
}

#[test]
fn a_namespaces_label_decides_for_its_pods() {
    let mut node = Node::started();
    let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "strict", "labels": labels}});
    node.lay("a-namespace.json", &namespace.to_string());
    let containers =
        |security: Value| json!([with(shell("one", GO_ON), json!({"securityContext": security}))]);
    let careless = json!({"terminationGracePeriodSeconds": 0, "containers": containers(json!({}))});
    let careful = json!({
        "terminationGracePeriodSeconds": 0,
        "securityContext": {"runAsNonRoot": true, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": containers(json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}})),
    });
    node.lay(
        "careless.json",
        &of_namespace("careless", "strict", careless.clone()),
    );
    node.lay("careful.json", &of_namespace("careful", "strict", careful));
    node.lay("free.json", &pod("free", careless));
    let message = failed(&node, "careless")["message"].as_str().unwrap().to_owned();
    let begin = "pods \"careless\" is forbidden: violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false";
    assert!(message.starts_with(begin), "{message}");
    node.wait_running("careful");
    node.wait_running("free");
    node.drain_and_find_nothing();
}

#[test]
fn only_allowed_directories_of_the_host_are_mounted() {
    let mut node = Node::new();
    let data = node.path("data");
    std::fs::create_dir_all(&data).unwrap();
    node.configure(&format!(
        "nodeName: test\nallowedHostPaths: [{{pathPrefix: {}}}]\n",
        data.display()
    ));
    node.start();
    let mounting = |path: &str| {
        json!({
            "terminationGracePeriodSeconds": 0,
            "volumes": [{"name": "host", "hostPath": {"path": path}}],
            "containers": [with(shell("one", GO_ON), json!({"volumeMounts": [{"name": "host", "mountPath": "/host"}]}))],
        })
    };
    node.lay("in.json", &pod("in", mounting(data.to_str().unwrap())));
    node.lay("out.json", &pod("out", mounting("/etc")));
    let message = "pods \"out\" is forbidden: spec.volumes[0].hostPath.pathPrefix: Invalid value: \"/etc\": is not \
        allowed to be used";
    assert_eq!(failed(&node, "out")["message"], message);
    node.wait_running("in");
    node.drain_and_find_nothing();
}
