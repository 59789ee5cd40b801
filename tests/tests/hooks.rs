//! Hooks on real containers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::time::{Duration, Instant};

use pinnace_tests::manifest::{GO_ON, pod, shell, with};
use pinnace_tests::{Node, wait_for};
use serde_json::{Value, json};

fn hooked(node: &Node, script: &str, lifecycle: &Value) -> Value {
    let fields = json!({
        "lifecycle": lifecycle,
        "volumeMounts": [{"name": "all", "mountPath": "/all"}],
    });
    json!({
        "terminationGracePeriodSeconds": 20,
        "volumes": [{"name": "all", "hostPath": {"path": node.path("all"), "type": "DirectoryOrCreate"}}],
        "containers": [with(shell("main", script), fields)],
    })
}

fn exec(script: &str) -> Value {
    json!({"exec": {"command": ["sh", "-c", script]}})
}

#[test]
fn a_container_runs_once_its_hook_is_done_and_is_told_to_end_after_the_other() {
    let mut node = Node::started();
    let main = "trap 'echo signal >> /all/order; exit 0' TERM; echo main >> /all/order; while :; do sleep 0.05; done";
    let lifecycle = json!({
        "postStart": exec("while [ ! -e /all/go ]; do sleep 0.05; done; echo post >> /all/order"),
        "preStop": exec("sleep 0.2; echo pre >> /all/order"),
    });
    let spec = hooked(&node, main, &lifecycle);
    node.lay("web.json", &pod("web", spec));
    let order = || std::fs::read_to_string(node.path("all/order")).unwrap_or_default();
    wait_for("the container's beginning", || {
        (order() == "main\n").then_some(())
    });
    let waiting = node.pod("web").unwrap();
    let state = &waiting["status"]["containerStatuses"][0]["state"];
    assert_eq!(state["waiting"]["reason"], "ContainerCreating", "{state}");
    std::fs::write(node.path("all/go"), "").unwrap();
    node.wait_running("web");
    node.take_away("web.json");
    node.wait_gone("web");
    assert_eq!(order(), "main\npost\npre\nsignal\n");
    node.drain_and_find_nothing();
}

#[test]
fn a_failed_hook_after_the_start_ends_the_container_and_one_before_the_end_does_not_hold_it_up() {
    let mut node = Node::started();
    let spec = hooked(&node, GO_ON, &json!({"postStart": exec("echo secret; exit 4")}));
    node.lay("web.json", &pod("web", spec));
    node.wait_pod("web", "its restart", |pod| {
        let count = pod["status"]["containerStatuses"][0]["restartCount"].as_u64();
        (count >= Some(1)).then_some(())
    });
    let events = node.events();
    assert!(
        events.contains("FailedPostStartHook") && events.contains("PostStartHook failed"),
        "{events}"
    );
    assert!(!events.contains("secret"), "{events}");
    node.take_away("web.json");
    node.wait_gone("web");
    let spec = hooked(&node, GO_ON, &json!({"preStop": exec("exit 1")}));
    node.lay("web.json", &pod("web", spec));
    node.wait_running("web");
    node.take_away("web.json");
    node.wait_gone("web");
    assert!(node.events().contains("PreStopHook failed"), "{}", node.events());
    node.drain_and_find_nothing();
}

#[test]
fn a_pause_before_the_end_is_kept() {
    let mut node = Node::started();
    let spec = hooked(&node, GO_ON, &json!({"preStop": {"sleep": {"seconds": 2}}}));
    node.lay("web.json", &pod("web", spec));
    node.wait_running("web");
    let begun = Instant::now();
    node.take_away("web.json");
    node.wait_gone("web");
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(2), "{took:?}");
    node.drain_and_find_nothing();
}

#[test]
fn a_container_is_told_to_end_by_the_signal_that_it_asks_for() {
    let mut node = Node::started();
    let main = "trap 'echo asked >> /all/order; exit 0' USR1; trap 'echo usual >> /all/order; exit 1' TERM; \
                echo main >> /all/order; while :; do sleep 0.05; done";
    let mut spec = hooked(&node, main, &json!({"stopSignal": "SIGUSR1"}));
    spec["os"] = json!({"name": "linux"});
    node.lay("web.json", &pod("web", spec));
    let order = || std::fs::read_to_string(node.path("all/order")).unwrap_or_default();
    wait_for("the container's beginning", || {
        (order() == "main\n").then_some(())
    });
    node.take_away("web.json");
    node.wait_gone("web");
    assert_eq!(order(), "main\nasked\n");
    node.drain_and_find_nothing();
}
