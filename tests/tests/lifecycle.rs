//! How containers end and begin again.

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

/// Restarts wait a second at most.
const SHORT_BACKOFF: &str = "nodeName: test\ncrashLoopBackOff:\n  maxContainerRestartPeriod: 1s\n";

fn node() -> Node {
    let mut node = Node::new();
    node.configure(SHORT_BACKOFF);
    node.start();
    node
}

fn status(pod: &Value) -> &Value {
    &pod["status"]["containerStatuses"][0]
}

fn lay(node: &Node, name: &str, policy: &str, script: &str) {
    let spec = json!({"restartPolicy": policy, "terminationGracePeriodSeconds": 1, "containers": [shell("one", script)]});
    node.lay(&format!("{name}.json"), &pod(name, spec));
}

/// Waits for a phase that stays, and answers the pod.
#[track_caller]
fn phase(node: &Node, name: &str, phase: &str) -> Value {
    node.wait_pod(name, phase, |pod| {
        (pod["status"]["phase"] == phase).then(|| pod.clone())
    })
}

#[test]
fn what_never_restarts_ends_as_succeeded_or_failed_with_its_exit_code() {
    let mut node = node();
    lay(&node, "good", "Never", "echo done");
    lay(&node, "bad", "Never", "exit 42");
    let good = phase(&node, "good", "Succeeded");
    let ended = &status(&good)["state"]["terminated"];
    assert_eq!(
        (&ended["exitCode"], &ended["reason"]),
        (&json!(0), &json!("Completed")),
        "{good:#}"
    );
    assert_eq!(status(&good)["restartCount"], 0);
    assert!(
        ended["startedAt"].is_string() && ended["finishedAt"].is_string(),
        "{ended}"
    );
    let bad = phase(&node, "bad", "Failed");
    let ended = &status(&bad)["state"]["terminated"];
    assert_eq!(
        (&ended["exitCode"], &ended["reason"]),
        (&json!(42), &json!("Error")),
        "{bad:#}"
    );
    assert_eq!(status(&bad)["restartCount"], 0);
    let table = node.prints(&["get", "pods"]);
    let row = |name: &str| table.lines().find(|line| line.contains(name)).unwrap().to_owned();
    assert!(
        row("good").contains("0/1") && row("good").contains("Completed"),
        "{table}"
    );
    assert!(row("bad").contains("Error"), "{table}");
    node.drain_and_find_nothing();
}

#[test]
fn on_failure_restarts_until_it_succeeds() {
    let mut node = node();
    let spec = json!({
        "restartPolicy": "OnFailure",
        "volumes": [{"name": "kept", "emptyDir": {}}],
        "containers": [with(
            shell("one", "echo >> /kept/runs; [ $(wc -l < /kept/runs) -ge 3 ] || exit 7"),
            json!({"volumeMounts": [{"name": "kept", "mountPath": "/kept"}]}),
        )],
    });
    node.lay("web.json", &pod("web", spec));
    let ended = phase(&node, "web", "Succeeded");
    let status = status(&ended);
    assert_eq!(status["restartCount"], 2, "{ended:#}");
    assert_eq!(status["state"]["terminated"]["exitCode"], 0);
    node.drain_and_find_nothing();
}

#[test]
fn what_keeps_ending_is_in_crash_loop_back_off_and_its_first_restart_comes_at_once() {
    // The default back-off: a second restart would come after 10 s only.
    let mut node = Node::started();
    lay(&node, "web", "Always", "exit 3");
    let begun = Instant::now();
    let waiting = node.wait_pod("web", "the back-off", |pod| {
        let status = status(pod);
        (status["state"]["waiting"]["reason"] == "CrashLoopBackOff").then(|| pod.clone())
    });
    assert!(
        begun.elapsed() < Duration::from_secs(9),
        "the first restart waited"
    );
    let status = status(&waiting);
    assert_eq!(status["restartCount"], 1, "{waiting:#}");
    let uid = waiting["metadata"]["uid"].as_str().unwrap();
    assert_eq!(
        status["state"]["waiting"]["message"],
        format!("back-off 10s restarting failed container=one pod=web_default({uid})")
    );
    assert_eq!(status["lastState"]["terminated"]["exitCode"], 3);
    assert_eq!(status["lastState"]["terminated"]["reason"], "Error");
    assert_eq!(waiting["status"]["phase"], "Running", "so says the kubelet too");
    assert!(node.prints(&["get", "pods"]).contains("CrashLoopBackOff"));
    wait_for("the back-off's event", || {
        let events = node.events();
        let told = format!("Back-off restarting failed container one in pod web_default({uid})");
        (events.contains("BackOff") && events.contains(&told)).then_some(())
    });
    node.drain_and_find_nothing();
}

#[test]
fn always_restarts_after_success_too() {
    let mut node = node();
    lay(&node, "web", "Always", "exit 0");
    let pod = node.wait_pod("web", "three restarts", |pod| {
        (status(pod)["restartCount"].as_u64()? >= 3).then(|| pod.clone())
    });
    let last = &status(&pod)["lastState"]["terminated"];
    assert_eq!(
        (&last["exitCode"], &last["reason"]),
        (&json!(0), &json!("Completed")),
        "{pod:#}"
    );
    node.drain_and_find_nothing();
}

#[test]
fn one_container_restarts_and_its_neighbour_goes_on() {
    let mut node = node();
    let spec = json!({"containers": [shell("stays", GO_ON), shell("falls", "sleep 0.2; exit 1")]});
    node.lay("web.json", &pod("web", spec));
    let first = node.pid("web", "stays");
    node.wait_pod("web", "restarts", |pod| {
        let all = pod["status"]["containerStatuses"].as_array()?;
        let falls = all.iter().find(|one| one["name"] == "falls")?;
        (falls["restartCount"].as_u64()? >= 2).then_some(())
    });
    assert_eq!(node.pid("web", "stays"), first);
    node.drain_and_find_nothing();
}

#[test]
fn a_removed_pod_is_asked_to_end_and_killed_after_its_grace_period() {
    let mut node = node();
    let notes = tempfile::tempdir().unwrap();
    let mount = json!({"volumeMounts": [{"name": "notes", "mountPath": "/notes"}]});
    let volumes = json!([{"name": "notes", "hostPath": {"path": notes.path()}}]);
    let polite = "trap 'echo polite > /notes/polite; exit 0' TERM; while :; do sleep 0.05; done";
    let deaf = "trap 'echo deaf > /notes/deaf' TERM; while :; do sleep 0.05; done";
    for (name, script, grace) in [("polite", polite, 60), ("deaf", deaf, 2)] {
        let spec = json!({
            "terminationGracePeriodSeconds": grace,
            "volumes": volumes,
            "containers": [with(shell("one", script), mount.clone())],
        });
        node.lay(&format!("{name}.json"), &pod(name, spec));
    }
    node.wait_running("polite");
    node.wait_running("deaf");
    let pid = node.pid("deaf", "one");
    let begun = Instant::now();
    node.take_away("polite.json");
    node.take_away("deaf.json");
    node.wait_gone("polite");
    let polite_took = begun.elapsed();
    node.wait_gone("deaf");
    let deaf_took = begun.elapsed();
    assert!(notes.path().join("polite").exists() && notes.path().join("deaf").exists());
    assert!(polite_took < Duration::from_secs(30), "{polite_took:?}");
    assert!(deaf_took >= Duration::from_secs(2), "{deaf_took:?}");
    assert!(deaf_took < Duration::from_secs(30), "{deaf_took:?}");
    wait_for("the killed process to go", || {
        (!std::path::Path::new(&format!("/proc/{pid}")).exists()).then_some(())
    });
    node.drain_and_find_nothing();
}

#[test]
fn a_program_that_is_not_there_is_told_in_the_kubelets_words() {
    let mut node = node();
    let absent = with(shell("one", ""), json!({"command": ["/no/such/program"]}));
    node.lay(
        "once.json",
        &pod("once", json!({"restartPolicy": "Never", "containers": [absent]})),
    );
    node.lay("loop.json", &pod("loop", json!({"containers": [absent]})));
    let once = phase(&node, "once", "Failed");
    let ended = &status(&once)["state"]["terminated"];
    assert_eq!(
        (&ended["exitCode"], &ended["reason"]),
        (&json!(128), &json!("StartError")),
        "{once:#}"
    );
    let message = ended["message"].as_str().unwrap();
    assert!(message.contains("/no/such/program"), "{message}");
    let again = node.wait_pod("loop", "a restart", |pod| {
        let reason = status(pod)["state"]["waiting"]["reason"].as_str()?;
        assert!(
            ["ContainerCreating", "RunContainerError", "CrashLoopBackOff"].contains(&reason),
            "{pod:#}"
        );
        (status(pod)["restartCount"].as_u64()? >= 2).then(|| pod.clone())
    });
    let last = &status(&again)["lastState"]["terminated"];
    assert_eq!(
        (&last["exitCode"], &last["reason"]),
        (&json!(128), &json!("StartError")),
        "{again:#}"
    );
    assert!(node.events().contains("Failed"), "{}", node.events());
    node.drain_and_find_nothing();
}

#[test]
fn a_pod_past_its_deadline_has_failed() {
    let mut node = node();
    let spec = json!({"activeDeadlineSeconds": 1, "terminationGracePeriodSeconds": 1, "containers": [shell("one", GO_ON)]});
    node.lay("late.json", &pod("late", spec));
    let late = phase(&node, "late", "Failed");
    assert_eq!(late["status"]["reason"], "DeadlineExceeded", "{late:#}");
    assert_eq!(
        late["status"]["message"],
        "Pod was active on the node longer than the specified deadline"
    );
    node.drain_and_find_nothing();
}
