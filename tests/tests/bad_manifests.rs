//! Manifests that are broken in every way get a clear error, and hide no good one.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::fmt::Write;

use nix::sys::signal::Signal;
use pinnace_tests::process::Process;
use pinnace_tests::sample::{FOREVER, daemonset, pod};
use pinnace_tests::{Node, wait_for};

/// Waits for a line of the agent's log that tells of a manifest, with all of these texts.
#[track_caller]
fn told(node: &Node, texts: &[&str]) {
    wait_for(&format!("a problem that says {texts:?}"), || {
        let log = node.agent_log();
        log.lines()
            .any(|line| line.contains("manifest: ") && texts.iter().all(|text| line.contains(text)))
            .then_some(())
    });
}

fn running(node: &Node, name: &str) -> Process {
    node.wait_running(name);
    Process::now(node.pid(name, "main"))
}

/// A name that stands for a million others, by way of itself.
fn alias_bomb() -> String {
    let mut text = String::from("apiVersion: v1\nkind: Pod\nmetadata:\n  name: bomb\n  annotations:\n");
    text.push_str("    a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let above = level - 1;
        let _ = writeln!(
            text,
            "    a{level}: &a{level} [{}]",
            vec![format!("*a{above}"); 10].join(", ")
        );
    }
    text
}

#[test]
fn each_broken_manifest_is_reported_by_file_and_line_and_the_good_ones_run() {
    let mut node = Node::started();
    node.lay("good.json", &pod("good", FOREVER).to_string());
    let good = running(&node, "good");
    let pod_text = |name: &str| pod(name, FOREVER).to_string();
    node.lay(
        "mixed.yaml",
        &format!(
            "{}\n---\nkind: [oops\n---\n{}\n",
            pod_text("before"),
            pod_text("after")
        ),
    );
    node.lay(
        "unknown.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: unknown}\nspec:\n  contaners: []\n  containers: [{name: c, image: busybox:test}]\n",
    );
    node.lay(
        "twice.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: one\n  name: two\n",
    );
    node.lay("bomb.yaml", &alias_bomb());
    node.lay("huge.yaml", &format!("# {}\n", "x".repeat(50 << 20)));
    node.lay(
        "ingress.yaml",
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web}\n",
    );
    node.lay(
        "account.yaml",
        "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: web}\n",
    );
    let latin = node.path("etc/pinnace/manifests/latin.yaml");
    std::fs::write(
        &latin,
        b"apiVersion: v1\nkind: Pod\nmetadata: {name: \"caf\xe9\"}\n",
    )
    .unwrap();
    let mut selector = daemonset("selector", FOREVER);
    selector["spec"]["selector"]["matchLabels"]["app"] = "other".into();
    node.lay("selector.json", &selector.to_string());

    told(&node, &["mixed.yaml:3"]);
    told(&node, &["unknown.yaml:5", "contaners", "unknown field"]);
    told(&node, &["twice.yaml:5", "key \"name\" already set in map"]);
    told(&node, &["bomb.yaml:11", "document contains excessive aliasing"]);
    told(
        &node,
        &["huge.yaml", "file is too large", "at most 3145728 are read"],
    );
    told(&node, &["ingress.yaml:2", "kind Ingress is not supported yet"]);
    told(&node, &["account.yaml:1", "ServiceAccount has no effect here"]);
    told(&node, &["latin.yaml:3", "UTF-8"]);
    told(&node, &["selector.json", "selector"]);
    running(&node, "before");
    running(&node, "after");
    assert!(good.is_alive());
    assert_eq!(node.pods().len(), 3);
    assert_eq!(node.get("/readyz").unwrap().0, 200);
    node.drain_and_find_nothing();
}

#[test]
fn a_thousand_documents_in_a_file_are_read_and_more_are_refused_with_the_number() {
    let mut node = Node::new();
    // So many pods are not to run: they wait for a label that this node does not have.
    let document = |number: u32| {
        let mut pod = pod(&format!("n{number}"), FOREVER);
        pod["spec"]["nodeSelector"] = serde_json::json!({"never": "here"});
        pod.to_string()
    };
    let thousand = (0..999).map(document).collect::<Vec<_>>().join("\n---\n");
    let file = format!("{thousand}\n---\n{}\n", pod("last", FOREVER));
    node.lay("thousand.yaml", &file);
    node.start();
    running(&node, "last");
    assert_eq!(node.pods().len(), 1000);
    node.lay(
        "more.yaml",
        &(2000..3100).map(document).collect::<Vec<_>>().join("\n---\n"),
    );
    told(&node, &["more.yaml", "1000"]);
    running(&node, "last");
    node.take_away("thousand.yaml");
    node.take_away("more.yaml");
    node.wait_gone("last");
    node.drain_and_find_nothing();
}

#[test]
fn an_object_of_two_files_is_reported_for_both_and_the_running_one_goes_on() {
    let mut node = Node::started();
    node.lay("b.json", &pod("same", FOREVER).to_string());
    let first = running(&node, "same");
    node.lay("a.json", &pod("same", "exec sleep 2000000").to_string());
    told(
        &node,
        &["a.json:1", "defined more than once", "b.json:1 is the one in use"],
    );
    told(&node, &["b.json:1", "defined more than once"]);
    assert!(first.is_alive());
    node.take_away("b.json");
    wait_for("the other definition's turn", || {
        let pod = node.pod("same")?;
        let other = pod["spec"]["containers"][0]["command"][2] == "exec sleep 2000000";
        (other && pod["status"]["containerStatuses"][0]["ready"] == true).then_some(())
    });
    assert!(!first.is_alive());
    node.drain_and_find_nothing();
}

#[test]
fn a_manifest_that_becomes_broken_and_a_directory_that_vanishes_end_nothing() {
    let mut node = Node::started();
    node.configure("nodeName: test\nfileCheckFrequency: 1s\n");
    node.end_agent(Signal::SIGTERM);
    node.start();
    node.lay("a.yaml", &pod("a", FOREVER).to_string());
    node.lay("b.yaml", &pod("b", FOREVER).to_string());
    let (a, b) = (running(&node, "a"), running(&node, "b"));
    node.lay("a.yaml", "kind: [oops\n");
    told(&node, &["a.yaml:1", "held as it was"]);
    assert!(a.is_alive());

    let (folder, away) = (node.path("etc/pinnace/manifests"), node.path("away"));
    std::fs::rename(&folder, &away).unwrap();
    wait_for("the loss to be noticed", || {
        node.agent_log().contains("the manifest directory").then_some(())
    });
    assert!(a.is_alive() && b.is_alive());
    // Something else in its place is as good as nothing.
    std::fs::write(&folder, "no directory").unwrap();
    let lines = |node: &Node| node.agent_log().matches("cannot be read").count();
    let before = lines(&node);
    wait_for("the next look", || (lines(&node) > before).then_some(()));
    assert!(a.is_alive() && b.is_alive());
    node.end_agent(Signal::SIGKILL);
    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(&away, &folder).unwrap();
    node.lay("a.yaml", &pod("a", FOREVER).to_string());
    node.start();
    node.wait_running("a");
    assert!(a.is_alive() && b.is_alive());
    node.take_away("b.yaml");
    node.wait_gone("b");
    assert!(a.is_alive());
    node.drain_and_find_nothing();
}
