//! Secrets: what pods get of them, and where nothing of them may be.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use pinnace_tests::manifest::{GO_ON, pod, shell, with};
use pinnace_tests::{Node, wait_for};
use serde_json::{Value, json};

/// Found nowhere by chance.
const HIDDEN: &str = "correct-horse-battery-staple-4711";

fn lay_secret(node: &Node, text: &str) {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"},
        "stringData": {"token": text}, "data": {"user": "YWRtaW4="},
    });
    node.lay("secret.json", &secret.to_string());
    let path = node.path("etc/pinnace/manifests/secret.json");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn mounting(name: &str, more: Value) -> String {
    let container = with(
        with(
            shell("one", GO_ON),
            json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}]}),
        ),
        more,
    );
    let volume =
        json!({"name": "v", "secret": {"secretName": "key", "defaultMode": 0o400, "optional": false}});
    pod(
        name,
        json!({"terminationGracePeriodSeconds": 0, "volumes": [volume], "containers": [container]}),
    )
}

/// Files of the root's own file system that hold the text; manifests excepted.
fn holding(node: &Node, text: &str) -> Vec<PathBuf> {
    let device = std::fs::metadata(node.root()).unwrap().dev();
    let manifests = node.path("etc/pinnace/manifests");
    let mut open = vec![node.root().to_owned()];
    let mut found = Vec::new();
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            // What is mounted there may be looked at again elsewhere, or is in memory.
            if path == manifests || entry.metadata().is_ok_and(|metadata| metadata.dev() != device) {
                continue;
            }
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file() && holds(&path, text) {
                found.push(path);
            }
        }
    }
    found
}

fn holds(path: &Path, text: &str) -> bool {
    let bytes = std::fs::read(path).unwrap_or_default();
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

/// Whether a user who owns nothing here may come to the file and read it.
fn is_open_to_everybody(path: &Path) -> bool {
    let mode = |path: &Path| std::fs::metadata(path).unwrap().mode();
    let mut above = path
        .ancestors()
        .skip(1)
        .filter(|path| !path.as_os_str().is_empty());
    mode(path) & 0o004 != 0 && above.all(|directory| mode(directory) & 0o001 != 0)
}

#[test]
fn mounted_secrets_are_in_memory_only_and_nowhere_told() {
    let mut node = Node::started();
    lay_secret(&node, HIDDEN);
    node.lay("web.json", &mounting("web", json!({})));
    node.wait_running("web");
    let script = "cat /v/token /v/user; stat -L -c ' %a' /v/token; stat -f -c %T /v";
    assert_eq!(node.shell("web", script), format!("{HIDDEN}admin 400\ntmpfs"));
    let newer = format!("{HIDDEN}-newer");
    lay_secret(&node, &newer);
    wait_for("the update", || {
        (node.shell("web", "cat /v/token") == newer).then_some(())
    });
    for told in [
        node.prints(&["describe", "pod", "web"]),
        node.prints(&["describe", "secret", "key"]),
        node.prints(&["get", "secrets", "-o", "wide"]),
        node.events(),
        node.get("/metrics").unwrap().1,
    ] {
        assert!(
            !told.contains(HIDDEN) && !told.contains("Y29ycmVjdC1ob3JzZS"),
            "{told}"
        );
    }
    assert_eq!(holding(&node, HIDDEN), Vec::<PathBuf>::new());
    node.drain_and_find_nothing();
    assert_eq!(holding(&node, HIDDEN), Vec::<PathBuf>::new());
}

#[test]
fn secrets_in_variables_are_in_no_file_that_others_may_read() {
    let mut node = Node::started();
    lay_secret(&node, HIDDEN);
    let more = json!({
        "envFrom": [{"secretRef": {"name": "key"}}, {"secretRef": {"name": "absent", "optional": true}}],
        "env": [
            {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "key", "key": "token"}}},
            {"name": "NONE", "valueFrom": {"secretKeyRef": {"name": "key", "key": "no", "optional": true}}},
        ],
    });
    node.lay("web.json", &mounting("web", more));
    node.wait_running("web");
    assert_eq!(
        node.shell("web", "echo $KEY $token $user ${NONE-unset}"),
        format!("{HIDDEN} {HIDDEN} admin unset")
    );
    let found = holding(&node, HIDDEN);
    assert!(
        !found.is_empty(),
        "the OCI runtime is told of variables by a file"
    );
    for path in found {
        // What the OCI runtime is told of the container, which is in memory on a machine.
        assert!(path.starts_with(node.path("run/pinnace")), "{}", path.display());
        assert!(!is_open_to_everybody(&path), "{}", path.display());
    }
    node.drain_and_find_nothing();
    assert_eq!(holding(&node, HIDDEN), Vec::<PathBuf>::new());
}

#[test]
fn who_names_a_missing_one_waits_with_the_kubelets_reason() {
    let mut node = Node::started();
    node.lay("web.json", &mounting("web", json!({})));
    wait_for("the event", || {
        let told = "MountVolume.SetUp failed for volume \"v\" : secret \"key\" not found";
        node.events().contains(told).then_some(())
    });
    lay_secret(&node, HIDDEN);
    node.wait_running("web");
    node.drain_and_find_nothing();
}

#[test]
fn they_are_listed_and_shown_to_root_and_a_file_open_to_all_is_warned_of() {
    let node = Node::started();
    lay_secret(&node, HIDDEN);
    wait_for("the list", || {
        let table = node.prints(&["get", "secrets"]);
        let row: Vec<&str> = table.lines().nth(1)?.split_whitespace().collect();
        (row[..4] == ["default", "key", "Opaque", "2"]).then_some(())
    });
    let described = node.prints(&["describe", "secret", "key"]);
    let section = format!(
        "Type:  Opaque\n\nData\n====\ntoken:  {} bytes\nuser:   5 bytes\n",
        HIDDEN.len()
    );
    assert!(described.ends_with(&section), "{described}");
    let shown: Value = serde_json::from_str(&node.prints(&["get", "secret", "key", "-o", "json"])).unwrap();
    assert_eq!(shown["data"]["user"], "YWRtaW4=");
    let path = node.path("etc/pinnace/manifests/secret.json");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    lay_secret_open(&node);
    wait_for("the warning", || {
        let told = node.prints(&["describe", "node"]);
        told.contains("everybody on this machine may read the Secret in this file")
            .then_some(())
    });
}

/// Another file, which is open to all from the beginning.
fn lay_secret_open(node: &Node) {
    let secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "open"}, "stringData": {"a": "b"}});
    node.lay("open.json", &secret.to_string());
}
