//! What a container's variables, command and arguments tell it of its pod.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::collections::BTreeMap;

use pinnace_tests::Node;
use pinnace_tests::manifest::{GO_ON, shell, with};
use serde_json::{Value, json};

fn of_field(name: &str, path: &str) -> Value {
    json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}})
}

fn of_amount(name: &str, reference: &Value) -> Value {
    json!({"name": name, "valueFrom": {"resourceFieldRef": reference}})
}

/// Runs a pod of one container with these fields over those of one that goes on.
fn run(node: &Node, name: &str, spec: Value, container: Value) {
    let container = with(shell("main", GO_ON), container);
    let defaults = json!({"containers": [container], "terminationGracePeriodSeconds": 0});
    let metadata =
        json!({"name": name, "labels": {"app": "told"}, "annotations": {"example.com/Note": "a b"}});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": with(defaults, spec)});
    node.lay(&format!("{name}.json"), &pod.to_string());
    node.wait_running(name);
}

/// The container's variables.
fn environment(node: &Node, pod: &str) -> BTreeMap<String, String> {
    let printed = node.shell(pod, "env");
    let pairs = printed.lines().filter_map(|line| line.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn a_container_is_told_the_fields_of_its_pod() {
    let mut node = Node::new();
    node.configure("nodeName: test\n");
    node.start();
    let env = json!([
        of_field("NAME", "metadata.name"),
        of_field("NAMESPACE", "metadata.namespace"),
        of_field("UID", "metadata.uid"),
        of_field("APP", "metadata.labels['app']"),
        of_field("NOTE", "metadata.annotations['example.com/Note']"),
        of_field("NO_LABEL", "metadata.labels['other']"),
        of_field("NODE", "spec.nodeName"),
        of_field("ACCOUNT", "spec.serviceAccountName"),
        of_field("HOST_IP", "status.hostIP"),
        of_field("HOST_IPS", "status.hostIPs"),
        of_field("POD_IP", "status.podIP"),
        of_field("POD_IPS", "status.podIPs"),
        {"name": "BOTH", "value": "$(NAMESPACE)/$(NAME)"},
    ]);
    run(&node, "told", json!({"hostNetwork": true}), json!({"env": env}));
    let told = environment(&node, "told");
    let pod = node.pod("told").unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = |list: &Value| {
        let ips = list.as_array().into_iter().flatten();
        ips.map(|one| text(&one["ip"])).collect::<Vec<_>>().join(",")
    };
    let status = &pod["status"];
    let expected = [
        ("NAME", "told".to_owned()),
        ("NAMESPACE", "default".to_owned()),
        ("UID", text(&pod["metadata"]["uid"])),
        ("APP", "told".to_owned()),
        ("NOTE", "a b".to_owned()),
        ("NO_LABEL", String::new()),
        ("NODE", "test".to_owned()),
        ("ACCOUNT", "default".to_owned()),
        ("HOST_IP", text(&status["hostIP"])),
        ("HOST_IPS", all(&status["hostIPs"])),
        ("POD_IP", text(&status["podIP"])),
        ("POD_IPS", all(&status["podIPs"])),
        ("BOTH", "default/told".to_owned()),
    ];
    for (name, value) in expected {
        assert_eq!(told.get(name), Some(&value), "{name} of {told:#?}");
    }
    assert!(
        !told["UID"].is_empty() && !told["HOST_IP"].is_empty(),
        "{told:#?}"
    );
    assert_eq!(told["POD_IP"], told["HOST_IP"], "it is in the host's network");
    node.drain_and_find_nothing();
}

#[test]
fn a_container_is_told_its_own_requests_and_limits_and_anothers() {
    let mut node = Node::started();
    let env = json!([
        of_amount("CPU", &json!({"resource": "limits.cpu"})),
        of_amount("MILLI_CPU", &json!({"resource": "limits.cpu", "divisor": "1m"})),
        of_amount("MEMORY", &json!({"resource": "limits.memory"})),
        of_amount(
            "MEBIBYTES",
            &json!({"resource": "limits.memory", "divisor": "1Mi"})
        ),
        of_amount(
            "REQUEST",
            &json!({"resource": "requests.memory", "divisor": "1k"})
        ),
        of_amount(
            "OTHERS",
            &json!({"resource": "limits.memory", "containerName": "other", "divisor": "1Mi"})
        ),
        of_amount(
            "UNLIMITED",
            &json!({"resource": "limits.ephemeral-storage", "divisor": "1Gi"})
        ),
        of_amount("UNASKED", &json!({"resource": "requests.ephemeral-storage"})),
    ]);
    let limits = json!({"cpu": "250m", "memory": "64Mi"});
    let resources = json!({"limits": limits, "requests": {"memory": "10M"}});
    let main = with(shell("main", GO_ON), json!({"env": env, "resources": resources}));
    let other = with(
        shell("other", GO_ON),
        json!({"resources": {"limits": {"memory": "32Mi"}}}),
    );
    let spec = json!({"containers": [main, other]});
    run(&node, "amounts", spec, json!({}));
    let told = environment(&node, "amounts");
    for (name, value) in [
        ("CPU", "1"),
        ("MILLI_CPU", "250"),
        ("MEMORY", "67108864"),
        ("MEBIBYTES", "64"),
        ("REQUEST", "10000"),
        ("OTHERS", "32"),
        ("UNASKED", "0"),
    ] {
        assert_eq!(told[name], value, "{name} of {told:#?}");
    }
    let whole: u64 = told["UNLIMITED"].parse().unwrap();
    assert!(
        whole > 0,
        "without a limit, what the node can allocate: {told:#?}"
    );
    node.drain_and_find_nothing();
}

#[test]
fn a_container_has_its_literal_variables_directory_command_and_arguments() {
    let mut node = Node::started();
    let fields = json!({
        "env": [{"name": "GREETING", "value": "good day"}, {"name": "ESCAPED", "value": "$$(GREETING)"}],
        "command": ["sh", "-c", "echo \"$0 $1\" > /tmp/told; trap 'exit 0' TERM; while :; do sleep 0.1; done"],
        "args": ["$(GREETING)", "$(UNKNOWN)"],
        "workingDir": "/tmp",
    });
    run(&node, "plain", json!({}), fields);
    let told = environment(&node, "plain");
    assert_eq!(
        (&*told["GREETING"], &*told["ESCAPED"]),
        ("good day", "$(GREETING)")
    );
    assert_eq!(node.shell("plain", "cat /tmp/told"), "good day $(UNKNOWN)");
    assert_eq!(node.shell("plain", "readlink /proc/1/cwd"), "/tmp");
    node.drain_and_find_nothing();
}

#[test]
fn a_container_has_an_open_stdin_or_a_terminal_where_it_asks_for_one() {
    let mut node = Node::started();
    let cases = [
        ("neither", json!({}), "/dev/null"),
        ("open", json!({"stdin": true}), "/stdin"),
        ("terminal", json!({"tty": true}), "/dev/pts/0"),
        ("both", json!({"stdin": true, "tty": true}), "/dev/pts/0"),
    ];
    for (name, fields, expected) in cases {
        run(&node, name, json!({}), fields);
        let stdin = node.shell(name, "readlink /proc/1/fd/0");
        // An open one is a fifo of the pod's own.
        assert!(stdin.ends_with(expected), "{name}: {stdin}");
    }
    node.drain_and_find_nothing();
}

#[test]
fn a_pod_is_called_as_it_says_in_place_of_its_name() {
    let mut node = Node::started();
    let spec = json!({"hostname": "short", "hostnameOverride": "db-0.example.com"});
    run(&node, "plain-name", spec, json!({}));
    assert_eq!(node.shell("plain-name", "hostname"), "db-0.example.com");
    assert_eq!(node.shell("plain-name", "cat /etc/hostname"), "db-0.example.com");
    node.drain_and_find_nothing();
}
