//! Manifests that are edited and taken away while their pods run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use pinnace_tests::manifest::GO_ON;
use pinnace_tests::{Node, wait_for};

fn manifest(value: &str) -> String {
    format!(
        r#"apiVersion: v1
kind: Pod
metadata:
  name: web
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: one
    image: busybox:test
    imagePullPolicy: Never
    command: ["sh", "-c", "{GO_ON}"]
    env:
    - name: VALUE
      value: "{value}"
"#
    )
}

/// UID, process and restarts: what tells one instance from another.
fn instance(node: &Node) -> (String, u32) {
    let pod = node.wait_running("web");
    let uid = pod["metadata"]["uid"].as_str().unwrap().to_owned();
    (uid, node.pid("web", "one"))
}

/// Lays a further pod and waits for it: whatever was laid before has then been read too.
fn wait_until_read(node: &Node, name: &str) {
    node.lay(
        &format!("{name}.yaml"),
        &manifest("later").replace("name: web", &format!("name: {name}")),
    );
    node.wait_running(name);
}

#[test]
fn only_a_change_of_meaning_replaces_a_pod() {
    let mut node = Node::started();
    node.lay("web.yaml", &manifest("first"));
    let first = instance(&node);

    let commented = format!(
        "# A comment.\n{}",
        manifest("first").replace("\"first\"", "first # quoted before")
    );
    node.lay("web.yaml", &commented);
    wait_until_read(&node, "after-comment");
    assert_eq!(instance(&node), first, "a comment replaced the pod");

    let reordered = r#"{"spec": {"containers": [{"env": [{"value": "first", "name": "VALUE"}], "name": "one",
        "image": "busybox:test", "imagePullPolicy": "Never", "command": ["sh", "-c", "GO_ON"]}],
        "terminationGracePeriodSeconds": 1}, "metadata": {"name": "web"}, "kind": "Pod", "apiVersion": "v1"}"#;
    node.lay("web.yaml", &reordered.replace("GO_ON", GO_ON));
    wait_until_read(&node, "after-format");
    assert_eq!(instance(&node), first, "another format replaced the pod");

    node.lay("web.yaml", &manifest("second"));
    let second = node.wait_pod("web", "its successor", |pod| {
        let uid = pod["metadata"]["uid"].as_str()?;
        (uid != first.0 && pod["status"]["containerStatuses"][0]["ready"] == true).then(|| uid.to_owned())
    });
    assert_ne!(second, first.0);
    assert_eq!(node.shell("web", "echo $VALUE"), "second");
    wait_for("the first pod's process to go", || {
        (!std::path::Path::new(&format!("/proc/{}", first.1)).exists()).then_some(())
    });
    node.drain_and_find_nothing();
}

#[test]
fn an_object_that_moves_to_another_file_goes_on() {
    let mut node = Node::started();
    node.lay("web.yaml", &manifest("first"));
    let first = instance(&node);
    let manifests = node.path("etc/pinnace/manifests");
    std::fs::rename(manifests.join("web.yaml"), manifests.join("other.yaml")).unwrap();
    wait_until_read(&node, "later");
    assert_eq!(instance(&node), first);
    node.drain_and_find_nothing();
}

#[test]
fn a_broken_edit_leaves_the_pod_as_it_is() {
    let mut node = Node::started();
    node.lay("web.yaml", &manifest("first"));
    let first = instance(&node);
    node.lay("web.yaml", &manifest("first").replace("image:", "imaeg:"));
    wait_until_read(&node, "later");
    assert_eq!(instance(&node), first);
    let node_says = node.prints(&["describe", "node"]);
    let manifests = node.path("etc/pinnace/manifests/web.yaml");
    let told = format!(
        "  error: {}:9: Pod default/web: spec.containers[0].imaeg: ",
        manifests.display()
    );
    assert!(node_says.contains(&told), "{node_says}");
    node.drain_and_find_nothing();
}

#[test]
fn a_removed_manifest_ends_its_pod_and_all_that_it_made() {
    let mut node = Node::started();
    node.lay("web.yaml", &manifest("first"));
    instance(&node);
    node.take_away("web.yaml");
    node.wait_gone("web");
    let left = pinnace_tests::leaks::Traces::of(node.root());
    let agent = format!("{} ", node.agent_pid());
    assert!(
        left.mounts.is_empty() && left.cgroups.is_empty() && left.files.is_empty(),
        "{left:#?}"
    );
    assert!(
        left.processes.iter().all(|process| process.starts_with(&agent)),
        "{left:#?}"
    );
    node.drain_and_find_nothing();
}
