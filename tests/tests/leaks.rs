//! Pods that have gone leave nothing: not on the host, not in the agent, not in the namespaces' list.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use pinnace_tests::leaks::{Traces, cgroup_folders};
use pinnace_tests::process::{descriptors, threads};
use pinnace_tests::sample::{FOREVER, pod};
use pinnace_tests::{Node, wait_for};
use serde_json::json;

/// A pod with one of everything that has to be cleared: volumes on disk and in memory, a sub-path.
fn rich(name: &str) -> String {
    let mut pod = pod(name, FOREVER);
    pod["spec"]["volumes"] = json!([
        {"name": "disk", "emptyDir": {}},
        {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
    ]);
    pod["spec"]["containers"][0]["volumeMounts"] = json!([
        {"name": "disk", "mountPath": "/disk"},
        {"name": "disk", "mountPath": "/below", "subPath": "a/b"},
        {"name": "memory", "mountPath": "/memory"},
    ]);
    let mut second = pod["spec"]["containers"][0].clone();
    second["name"] = json!("second");
    pod["spec"]["containers"].as_array_mut().unwrap().push(second);
    pod.to_string()
}

/// Every file below a folder, but for what grows by itself.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            }
            found.insert(entry.path());
        }
    }
    found
}

#[test]
fn twenty_pods_come_and_go_and_the_agent_and_the_host_are_as_before() {
    let mut node = Node::started();
    // The first pod unpacks the image and makes what is made once.
    node.lay("first.json", &rich("first"));
    node.wait_running("first");
    node.take_away("first.json");
    node.wait_gone("first");
    let settled = |node: &Node| {
        let traces = Traces::of(node.root());
        let files: BTreeSet<PathBuf> = files(node.root());
        (traces.mounts, traces.cgroups, traces.files, files)
    };
    let agent = node.agent_pid();
    let resources = || (descriptors(agent), threads(agent).1);
    let base = resources();
    let before = settled(&node);

    let names: Vec<String> = (0..20).map(|number| format!("p{number}")).collect();
    for name in &names {
        node.lay(&format!("{name}.json"), &rich(name));
    }
    for name in &names {
        node.wait_running(name);
    }
    assert!(descriptors(agent) > base.0, "each shim is listened to");
    for name in &names {
        node.take_away(&format!("{name}.json"));
    }
    for name in &names {
        node.wait_gone(name);
    }
    wait_for("the host to be as before", || {
        (settled(&node) == before).then_some(())
    });
    // The base may have been taken while something of the first pod was still being closed.
    wait_for(
        "descriptors and threads of the agent to be as few as before",
        || {
            let (descriptors, threads) = resources();
            (descriptors <= base.0 && threads <= base.1).then_some(())
        },
    );
    // Two that work always, and what a look at the manifests and the images takes; idle ones end after 10 s.
    wait_for("the pool's idle threads to end", || {
        (threads(agent).0 <= 4).then_some(())
    });

    node.prints(&["drain", "--all"]);
    assert_eq!(cgroup_folders(node.root()), Vec::<PathBuf>::new());
    node.drain_and_find_nothing();
}

#[test]
fn namespaces_and_processes_of_a_pod_end_with_it_after_a_kill_of_the_agent_too() {
    let mut node = Node::started();
    node.lay("a.json", &rich("a"));
    node.wait_running("a");
    let pid = node.pid("a", "main");
    let namespaces: Vec<String> = ["net", "ipc", "uts", "pid", "mnt"]
        .iter()
        .map(|kind| {
            std::fs::read_link(format!("/proc/{pid}/ns/{kind}"))
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    let users = |namespace: &String| {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let of_processes = processes.filter(|process| {
            let links = std::fs::read_dir(process.path().join("ns"))
                .into_iter()
                .flatten()
                .flatten();
            links
                .filter_map(|link| std::fs::read_link(link.path()).ok())
                .any(|target| target.to_string_lossy() == *namespace)
        });
        let pinned = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        of_processes.count() + pinned.matches(namespace.as_str()).count()
    };
    assert!(namespaces.iter().all(|namespace| users(namespace) > 0));
    node.end_agent(Signal::SIGKILL);
    node.take_away("a.json");
    node.start();
    node.wait_gone("a");
    wait_for("the namespaces' end", || {
        namespaces
            .iter()
            .all(|namespace| users(namespace) == 0)
            .then_some(())
    });
    node.drain_and_find_nothing();
    assert_eq!(cgroup_folders(node.root()), Vec::<PathBuf>::new());
}
