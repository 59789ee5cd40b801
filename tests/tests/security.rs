//! What a container may do, and what it may not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::os::unix::fs::MetadataExt;

use pinnace_tests::Node;
use pinnace_tests::manifest::{GO_ON, pod, shell, with};
use serde_json::{Value, json};

fn secured(security: &Value) -> Value {
    with(shell("one", GO_ON), json!({"securityContext": security}))
}

fn lay(node: &Node, name: &str, security: &Value) {
    let spec = json!({"terminationGracePeriodSeconds": 0, "containers": [secured(security)]});
    node.lay(&format!("{name}.json"), &pod(name, spec));
}

/// A line of the first process's `/proc/1/status`.
fn of_first(node: &Node, name: &str, field: &str) -> String {
    node.shell(
        name,
        &format!("sed -n 's/^{field}:[[:space:]]*//p' /proc/1/status"),
    )
}

/// The bits of the default capabilities: chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap,
/// net_bind_service, net_raw, sys_chroot, mknod, audit_write, setfcap.
const DEFAULT_CAPABILITIES: u64 = 0xa804_25fb;

#[test]
fn without_a_word_a_container_has_kubernetes_defaults() {
    let mut node = Node::started();
    lay(&node, "web", &json!({}));
    node.wait_running("web");
    let capabilities = |field: &str| u64::from_str_radix(&of_first(&node, "web", field), 16).unwrap();
    assert_eq!(capabilities("CapEff"), DEFAULT_CAPABILITIES);
    assert_eq!(capabilities("CapBnd"), DEFAULT_CAPABILITIES);
    assert_eq!(capabilities("CapAmb"), 0);
    assert_eq!(of_first(&node, "web", "NoNewPrivs"), "0");
    assert_eq!(node.shell("web", "hostname"), "web");
    assert_eq!(
        node.shell("web", "cat /proc/1/comm"),
        "sh",
        "it is the first process of its own PID namespace"
    );
    let masked = node.shell(
        "web",
        "cat /proc/interrupts /proc/keys /proc/timer_list 2>/dev/null; ls /sys/firmware",
    );
    assert_eq!(masked, "", "what is masked shows nothing");
    assert_eq!(
        node.shell("web", "echo 1 > /proc/sys/kernel/sysrq || echo refused"),
        "refused"
    );
    assert_eq!(node.shell("web", "touch /new && echo written"), "written");
    assert_eq!(node.shell("web", "ls /sys/class/net"), "lo");
    node.drain_and_find_nothing();
}

#[test]
fn the_default_seccomp_profile_is_on() {
    let mut node = Node::started();
    lay(&node, "web", &json!({}));
    node.wait_running("web");
    assert_eq!(of_first(&node, "web", "Seccomp"), "2");
    assert_eq!(
        node.shell("web", "grep ^Seccomp: /proc/self/status | tr -d '[:space:]'"),
        "Seccomp:2",
        "exec too"
    );
    assert_eq!(
        node.shell("web", "unshare -U true 2>/dev/null || echo refused"),
        "refused"
    );
    node.drain_and_find_nothing();
}

#[test]
fn users_and_groups_are_those_asked_for() {
    let mut node = Node::started();
    lay(&node, "user", &json!({"runAsUser": 1234, "runAsGroup": 5678}));
    let spec = json!({
        "securityContext": {"runAsUser": 65534, "supplementalGroups": [7, 8]},
        "containers": [shell("one", GO_ON)],
    });
    node.lay("groups.json", &pod("groups", spec));
    node.wait_running("user");
    node.wait_running("groups");
    assert_eq!(node.shell("user", "id -u; id -g"), "1234\n5678");
    assert_eq!(of_first(&node, "user", "CapEff"), "0000000000000000");
    assert_eq!(node.shell("groups", "id -u; id -G"), "65534\n65534 7 8");
    node.drain_and_find_nothing();
}

#[test]
fn capabilities_are_added_and_dropped() {
    let mut node = Node::started();
    lay(&node, "none", &json!({"capabilities": {"drop": ["ALL"]}}));
    lay(
        &node,
        "one",
        &json!({"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}),
    );
    lay(
        &node,
        "more",
        &json!({"capabilities": {"drop": ["KILL"], "add": ["NET_ADMIN"]}}),
    );
    for (name, expected) in [
        ("none", 0),
        ("one", 1 << 10),
        ("more", (DEFAULT_CAPABILITIES & !(1 << 5)) | 1 << 12),
    ] {
        node.wait_running(name);
        let found = u64::from_str_radix(&of_first(&node, name, "CapEff"), 16).unwrap();
        assert_eq!(found, expected, "{name}: {found:x}, not {expected:x}");
    }
    node.drain_and_find_nothing();
}

#[test]
fn no_new_privileges_and_a_read_only_root() {
    let mut node = Node::started();
    lay(
        &node,
        "web",
        &json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true}),
    );
    node.wait_running("web");
    assert_eq!(of_first(&node, "web", "NoNewPrivs"), "1");
    assert_eq!(
        node.shell("web", "touch /new 2>&1 || true"),
        "touch: /new: Read-only file system"
    );
    node.drain_and_find_nothing();
}

#[test]
fn a_privileged_container_has_all_that_the_agent_has() {
    let mut node = Node::started();
    lay(&node, "web", &json!({"privileged": true}));
    node.wait_running("web");
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let own = own
        .lines()
        .find_map(|line| line.strip_prefix("CapBnd:"))
        .unwrap()
        .trim();
    assert_eq!(of_first(&node, "web", "CapEff"), own);
    assert_eq!(of_first(&node, "web", "Seccomp"), "0");
    assert_eq!(
        node.shell("web", "mkdir /m && mount -t tmpfs none /m && echo mounted"),
        "mounted"
    );
    let devices = node.shell("web", "ls /dev | wc -l");
    assert!(devices.parse::<usize>().unwrap() > 15, "{devices} devices");
    node.drain_and_find_nothing();
}

#[test]
fn the_hosts_namespaces_are_shared_where_a_pod_asks_for_them() {
    let mut node = Node::started();
    let namespaces = ["net", "pid", "ipc", "uts", "mnt"];
    let pods = [
        ("own", json!({}), vec![]),
        ("network", json!({"hostNetwork": true}), vec!["net", "uts"]),
        ("processes", json!({"hostPID": true}), vec!["pid"]),
        ("memory", json!({"hostIPC": true}), vec!["ipc"]),
    ];
    for (name, fields, _) in &pods {
        let spec = json!({"terminationGracePeriodSeconds": 0, "containers": [shell("one", GO_ON)]});
        node.lay(&format!("{name}.json"), &pod(name, with(spec, fields.clone())));
    }
    let of_pid = |pid: &str, kind: &str| {
        std::fs::read_link(format!("/proc/{pid}/ns/{kind}"))
            .unwrap()
            .display()
            .to_string()
    };
    for (name, _, shared) in &pods {
        node.wait_running(name);
        let pid = node.pid(name, "one").to_string();
        let found: Vec<&str> = namespaces
            .into_iter()
            .filter(|kind| of_pid(&pid, kind) == of_pid("self", kind))
            .collect();
        assert_eq!(found, *shared, "{name}");
    }
    let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
    assert_eq!(node.shell("network", "hostname"), host);
    node.drain_and_find_nothing();
}

#[test]
fn containers_of_a_pod_share_its_network_ipc_and_name_but_not_its_processes() {
    let mut node = Node::started();
    let spec = json!({
        "hostname": "given",
        "terminationGracePeriodSeconds": 0,
        "containers": [shell("one", GO_ON), shell("two", GO_ON)],
    });
    node.lay("web.json", &pod("web", spec));
    node.wait_running("web");
    let (one, two) = (node.pid("web", "one"), node.pid("web", "two"));
    let inode = |pid: u32, kind: &str| std::fs::metadata(format!("/proc/{pid}/ns/{kind}")).unwrap().ino();
    for kind in ["net", "ipc", "uts"] {
        assert_eq!(inode(one, kind), inode(two, kind), "{kind}");
    }
    for kind in ["pid", "mnt"] {
        assert_ne!(inode(one, kind), inode(two, kind), "{kind}");
    }
    let name = |container: &str| node.prints(&["exec", "web", "-c", container, "--", "hostname"]);
    assert_eq!(
        (name("one").as_str(), name("two").as_str()),
        ("given\n", "given\n")
    );
    node.drain_and_find_nothing();
}

#[test]
fn a_container_inherits_nothing_but_its_three_streams() {
    let mut node = Node::started();
    // Told by its own first process; the fourth is `ls` itself, which reads the folder.
    let first = with(shell("one", ""), json!({"command": ["ls", "/proc/self/fd"]}));
    let spec = json!({"restartPolicy": "Never", "containers": [first]});
    node.lay("web.json", &pod("web", spec));
    node.wait_pod("web", "its end", |pod| {
        (pod["status"]["phase"] == "Succeeded").then_some(())
    });
    assert_eq!(node.prints(&["logs", "web"]), "0\n1\n2\n3\n");
    lay(&node, "other", &json!({}));
    node.wait_running("other");
    assert_eq!(
        node.shell("other", "readlink /proc/1/fd/0; ls /proc/self/fd"),
        "/dev/null\n0\n1\n2\n3"
    );
    node.drain_and_find_nothing();
}
