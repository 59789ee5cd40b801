//! Which pods a node takes, and how a new configuration changes that while it runs.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use pinnace_tests::process::Process;
use pinnace_tests::sample::{FOREVER, daemonset, pod};
use pinnace_tests::{Node, wait_for};
use serde_json::{Value, json};

/// Changes the configuration and tells the agent.
fn reload(node: &Node, config: &str) {
    let read = |node: &Node| node.agent_log().matches("configuration in force").count();
    let before = read(node);
    node.configure(&format!("nodeName: test\n{config}"));
    node.signal(Signal::SIGHUP);
    wait_for("the reload", || (read(node) > before).then_some(()));
}

fn process(node: &Node, pod: &str) -> Process {
    node.wait_running(pod);
    Process::now(node.pid(pod, "main"))
}

/// Why a pod is not scheduled.
fn unscheduled(pod: &Value) -> Option<String> {
    let conditions = pod["status"]["conditions"].as_array()?;
    let scheduled = conditions.iter().find(|one| one["type"] == "PodScheduled")?;
    let waits = pod["status"]["phase"] == "Pending"
        && scheduled["status"] == "False"
        && scheduled["reason"] == "Unschedulable";
    waits.then(|| scheduled["message"].as_str().unwrap().to_owned())
}

#[test]
fn a_no_execute_taint_by_reload_ends_what_does_not_tolerate_it_and_its_removal_brings_it_back() {
    let mut node = Node::started();
    let tolerating = |name: &str, seconds: Option<u32>| {
        let mut pod = pod(name, FOREVER);
        let mut toleration =
            json!({"key": "maintenance", "operator": "Equal", "value": "on", "effect": "NoExecute"});
        if let Some(seconds) = seconds {
            toleration["tolerationSeconds"] = json!(seconds);
        }
        pod["spec"]["tolerations"] = json!([toleration]);
        pod.to_string()
    };
    let mut everywhere = daemonset("everywhere", FOREVER);
    everywhere["spec"]["template"]["spec"]["tolerations"] = json!([{"operator": "Exists"}]);
    node.lay("plain.json", &pod("plain", FOREVER).to_string());
    node.lay("tolerant.json", &tolerating("tolerant", None));
    node.lay("briefly.json", &tolerating("briefly", Some(1)));
    node.lay("everywhere.json", &everywhere.to_string());
    node.lay("fussy.json", &daemonset("fussy", FOREVER).to_string());
    let names = ["plain", "tolerant", "briefly", "everywhere", "fussy"];
    let [plain, tolerant, briefly, everywhere, fussy] = names.map(|name| process(&node, name));

    // NoSchedule keeps what runs.
    reload(
        &node,
        "registerWithTaints: [{key: busy, value: \"yes\", effect: NoSchedule}]\n",
    );
    node.lay("late.json", &pod("late", FOREVER).to_string());
    let why = node.wait_pod("late", "its wait", unscheduled);
    assert_eq!(
        why,
        "0/1 nodes are available: 1 node(s) had untolerated taint(s). \
         preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
    );
    assert!(
        [plain, tolerant, briefly, everywhere, fussy]
            .iter()
            .all(Process::is_alive)
    );
    node.take_away("late.json");

    let begun = Instant::now();
    reload(
        &node,
        "registerWithTaints: [{key: maintenance, value: \"on\", effect: NoExecute}]\n",
    );
    wait_for("the eviction", || {
        (!plain.is_alive() && !fussy.is_alive()).then_some(())
    });
    wait_for("the second that is tolerated", || {
        (!briefly.is_alive()).then_some(())
    });
    assert!(
        begun.elapsed() >= Duration::from_millis(900),
        "after {:?}",
        begun.elapsed()
    );
    assert!(tolerant.is_alive() && everywhere.is_alive());
    assert!(node.wait_pod("plain", "its wait", unscheduled).contains("taint"));
    node.wait_pod("briefly", "its wait", unscheduled);
    node.wait_gone("fussy");
    let events = node.events();
    assert_eq!(
        events
            .lines()
            .filter(|line| line.contains("TaintManagerEviction") && line.contains("Marking for deletion"))
            .count(),
        3,
        "{events}"
    );

    reload(&node, "");
    for name in ["plain", "briefly", "fussy"] {
        node.wait_running(name);
    }
    assert!(tolerant.is_alive() && everywhere.is_alive());
    node.drain_and_find_nothing();
}

#[test]
fn a_reload_with_an_error_changes_nothing() {
    let mut node = Node::started();
    node.lay("a.json", &pod("a", FOREVER).to_string());
    let before = process(&node, "a");
    node.configure(
        "nodeName: test\nregisterWithTaints: [{key: k, effect: NoExecute}]\nregisterWithTaint: []\n",
    );
    node.signal(Signal::SIGHUP);
    wait_for("the refusal", || {
        let log = node.agent_log();
        (log.contains("the configuration in force stays") && log.contains("config.yaml:3")).then_some(())
    });
    assert!(before.is_alive());
    node.drain_and_find_nothing();
}

#[test]
fn labels_by_reload_bring_and_end_the_daemonsets_that_select_them() {
    let mut node = Node::started();
    let mut ssd = daemonset("ssd", FOREVER);
    ssd["spec"]["template"]["spec"]["nodeSelector"] = json!({"disktype": "ssd"});
    let affinity = |operator: &str, key: &str, values: Value| {
        json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": key, "operator": operator, "values": values}]}
        ]}}})
    };
    let mut linux = daemonset("linux", FOREVER);
    linux["spec"]["template"]["spec"]["affinity"] = affinity("In", "kubernetes.io/os", json!(["linux"]));
    linux["spec"]["updateStrategy"] =
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}});
    let mut slow = daemonset("slow", FOREVER);
    slow["spec"]["template"]["spec"]["affinity"] = affinity("NotIn", "disktype", json!(["ssd"]));
    slow["spec"]["updateStrategy"] = json!({"type": "OnDelete"});
    for (name, set) in [("ssd", &ssd), ("linux", &linux), ("slow", &slow)] {
        node.lay(&format!("{name}.json"), &set.to_string());
    }
    let linux = process(&node, "linux");
    process(&node, "slow");
    assert!(node.pod("ssd").is_none());
    let told = node.prints(&["describe", "daemonset", "ssd"]);
    assert!(
        told.contains("wants disktype=ssd, the node has no label disktype"),
        "{told}"
    );

    reload(&node, "nodeLabels: {disktype: ssd}\n");
    process(&node, "ssd");
    node.wait_gone("slow");
    let listed = node.prints(&["get", "node", "-o", "json"]);
    assert!(listed.contains("\"disktype\""), "{listed}");

    reload(&node, "nodeLabels: {disktype: hdd}\n");
    process(&node, "slow");
    node.wait_gone("ssd");
    assert!(linux.is_alive());
    node.drain_and_find_nothing();
}

#[test]
fn an_edited_daemonset_is_replaced_by_its_strategy() {
    let mut node = Node::started();
    let mut rolling = daemonset("rolling", FOREVER);
    rolling["spec"]["updateStrategy"] =
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}});
    let mut manual = daemonset("manual", FOREVER);
    manual["spec"]["updateStrategy"] = json!({"type": "OnDelete"});
    node.lay("rolling.json", &rolling.to_string());
    node.lay("manual.json", &manual.to_string());
    let (first, kept) = (process(&node, "rolling"), process(&node, "manual"));
    for (name, set) in [("manual", &mut manual), ("rolling", &mut rolling)] {
        set["spec"]["template"]["spec"]["containers"][0]["env"] = json!([{"name": "EDITED", "value": "yes"}]);
        node.lay(&format!("{name}.json"), &set.to_string());
    }
    let second = wait_for("the new pod", || {
        let pod = node.pod("rolling")?;
        let edited = pod["spec"]["containers"][0]["env"][0]["value"] == "yes";
        (edited && pod["status"]["containerStatuses"][0]["ready"] == true)
            .then(|| Process::now(node.pid("rolling", "main")))
    });
    assert_ne!(first, second);
    assert!(!first.is_alive() && kept.is_alive());
    node.drain_and_find_nothing();
}

#[test]
fn what_does_not_fit_waits_for_room_and_what_names_the_node_is_refused() {
    let mut node = Node::started();
    let allocatable: Value = serde_json::from_str(&node.prints(&["get", "node", "-o", "json"])).unwrap();
    let listed = allocatable.pointer("/items/0").unwrap_or(&allocatable);
    let cpus: u64 = listed["status"]["allocatable"]["cpu"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let asking = |name: &str, millicpu: u64| {
        let mut pod = pod(name, FOREVER);
        pod["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": format!("{millicpu}m")}});
        pod
    };
    node.lay("first.json", &asking("first", cpus * 1000 - 500).to_string());
    let first = process(&node, "first");
    node.lay("second.json", &asking("second", 600).to_string());
    assert_eq!(
        node.wait_pod("second", "its wait", unscheduled),
        "0/1 nodes are available: 1 Insufficient cpu. \
         preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
    );
    let uid = node.pod("second").unwrap()["metadata"]["uid"].clone();
    node.lay("never.json", &asking("never", cpus * 1000 + 1).to_string());
    let why = node.wait_pod("never", "its wait", unscheduled);
    assert!(
        why.starts_with("0/1 nodes are available: 1 Insufficient cpu."),
        "{why}"
    );

    let mut placed = asking("placed", 600);
    placed["spec"]["nodeName"] = json!("test");
    node.lay("placed.json", &placed.to_string());
    let status = node.wait_pod("placed", "its refusal", |pod| {
        (pod["status"]["phase"] == "Failed").then(|| pod["status"].clone())
    });
    assert_eq!(status["reason"], "OutOfcpu");
    let message = status["message"].as_str().unwrap();
    assert!(
        message.contains("Node didn't have enough resource: cpu, requested: 600"),
        "{message}"
    );
    assert!(first.is_alive());

    node.take_away("first.json");
    assert_eq!(node.wait_running("second")["metadata"]["uid"], uid);
    assert!(!first.is_alive());
    assert!(
        node.wait_pod("never", "its wait", unscheduled)
            .contains("Insufficient cpu")
    );
    node.drain_and_find_nothing();
}

#[test]
fn a_pod_with_scheduling_gates_waits_until_they_are_gone() {
    let mut node = Node::started();
    let mut gated = pod("gated", FOREVER);
    gated["spec"]["schedulingGates"] = json!([{"name": "example.com/quota"}]);
    node.lay("gated.json", &gated.to_string());
    let condition = node.wait_pod("gated", "its wait", |pod| {
        let conditions = pod["status"]["conditions"].as_array()?;
        conditions
            .iter()
            .find(|one| one["type"] == "PodScheduled")
            .cloned()
    });
    let told = ["status", "reason", "message"].map(|field| condition[field].as_str().unwrap());
    let message = "Scheduling is blocked due to non-empty scheduling gates";
    assert_eq!(told, ["False", "SchedulingGated", message]);
    let table = node.prints(&["get", "pods"]);
    assert!(table.contains("SchedulingGated"), "{table}");
    node.lay("gated.json", &pod("gated", FOREVER).to_string());
    node.wait_running("gated");
    node.drain_and_find_nothing();
}
