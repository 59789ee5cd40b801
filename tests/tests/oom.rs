//! Containers that are killed for memory.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use pinnace_tests::Node;
use pinnace_tests::manifest::{GO_ON, pod, shell, with};
use serde_json::json;

/// Takes far more than it may: `tail` keeps what has no line's end.
const GLUTTON: &str = "head -c 200000000 /dev/zero | tail";

#[test]
fn what_takes_more_than_its_limit_is_oom_killed_restarted_and_counted() {
    let mut node = Node::new();
    node.configure("nodeName: test\ncrashLoopBackOff:\n  maxContainerRestartPeriod: 1s\n");
    node.start();
    let limits = json!({"resources": {"limits": {"memory": "16Mi"}}});
    // The glutton is the container's first process itself.
    let eats = with(
        shell("eats", ""),
        json!({"command": ["dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1"]}),
    );
    let spec = json!({"containers": [with(eats, limits), shell("stays", GO_ON)]});
    node.lay("web.json", &pod("web", spec));
    let found = node.wait_pod("web", "a restart after an OOM kill", |pod| {
        let all = pod["status"]["containerStatuses"].as_array()?;
        let eats = all.iter().find(|one| one["name"] == "eats")?;
        (eats["restartCount"].as_u64()? >= 2).then(|| pod.clone())
    });
    let all = found["status"]["containerStatuses"].as_array().unwrap();
    let eats = all.iter().find(|one| one["name"] == "eats").unwrap();
    let stays = all.iter().find(|one| one["name"] == "stays").unwrap();
    let last = &eats["lastState"]["terminated"];
    assert_eq!(
        (&last["reason"], &last["exitCode"]),
        (&json!("OOMKilled"), &json!(137)),
        "{found:#}"
    );
    assert_eq!(stays["restartCount"], 0, "its neighbour goes on");
    let counted = node.wait_pod("web", "the count of OOM kills", |_| {
        let (code, body) = node.get("/metrics")?;
        assert_eq!(code, 200, "{body}");
        let line = body.lines().find(|line| {
            line.starts_with("container_oom_events_total{") && line.contains("container=\"eats\"")
        })?;
        let count: f64 = line.rsplit(' ').next()?.parse().ok()?;
        (count >= 2.0).then_some(count)
    });
    assert!(counted >= 2.0);
    node.drain_and_find_nothing();
}

#[test]
fn a_killed_child_does_not_end_its_container() {
    let mut node = Node::started();
    let script = format!("{GLUTTON}; echo child ended with $?; exit 0");
    let limits = json!({"resources": {"limits": {"memory": "16Mi"}}});
    let spec = json!({"restartPolicy": "Never", "containers": [with(shell("one", &script), limits)]});
    node.lay("web.json", &pod("web", spec));
    let ended = node.wait_pod("web", "its end", |pod| {
        let state = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
        state.is_object().then(|| state.clone())
    });
    assert_eq!(ended["exitCode"], 0, "{ended:#}");
    assert!(node.prints(&["logs", "web"]).contains("child ended with 137"));
    node.drain_and_find_nothing();
}
