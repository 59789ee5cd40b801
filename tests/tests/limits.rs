//! Requests and limits, as the kernel has them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::path::{Path, PathBuf};

use pinnace_tests::Node;
use pinnace_tests::manifest::{GO_ON, pod, shell, with};
use serde_json::{Value, json};

/// The cgroup of a process in a hierarchy of cgroup v1, or of the one hierarchy of v2.
fn cgroup(pid: u32, controller: &str) -> PathBuf {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let line = text
        .lines()
        .find(|line| {
            line.split(':')
                .nth(1)
                .unwrap()
                .split(',')
                .any(|one| one == controller)
        })
        .unwrap_or_else(|| panic!("no controller {controller} in\n{text}"));
    let below = line.split(':').nth(2).unwrap().trim_start_matches('/');
    Path::new("/sys/fs/cgroup").join(controller).join(below)
}

fn value(folder: &Path, file: &str) -> String {
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.trim().to_owned()
}

/// Values of a container's cgroup and of its pod's.
fn both(pid: u32, controller: &str, file: &str) -> (String, String) {
    let container = cgroup(pid, controller);
    (value(&container, file), value(container.parent().unwrap(), file))
}

fn is_v2() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

fn limited(name: &str, resources: &Value) -> Value {
    with(shell(name, GO_ON), json!({"resources": resources}))
}

/// The least weight that a cgroup can have.
const NO_SHARES: &str = "2";

#[test]
fn the_kernel_has_the_limits_of_a_container_and_of_its_pod() {
    assert!(
        !is_v2(),
        "this machine has cgroup v2 only; its values are shown in the virtual machine"
    );
    let mut node = Node::new();
    node.configure("nodeName: test\npodPidsLimit: 100\n");
    node.start();
    let one =
        json!({"requests": {"cpu": "100m", "memory": "32Mi"}, "limits": {"cpu": "250m", "memory": "64Mi"}});
    let two = json!({"requests": {"cpu": "50m"}, "limits": {"cpu": "500m", "memory": "16Mi"}});
    node.lay(
        "web.json",
        &pod(
            "web",
            json!({"containers": [limited("one", &one), limited("two", &two)]}),
        ),
    );
    let running = node.wait_running("web");
    assert_eq!(running["status"]["qosClass"], "Burstable");
    let pid = node.pid("web", "one");
    let texts = |one: &str, pod: &str| (one.to_owned(), pod.to_owned());
    assert_eq!(
        both(pid, "memory", "memory.limit_in_bytes"),
        texts("67108864", "83886080")
    );
    assert_eq!(both(pid, "cpu", "cpu.shares"), texts("102", "153"));
    assert_eq!(both(pid, "cpu", "cpu.cfs_quota_us"), texts("25000", "75000"));
    assert_eq!(both(pid, "cpu", "cpu.cfs_period_us"), texts("100000", "100000"));
    assert_eq!(both(pid, "pids", "pids.max").1, "100");
    let pod_folder = cgroup(pid, "memory").parent().unwrap().to_owned();
    let uid = running["metadata"]["uid"].as_str().unwrap();
    assert!(
        pod_folder.ends_with(format!("kubepods/burstable/pod{uid}")),
        "{}",
        pod_folder.display()
    );
    let other = node.pid("web", "two");
    assert_eq!(
        value(&cgroup(other, "memory"), "memory.limit_in_bytes"),
        "16777216"
    );
    assert_eq!(value(&cgroup(other, "cpu"), "cpu.shares"), "51");
    let of = |container: &str| {
        node.prints(&[
            "exec",
            "web",
            "-c",
            container,
            "--",
            "cat",
            "/proc/1/oom_score_adj",
        ])
    };
    let memory_total = std::fs::read_to_string("/proc/meminfo").unwrap();
    let kib: u64 = memory_total.split_whitespace().nth(1).unwrap().parse().unwrap();
    let expected = (1000 - 1000 * (32 << 20) / (kib << 10)).clamp(3, 999);
    assert_eq!(
        of("one").trim(),
        expected.to_string(),
        "1000 - 1000 * request / capacity, as the kubelet has it"
    );
    node.drain_and_find_nothing();
}

#[test]
fn a_pods_overhead_is_added_to_what_its_containers_ask_for_and_may_use() {
    assert!(
        !is_v2(),
        "this machine has cgroup v2 only; its values are shown in the virtual machine"
    );
    let mut node = Node::started();
    let one = json!({"limits": {"cpu": "250m", "memory": "64Mi"}});
    let spec = json!({"containers": [limited("one", &one)], "overhead": {"cpu": "250m", "memory": "16Mi"}});
    node.lay("heavy.json", &pod("heavy", spec));
    let running = node.wait_running("heavy");
    assert_eq!(
        running["status"]["qosClass"], "Guaranteed",
        "overhead is no part of it"
    );
    let pid = node.pid("heavy", "one");
    let texts = |one: &str, pod: &str| (one.to_owned(), pod.to_owned());
    assert_eq!(
        both(pid, "memory", "memory.limit_in_bytes"),
        texts("67108864", "83886080")
    );
    assert_eq!(both(pid, "cpu", "cpu.cfs_quota_us"), texts("25000", "50000"));
    assert_eq!(both(pid, "cpu", "cpu.shares"), texts("256", "512"));
    node.drain_and_find_nothing();
}

#[test]
fn without_requests_a_pod_is_best_effort_and_unlimited() {
    assert!(
        !is_v2(),
        "this machine has cgroup v2 only; its values are shown in the virtual machine"
    );
    let mut node = Node::started();
    node.lay(
        "web.json",
        &pod("web", json!({"containers": [shell("one", GO_ON)]})),
    );
    let running = node.wait_running("web");
    assert_eq!(running["status"]["qosClass"], "BestEffort");
    let pid = node.pid("web", "one");
    let (container, of_pod) = both(pid, "cpu", "cpu.shares");
    assert_eq!((container.as_str(), of_pod.as_str()), (NO_SHARES, NO_SHARES));
    assert_eq!(
        both(pid, "cpu", "cpu.cfs_quota_us"),
        ("-1".to_owned(), "-1".to_owned())
    );
    let unlimited: u64 = both(pid, "memory", "memory.limit_in_bytes").0.parse().unwrap();
    assert!(unlimited > 1 << 60, "{unlimited}");
    assert_eq!(node.shell("web", "cat /proc/1/oom_score_adj"), "1000");
    assert!(
        cgroup(pid, "cpu")
            .to_string_lossy()
            .contains("/kubepods/besteffort/pod")
    );
    node.drain_and_find_nothing();
}

#[test]
fn limits_alone_make_a_guaranteed_pod_whose_requests_are_its_limits() {
    assert!(
        !is_v2(),
        "this machine has cgroup v2 only; its values are shown in the virtual machine"
    );
    let mut node = Node::started();
    let limits = json!({"limits": {"cpu": "200m", "memory": "48Mi"}});
    node.lay(
        "web.json",
        &pod("web", json!({"containers": [limited("one", &limits)]})),
    );
    let running = node.wait_running("web");
    assert_eq!(running["status"]["qosClass"], "Guaranteed");
    let pid = node.pid("web", "one");
    let texts = |text: &str| (text.to_owned(), text.to_owned());
    assert_eq!(both(pid, "cpu", "cpu.shares"), texts("204"));
    assert_eq!(both(pid, "cpu", "cpu.cfs_quota_us"), texts("20000"));
    assert_eq!(both(pid, "memory", "memory.limit_in_bytes"), texts("50331648"));
    let uid = running["metadata"]["uid"].as_str().unwrap();
    let folder = cgroup(pid, "memory");
    assert!(
        folder.parent().unwrap().ends_with(format!("kubepods/pod{uid}")),
        "{}",
        folder.display()
    );
    node.drain_and_find_nothing();
}

#[test]
fn a_fork_bomb_is_held_by_the_pods_limit_of_processes() {
    let mut node = Node::new();
    node.configure("nodeName: test\npodPidsLimit: 20\n");
    node.start();
    let script = "i=0; while [ $i -lt 60 ]; do sleep 1000 & i=$((i+1)); done; echo all started; wait";
    let spec = json!({"restartPolicy": "Never", "containers": [shell("one", script)]});
    node.lay("bomb.json", &pod("bomb", spec));
    let text = node.wait_pod("bomb", "a failed fork", |_| {
        let output = node.pinnace(&["logs", "bomb"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.contains("can't fork").then_some(text)
    });
    assert!(!text.contains("all started"), "{text}");
    node.drain_and_find_nothing();
}
