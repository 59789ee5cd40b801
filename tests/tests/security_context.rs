//! What pods ask of their security: users, seccomp profiles, kernel parameters, messages of their end.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "a test ends where it finds a fault"
)]

use pinnace_tests::Node;
use pinnace_tests::manifest::{GO_ON, pod, shell, with};
use serde_json::{Value, json};

fn one(security: Value) -> Value {
    with(shell("one", GO_ON), json!({"securityContext": security}))
}

fn lay(node: &Node, name: &str, of_pod: Value, container: Value) {
    let spec = json!({
        "terminationGracePeriodSeconds": 0,
        "securityContext": of_pod,
        "containers": [container],
    });
    node.lay(&format!("{name}.json"), &pod(name, spec));
}

/// Reason and message of a container that waits.
fn waiting(node: &Node, name: &str, reason: &str) -> String {
    node.wait_pod(name, reason, |pod| {
        let state = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
        (state["reason"] == reason).then(|| state["message"].as_str().unwrap_or_default().to_owned())
    })
}

#[test]
fn who_may_not_be_root_is_not_started_as_root() {
    let mut node = Node::started();
    lay(&node, "image", json!({"runAsNonRoot": true}), one(json!({})));
    lay(
        &node,
        "asked",
        json!({"runAsNonRoot": true}),
        one(json!({"runAsUser": 0})),
    );
    lay(
        &node,
        "user",
        json!({"runAsNonRoot": true, "runAsUser": 1000}),
        one(json!({})),
    );
    lay(
        &node,
        "other",
        json!({"runAsNonRoot": true}),
        one(json!({"runAsNonRoot": false})),
    );
    let message = waiting(&node, "image", "CreateContainerConfigError");
    let (begin, end) = (
        "container has runAsNonRoot and image will run as root (pod: \"image_default(",
        ")\", container: one)",
    );
    assert!(message.starts_with(begin) && message.ends_with(end), "{message}");
    let message = waiting(&node, "asked", "CreateContainerConfigError");
    assert!(
        message.starts_with("container's runAsUser breaks non-root policy (pod: "),
        "{message}"
    );
    assert!(
        node.events()
            .contains("Error: container has runAsNonRoot and image will run as root")
    );
    node.wait_running("user");
    node.wait_running("other");
    assert_eq!(node.shell("user", "id -u"), "1000");
    assert_eq!(node.shell("other", "id -u"), "0");
    node.drain_and_find_nothing();
}

#[test]
fn with_the_strict_policy_the_images_groups_do_not_count() {
    let mut node = Node::started();
    let groups = |policy: &str| json!({"supplementalGroups": [7], "supplementalGroupsPolicy": policy});
    lay(&node, "merged", groups("Merge"), one(json!({})));
    lay(&node, "strict", groups("Strict"), one(json!({})));
    node.wait_running("merged");
    node.wait_running("strict");
    assert_eq!(node.shell("strict", "id -G"), "0 7");
    let of_image = node.shell("merged", "grep -c '[:,]root$' /etc/group || true");
    let count = node.shell("merged", "id -G | wc -w").parse::<usize>().unwrap();
    assert!(
        count >= 2,
        "{of_image} groups of the image name root, {count} groups are had"
    );
    node.drain_and_find_nothing();
}

#[test]
fn a_profile_of_the_nodes_own_filters_what_it_says() {
    let mut node = Node::started();
    let folder = node.path("var/lib/pinnace/seccomp/own");
    std::fs::create_dir_all(&folder).unwrap();
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28},
    ]});
    std::fs::write(folder.join("no-mkdir.json"), profile.to_string()).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", folder.join("out.json")).unwrap();
    let local = |file: &str| json!({"seccompProfile": {"type": "Localhost", "localhostProfile": file}});
    lay(&node, "local", local("own/no-mkdir.json"), one(json!({})));
    lay(&node, "missing", json!({}), one(local("own/none.json")));
    lay(&node, "outside", local("own/out.json"), one(json!({})));
    lay(
        &node,
        "none",
        local("own/no-mkdir.json"),
        one(json!({"seccompProfile": {"type": "Unconfined"}})),
    );
    node.wait_running("local");
    assert_eq!(
        node.shell("local", "mkdir /x 2>&1 || true"),
        "mkdir: can't create directory '/x': No space left on device"
    );
    let message = waiting(&node, "missing", "CreateContainerError");
    let path = node.path("var/lib/pinnace/seccomp/own/none.json");
    let words = format!("cannot load seccomp profile {path:?}");
    assert!(message.contains(&words), "{message}");
    let message = waiting(&node, "outside", "CreateContainerError");
    assert!(message.contains("cannot load seccomp profile"), "{message}");
    node.wait_running("none");
    assert_eq!(
        node.shell("none", "sed -n 's/^Seccomp:[^0-9]*//p' /proc/1/status"),
        "0"
    );
    node.drain_and_find_nothing();
}

#[test]
fn where_the_node_says_so_only_who_asks_is_filtered() {
    let mut node = Node::new();
    node.configure("nodeName: test\nseccompDefault: false\n");
    node.start();
    lay(&node, "silent", json!({}), one(json!({})));
    lay(
        &node,
        "asks",
        json!({"seccompProfile": {"type": "RuntimeDefault"}}),
        one(json!({})),
    );
    for (name, mode) in [("silent", "0"), ("asks", "2")] {
        node.wait_running(name);
        let script = "sed -n 's/^Seccomp:[^0-9]*//p' /proc/1/status";
        assert_eq!(node.shell(name, script), mode, "{name}");
    }
    node.drain_and_find_nothing();
}

#[test]
fn safe_kernel_parameters_are_set_in_the_pods_own_namespaces() {
    let mut node = Node::new();
    node.configure("nodeName: test\nallowedUnsafeSysctls: [\"kernel.msg*\"]\n");
    node.start();
    let of_host = |path: &str| std::fs::read_to_string(format!("/proc/sys/{path}")).unwrap();
    let before = ["net/ipv4/ip_local_port_range", "kernel/msgmax"].map(of_host);
    let sysctl = |name: &str, value: &str| json!({"name": name, "value": value});
    let all = [
        sysctl("net.ipv4.ip_local_port_range", "10000 20000"),
        sysctl("kernel.shm_rmid_forced", "1"),
        sysctl("kernel/msgmax", "4321"),
    ];
    lay(&node, "tuned", json!({"sysctls": all}), one(json!({})));
    lay(&node, "plain", json!({}), one(json!({})));
    node.wait_running("tuned");
    node.wait_running("plain");
    let read = "cd /proc/sys; cat net/ipv4/ip_local_port_range kernel/shm_rmid_forced kernel/msgmax";
    assert_eq!(node.shell("tuned", read), "10000\t20000\n1\n4321");
    assert_ne!(node.shell("plain", read), "10000\t20000\n1\n4321");
    assert_eq!(
        ["net/ipv4/ip_local_port_range", "kernel/msgmax"].map(of_host),
        before
    );
    assert_eq!(
        node.shell("plain", "cat /proc/sys/net/ipv4/ip_unprivileged_port_start"),
        "0"
    );
    node.drain_and_find_nothing();
}

#[test]
fn a_kernel_parameter_that_nobody_allowed_fails_the_pod() {
    let mut node = Node::started();
    let unsafe_one = json!({"sysctls": [{"name": "kernel.msgmax", "value": "1"}]});
    lay(&node, "unsafe", unsafe_one, one(json!({})));
    let status = node.wait_pod("unsafe", "its failure", |pod| {
        (pod["status"]["phase"] == "Failed").then(|| pod["status"].clone())
    });
    assert_eq!(status["reason"], "SysctlForbidden");
    assert_eq!(
        status["message"],
        "forbidden sysctl: \"kernel.msgmax\" not allowlisted"
    );
    node.drain_and_find_nothing();
}

fn ended(node: &Node, name: &str) -> Value {
    node.wait_pod(name, "its end", |pod| {
        let state = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
        state.is_object().then(|| state.clone())
    })
}

#[test]
fn a_container_says_why_it_ended() {
    let mut node = Node::started();
    let run = |name: &str, script: &str, fields: Value| {
        let spec = json!({"restartPolicy": "Never", "containers": [with(shell("one", script), fields)]});
        node.lay(&format!("{name}.json"), &pod(name, spec));
    };
    let fall_back = json!({"terminationMessagePolicy": "FallbackToLogsOnError"});
    run(
        "file",
        "printf said > /dev/termination-log; echo logged; exit 3",
        json!({}),
    );
    run("silent", "echo logged; exit 3", json!({}));
    run(
        "path",
        "printf there > /var/own/last; exit 1",
        json!({"terminationMessagePath": "/var/own/last"}),
    );
    run(
        "log",
        "i=0; while [ $i -lt 100 ]; do echo line $i; i=$((i+1)); done; exit 1",
        fall_back.clone(),
    );
    run("good", "echo logged", fall_back);
    run(
        "link",
        "rm -f /dev/termination-log; ln -s /etc/passwd /dev/termination-log; mv /etc/passwd /dev/termination-log; exit 1",
        json!({}),
    );
    run(
        "long",
        "dd if=/dev/zero bs=1024 count=64 2>/dev/null | tr '\\0' x > /dev/termination-log",
        json!({}),
    );
    let message = |name: &str| {
        ended(&node, name)["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(message("file"), "said");
    assert_eq!(message("silent"), "");
    assert_eq!(message("path"), "there");
    let log = message("log");
    assert!(
        log.starts_with("line 20\n") && log.ends_with("line 99\n"),
        "{log}"
    );
    assert_eq!(message("good"), "");
    assert_eq!(message("link"), "", "the file cannot be replaced");
    assert_eq!(message("long"), "x".repeat(4096));
    node.drain_and_find_nothing();
}
