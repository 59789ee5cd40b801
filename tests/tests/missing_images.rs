//! Images that are not there yet.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::time::{Duration, Instant};

use pinnace_tests::manifest::{GO_ON, pod, shell, with};
use pinnace_tests::{Node, images};
use serde_json::{Value, json};

fn lay(node: &Node, name: &str, policy: &str) {
    let container = with(shell("one", GO_ON), json!({"imagePullPolicy": policy}));
    node.lay(
        &format!("{name}.json"),
        &pod(name, json!({"containers": [container]})),
    );
}

/// A node whose agent is ready and that has no image.
fn node() -> Node {
    let mut node = Node::new();
    std::fs::remove_file(node.path("var/lib/pinnace/bundles/busybox.tar")).unwrap();
    node.start();
    node
}

#[track_caller]
fn waits(node: &Node, name: &str, reason: &str) -> Value {
    node.wait_pod(name, reason, |pod| {
        let waiting = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
        assert_ne!(pod["status"]["phase"], "Running", "{pod:#}");
        (waiting["reason"] == reason).then(|| waiting.clone())
    })
}

#[test]
fn a_pod_whose_image_may_not_be_pulled_starts_at_once_when_its_archive_is_laid_down() {
    let mut node = node();
    lay(&node, "web", "Never");
    let waiting = waits(&node, "web", "ErrImageNeverPull");
    let message = waiting["message"].as_str().unwrap();
    assert!(
        message.contains("Container image \"busybox:test\" is not present with pull policy of Never"),
        "{message}"
    );
    assert!(node.prints(&["get", "pods"]).contains("ErrImageNeverPull"));
    let bundles = node.path("var/lib/pinnace/bundles");
    std::fs::copy(images::busybox(), bundles.join(".new")).unwrap();
    std::fs::rename(bundles.join(".new"), bundles.join("busybox.tar")).unwrap();
    node.wait_running("web");
    node.drain_and_find_nothing();
}

#[test]
fn a_pod_whose_image_cannot_be_pulled_starts_at_once_when_it_is_imported() {
    let mut node = node();
    lay(&node, "web", "IfNotPresent");
    let first = waits(&node, "web", "ErrImagePull");
    assert!(first["message"].as_str().unwrap().contains("busybox"), "{first}");
    let second = waits(&node, "web", "ImagePullBackOff");
    let message = second["message"].as_str().unwrap();
    assert!(
        message.starts_with("Back-off pulling image \"busybox:test\": ErrImagePull: "),
        "{message}"
    );
    let archive = images::busybox();
    node.prints(&["image", "import", archive.to_str().unwrap()]);
    let begun = Instant::now();
    let running = node.wait_running("web");
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "it waited for its back-off"
    );
    assert_eq!(running["status"]["containerStatuses"][0]["restartCount"], 0);
    node.drain_and_find_nothing();
}

#[test]
fn the_first_pod_finds_what_lay_in_the_bundles_whatever_else_lies_there() {
    let mut node = Node::new();
    std::fs::write(node.path("var/lib/pinnace/bundles/a-broken.tar"), "no archive").unwrap();
    lay(&node, "web", "Never");
    node.start();
    node.wait_running("web");
    let events = node.events();
    assert!(!events.contains("ErrImageNeverPull"), "{events}");
    node.drain_and_find_nothing();
}
