//! The example manifests, as they stand.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use pinnace_tests::manifest::{GO_ON, pod, shell, with};
use pinnace_tests::{Node, images, wait_for};
use serde_json::{Value, json};

fn example(name: &str) -> String {
    std::fs::read_to_string(images::repository().join("config/examples").join(name)).unwrap()
}

/// A folder of the host that an example's untyped hostPath makes; taken away again if it was not there.
struct MadeOnHost(Vec<PathBuf>);

impl MadeOnHost {
    fn new(path: &str) -> Self {
        let absent = Path::new(path).ancestors().take_while(|path| !path.exists());
        Self(absent.map(Path::to_owned).collect())
    }
}

impl Drop for MadeOnHost {
    fn drop(&mut self) {
        for path in &self.0 {
            // Only what is empty: it may have come to be used.
            let _ = std::fs::remove_dir(path);
        }
    }
}

/// What the exporter in the pod's network answers.
fn scraped(pid: u32) -> Option<String> {
    let output = Command::new("nsenter")
        .args([
            "-t",
            &pid.to_string(),
            "-n",
            "busybox",
            "wget",
            "-qO-",
            "http://127.0.0.1:9100/metrics",
        ])
        .output()
        .unwrap();
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn both_daemon_sets_run_as_they_stand() {
    let _made = MadeOnHost::new("/var/lib/docker/containers");
    let mut node = Node::new();
    for archive in images::examples() {
        let name = archive.file_name().unwrap().to_str().unwrap().to_owned();
        std::fs::copy(&archive, node.path("var/lib/pinnace/bundles").join(name)).unwrap();
    }
    node.start();
    for name in ["node-exporter-daemonset.yaml", "fluentd-daemonset.yaml"] {
        node.lay(name, &example(name));
    }
    let exporter = node.wait_running("node-exporter");
    let fluentd = node.wait_running("fluentd");
    assert_eq!(exporter["metadata"]["namespace"], "monitoring");
    assert_eq!(
        exporter["metadata"]["ownerReferences"][0]["kind"], "DaemonSet",
        "{exporter:#}"
    );
    assert_eq!(exporter["status"]["qosClass"], "Burstable");
    assert_eq!(fluentd["status"]["qosClass"], "BestEffort");

    let pid = node.pid("node-exporter", "node-exporter");
    let inside = PathBuf::from(format!("/proc/{pid}/root/host/proc"));
    let boot = "sys/kernel/random/boot_id";
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    assert_eq!(read(&inside.join(boot)), read(&Path::new("/proc").join(boot)));
    assert_eq!(
        read(&inside.join("1/comm")),
        read(Path::new("/proc/1/comm")),
        "it is the host's /proc"
    );
    let mounts = read(Path::new(&format!("/proc/{pid}/mountinfo")));
    for point in ["/host/proc", "/host/sys"] {
        let mount = mounts
            .lines()
            .find(|line| line.split(' ').nth(4) == Some(point))
            .unwrap();
        assert!(mount.split(' ').nth(5).unwrap().starts_with("ro"), "{mount}");
    }
    let metrics = wait_for("the exporter's answer", || scraped(pid));
    assert!(metrics.contains("node_load1 "), "{metrics}");

    let fluentd_name = fluentd["metadata"]["name"].as_str().unwrap();
    wait_for("the stand-in's first line", || {
        let output = node.pinnace(&["logs", fluentd_name, "-n", "logging"]);
        String::from_utf8_lossy(&output.stdout)
            .contains("stand-in: ")
            .then_some(())
    });
    let sets = node.prints(&["get", "daemonsets"]);
    for name in ["node-exporter", "fluentd"] {
        let row = sets
            .lines()
            .find(|line| line.split_whitespace().nth(1) == Some(name))
            .unwrap();
        let counts: Vec<&str> = row.split_whitespace().skip(2).take(5).collect();
        assert_eq!(counts, ["1"; 5], "{sets}");
    }
    node.take_away("fluentd-daemonset.yaml");
    node.wait_gone("fluentd");
    assert_eq!(node.pid("node-exporter", "node-exporter"), pid);
    node.drain_and_find_nothing();
}

#[test]
fn the_limited_pod_runs_with_its_limits() {
    let mut node = Node::started();
    node.lay(
        "limited.yaml",
        &example("limited-pod.yaml").replace("busybox:1.36", images::BUSYBOX),
    );
    let running = node.wait_running("limited");
    assert_eq!(running["status"]["qosClass"], "Burstable");
    wait_for("its first line", || {
        let output = node.pinnace(&["logs", "limited"]);
        String::from_utf8_lossy(&output.stdout)
            .contains("tick")
            .then_some(())
    });
    node.drain_and_find_nothing();
}

/// The message of a pod's PodScheduled condition, once it is False.
fn unschedulable(pod: &Value) -> Option<String> {
    let conditions = pod["status"]["conditions"].as_array()?;
    let scheduled = conditions.iter().find(|one| one["type"] == "PodScheduled")?;
    assert_eq!(
        (&scheduled["status"], &scheduled["reason"]),
        (&json!("False"), &json!("Unschedulable")),
        "{pod:#}"
    );
    scheduled["message"].as_str().map(str::to_owned)
}

#[test]
fn a_pod_that_wants_the_agents_own_port_waits_and_is_told_which_setting_gives_way() {
    let mut node = Node::started();
    let port = node.metrics.port();
    let ports = json!({"ports": [{"containerPort": 9100, "hostPort": port}]});
    node.lay(
        "web.json",
        &pod("web", json!({"containers": [with(shell("one", GO_ON), ports)]})),
    );
    let message = node.wait_pod("web", "its verdict", unschedulable);
    assert!(
        message.starts_with(
            "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports."
        ),
        "{message}"
    );
    let waiting = node.pod("web").unwrap();
    assert_eq!(waiting["status"]["phase"], "Pending");
    let told = node.prints(&["describe", "pod", "web"]);
    assert!(
        told.contains(&format!("host port TCP {port} is held by the agent itself"))
            && told.contains("metricsListen"),
        "{told}"
    );
    let elsewhere = json!({"ports": [{"containerPort": 9100, "hostPort": port, "hostIP": "127.0.0.9"}]});
    node.lay(
        "other.json",
        &pod(
            "other",
            json!({"containers": [with(shell("one", GO_ON), elsewhere)]}),
        ),
    );
    node.wait_running("other");
    node.drain_and_find_nothing();
}
