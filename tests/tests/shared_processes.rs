//! Pods whose containers share a PID namespace.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pinnace_tests::Node;
use pinnace_tests::manifest::{GO_ON, pod, shell, with};
use pinnace_tests::wait::wait_for;
use serde_json::json;

fn sharing(name: &str) -> String {
    let tracer = json!({"securityContext": {"capabilities": {"add": ["SYS_PTRACE"]}}});
    let spec = json!({
        "shareProcessNamespace": true,
        "terminationGracePeriodSeconds": 0,
        "containers": [shell("one", GO_ON), with(shell("two", GO_ON), tracer)],
    });
    pod(name, spec)
}

fn script(node: &Node, container: &str, script: &str) -> String {
    let printed = node.prints(&["exec", "web", "-c", container, "--", "sh", "-c", script]);
    printed.trim_end_matches('\n').to_owned()
}

/// How many processes a container sees whose command line begins so.
fn seen(node: &Node, container: &str, begin: &str) -> String {
    let all = "for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline; echo; done 2>/dev/null";
    script(node, container, &format!("{all} | grep -c '^{begin}' || true"))
}

/// The namespace's first process on the host, told by the namespace that a container is in.
fn first_process(node: &Node) -> i32 {
    let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let shared = namespace(&node.pid("web", "one").to_string());
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut found = processes.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let comm = std::fs::read_to_string(entry.path().join("comm")).ok()?;
        (comm == "pause\n" && namespace(&name) == shared).then(|| name.parse().unwrap())
    });
    found.next().expect("a first process")
}

#[test]
fn containers_see_each_others_processes_and_nothing_of_the_first_one() {
    let mut node = Node::started();
    node.lay("web.json", &sharing("web"));
    node.wait_running("web");
    let namespace = "readlink /proc/self/ns/pid";
    assert_eq!(script(&node, "one", namespace), script(&node, "two", namespace));
    assert_eq!(script(&node, "one", "tr '\\0' ' ' < /proc/1/cmdline"), "/pause ");
    assert_eq!(
        script(
            &node,
            "one",
            "sed -n 's/^Uid:[^0-9]*\\([0-9]*\\).*/\\1/p' /proc/1/status"
        ),
        "65535"
    );
    assert_eq!(
        script(&node, "one", "sed -n 's/^CapEff:[^0-9a-f]*//p' /proc/1/status"),
        "0000000000000000"
    );
    let hidden = "ls -A /proc/1/root/ /proc/1/cwd/ 2>/dev/null; echo end";
    assert_eq!(script(&node, "one", hidden), "end");
    // Who may trace sees an empty root, and the null device thrice.
    assert_eq!(
        script(
            &node,
            "two",
            "ls -A /proc/1/root/ /proc/1/cwd/ | grep -v '^/proc\\|^$'; echo end"
        ),
        "end"
    );
    assert_eq!(
        script(&node, "two", "for fd in /proc/1/fd/*; do readlink $fd; done"),
        "/dev/null\n/dev/null\n/dev/null"
    );
    for kind in ["net", "ipc", "uts"] {
        let of = |pid: &str| format!("readlink /proc/{pid}/ns/{kind}");
        assert_eq!(
            script(&node, "two", &of("1")),
            script(&node, "two", &of("self")),
            "{kind}"
        );
    }
    // A container's processes are another's to end; the first one ends by no signal from within.
    script(&node, "one", "kill -TERM 1; kill -KILL 1; kill -INT 1; true");
    assert_eq!(seen(&node, "one", "/pause "), "1");
    assert_eq!(seen(&node, "one", "sh -c trap"), "2");
    node.drain_and_find_nothing();
}

#[test]
fn orphans_are_reaped_and_a_containers_processes_end_with_it() {
    let mut node = Node::started();
    node.lay("web.json", &sharing("web"));
    node.wait_running("web");
    script(
        &node,
        "one",
        "for i in 1 2 3 4 5 6 7 8; do (sh -c 'sleep 0.01' >/dev/null 2>&1 &) ; done",
    );
    wait_for("the orphans' end", || {
        let left = script(
            &node,
            "two",
            "grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l",
        );
        (left == "0").then_some(())
    });
    script(&node, "one", "(sleep 4321 >/dev/null 2>&1 &) ; true");
    assert_eq!(seen(&node, "two", "sleep 4321 "), "1");
    let pid = node.pid("web", "one");
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL).unwrap();
    node.wait_pod("web", "a restart of one", |pod| {
        let statuses = pod["status"]["containerStatuses"].as_array()?;
        let one = statuses.iter().find(|one| one["name"] == "one")?;
        (one["restartCount"] == 1 && one["ready"] == true).then_some(())
    });
    let two = node.wait_running("web");
    let statuses = two["status"]["containerStatuses"].as_array().unwrap();
    assert_eq!(
        statuses.iter().find(|one| one["name"] == "two").unwrap()["restartCount"],
        0
    );
    assert_eq!(seen(&node, "two", "sleep 4321 "), "0");
    node.drain_and_find_nothing();
}

#[test]
fn the_agent_may_be_killed_and_a_pod_whose_first_process_is_killed_gets_a_new_one() {
    let mut node = Node::started();
    node.lay("web.json", &sharing("web"));
    node.wait_running("web");
    let before = first_process(&node);
    node.end_agent(Signal::SIGKILL);
    node.start();
    node.wait_running("web");
    assert_eq!(first_process(&node), before, "it outlives the agent");
    let ids = |pod: &serde_json::Value| {
        let statuses = pod["status"]["containerStatuses"].as_array()?;
        let ready = statuses.iter().all(|one| one["ready"] == true);
        let ids: Vec<String> = statuses
            .iter()
            .map(|one| one["containerID"].to_string())
            .collect();
        ready.then_some(ids)
    };
    let old = node.wait_pod("web", "its containers", ids);
    kill(Pid::from_raw(before), Signal::SIGKILL).unwrap();
    node.wait_pod("web", "other containers", |pod| {
        let new = ids(pod)?;
        new.iter().all(|id| !old.contains(id)).then_some(())
    });
    assert_ne!(first_process(&node), before);
    assert_eq!(script(&node, "one", "tr '\\0' ' ' < /proc/1/cmdline"), "/pause ");
    node.drain_and_find_nothing();
}
