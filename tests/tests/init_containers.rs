//! What runs before the main containers, on real ones.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use pinnace_tests::manifest::{GO_ON, pod, shell, with};
use pinnace_tests::{Node, wait_for};
use serde_json::{Value, json};

fn node() -> Node {
    let mut node = Node::new();
    node.configure("nodeName: test\ncrashLoopBackOff:\n  maxContainerRestartPeriod: 1s\n");
    node.start();
    node
}

/// One volume that all containers of the pod share, at `/all`.
fn shared(name: &str, script: &str) -> Value {
    let mounts = json!({"volumeMounts": [{"name": "all", "mountPath": "/all"}]});
    with(shell(name, script), mounts)
}

fn sidecar(name: &str, script: &str) -> Value {
    with(shared(name, script), json!({"restartPolicy": "Always"}))
}

fn lay(node: &Node, policy: &str, init: &[Value], main: &[Value]) {
    let spec = json!({
        "restartPolicy": policy,
        "terminationGracePeriodSeconds": 20,
        "volumes": [{"name": "all", "emptyDir": {}}],
        "initContainers": init,
        "containers": main,
    });
    node.lay("web.json", &pod("web", spec));
}

fn row(node: &Node) -> String {
    let table = node.prints(&["get", "pods"]);
    let row = table
        .lines()
        .find(|line| line.contains("web"))
        .unwrap_or_default();
    row.to_owned()
}

#[test]
fn init_containers_run_in_order_each_to_its_success_and_are_tried_again() {
    let mut node = node();
    let flaky = "echo flaky >> /all/order; test -e /all/tried || { touch /all/tried; exit 3; }";
    let init = [
        shared("flaky", flaky),
        shared(
            "gate",
            "echo gate >> /all/order; while [ ! -e /all/go ]; do sleep 0.05; done",
        ),
    ];
    let main = shared("main", &format!("echo main >> /all/order; {GO_ON}"));
    lay(&node, "Always", &init, &[main]);
    wait_for("the second init container", || {
        row(&node).contains("Init:1/2").then_some(())
    });
    let waiting = node.wait_pod("web", "its second init container", |pod| {
        let gate = &pod["status"]["initContainerStatuses"][1];
        gate["state"]["running"].is_object().then(|| pod.clone())
    });
    assert_eq!(waiting["status"]["phase"], "Pending");
    let main = &waiting["status"]["containerStatuses"][0]["state"]["waiting"]["reason"];
    assert_eq!(main, "PodInitializing");
    let flaky = &waiting["status"]["initContainerStatuses"][0];
    assert_eq!(
        (&flaky["restartCount"], &flaky["ready"]),
        (&json!(1), &json!(true)),
        "{flaky:#}"
    );
    node.prints(&["exec", "web", "-c", "gate", "--", "touch", "/all/go"]);
    node.wait_running("web");
    assert_eq!(node.shell("web", "cat /all/order"), "flaky\nflaky\ngate\nmain");
    let row = row(&node);
    assert!(row.contains("1/1") && row.contains("Running"), "{row}");
    node.drain_and_find_nothing();
}

#[test]
fn an_init_container_that_fails_for_good_fails_the_pod() {
    let mut node = node();
    lay(
        &node,
        "Never",
        &[shared("bad", "exit 7")],
        &[shared("main", GO_ON)],
    );
    let failed = node.wait_pod("web", "its failure", |pod| {
        (pod["status"]["phase"] == "Failed").then(|| pod.clone())
    });
    let bad = &failed["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"];
    assert_eq!(bad, 7);
    assert!(row(&node).contains("Init:Error"), "{}", row(&node));
    node.drain_and_find_nothing();
}

#[test]
fn a_sidecar_starts_first_and_ends_last_and_keeps_no_pod_alive() {
    let mut node = node();
    let proxy = "echo proxy >> /all/order; trap 'echo proxy ends >> /all/order; cp /all/order /all/end; exit 0' TERM; \
                 while :; do sleep 0.05; done";
    let keep = json!({"volumes": [{"name": "all", "hostPath": {"path": node.path("all"), "type": "DirectoryOrCreate"}}]});
    let spec = json!({
        "restartPolicy": "Never",
        "initContainers": [sidecar("proxy", proxy), shared("prepare", "echo prepare >> /all/order")],
        "containers": [shared("main", "echo main >> /all/order; sleep 0.3; echo main ends >> /all/order")],
    });
    node.lay("web.json", &pod("web", with(spec, keep)));
    node.wait_pod("web", "its success", |pod| {
        (pod["status"]["phase"] == "Succeeded").then_some(())
    });
    let order = std::fs::read_to_string(node.path("all/order")).unwrap();
    assert_eq!(order, "proxy\nprepare\nmain\nmain ends\nproxy ends\n");
    assert!(row(&node).contains("Completed"), "{}", row(&node));
    node.drain_and_find_nothing();
}
