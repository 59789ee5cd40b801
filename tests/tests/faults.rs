//! What dies or breaks under a pod: its shim, the whole machine, its record.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::fs::File;

use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pinnace_tests::leaks::Traces;
use pinnace_tests::process::{Process, in_cgroups, shims};
use pinnace_tests::sample::{FOREVER, pod};
use pinnace_tests::{Node, wait_for};
use serde_json::{Value, json};

fn uid(pod: &Value) -> String {
    pod["metadata"]["uid"].as_str().unwrap().to_owned()
}

fn end(pid: u32) {
    // One that has ended meanwhile is as well.
    let _ = kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL);
}

#[test]
fn containers_of_a_killed_shim_end_with_it_and_are_restarted_by_policy() {
    let mut node = Node::started();
    let mut never = pod("never", FOREVER);
    never["spec"]["restartPolicy"] = json!("Never");
    node.lay("always.json", &pod("always", FOREVER).to_string());
    node.lay("never.json", &never.to_string());
    node.lay("other.json", &pod("other", FOREVER).to_string());
    let uids = ["always", "never"].map(|name| uid(&node.wait_running(name)));
    node.wait_running("other");
    let ended = ["always", "never"].map(|name| Process::now(node.pid(name, "main")));
    let other = Process::now(node.pid("other", "main"));
    for uid in &uids {
        let shims = shims(node.root(), Some(uid));
        assert_eq!(shims.len(), 1, "one shim a pod");
        end(shims[0]);
    }
    let last = node.wait_pod("always", "its restart", |pod| {
        let status = &pod["status"]["containerStatuses"][0];
        (status["ready"] == true && status["restartCount"] == 1)
            .then(|| status["lastState"]["terminated"].clone())
    });
    let gone = node.wait_pod("never", "its end", |pod| {
        (pod["status"]["phase"] == "Failed")
            .then(|| pod["status"]["containerStatuses"][0]["state"]["terminated"].clone())
    });
    for exit in [last, gone] {
        assert_eq!(
            (&exit["reason"], &exit["exitCode"]),
            (&json!("ContainerStatusUnknown"), &json!(137))
        );
    }
    wait_for("the end of the processes", || {
        ended.iter().all(|one| !one.is_alive()).then_some(())
    });
    assert!(other.is_alive());
    assert_eq!(uid(&node.wait_running("always")), uids[0]);
    node.drain_and_find_nothing();
}

#[test]
fn a_shim_killed_while_no_agent_runs_is_noticed_at_the_next_start() {
    let mut node = Node::started();
    node.lay("a.json", &pod("a", FOREVER).to_string());
    let uid = uid(&node.wait_running("a"));
    let before = Process::now(node.pid("a", "main"));
    node.end_agent(Signal::SIGKILL);
    end(shims(node.root(), Some(&uid))[0]);
    node.start();
    let last = node.wait_pod("a", "its restart", |pod| {
        let status = &pod["status"]["containerStatuses"][0];
        (status["ready"] == true && status["restartCount"] == 1)
            .then(|| status["lastState"]["terminated"].clone())
    });
    assert_eq!(
        (&last["reason"], &last["exitCode"]),
        (&json!("ContainerStatusUnknown"), &json!(137))
    );
    assert!(!before.is_alive());
    node.drain_and_find_nothing();
}

/// What a power cut leaves of a node: the disk, and nothing of `/run`.
fn cut_power(node: &mut Node) {
    node.end_agent(Signal::SIGKILL);
    let root = node.root().to_owned();
    wait_for("the end of all processes", || {
        let left: Vec<u32> = shims(&root, None).into_iter().chain(in_cgroups(&root)).collect();
        left.iter().copied().for_each(end);
        left.is_empty().then_some(())
    });
    wait_for("the end of all mounts", || {
        let mounts = Traces::of(&root).mounts;
        for point in &mounts {
            let _ = umount2(point.as_str(), MntFlags::MNT_DETACH);
        }
        mounts.is_empty().then_some(())
    });
    std::fs::remove_dir_all(root.join("run/pinnace")).unwrap();
}

fn boots(node: &Node, uid: &str) -> usize {
    let path = node.path("var/lib/pinnace/volumes").join(uid).join("data/boots");
    std::fs::read_to_string(path).unwrap_or_default().lines().count()
}

#[test]
fn after_a_power_cut_the_same_pods_begin_another_sandbox() {
    let mut node = Node::started();
    let mut keeper = pod("keeper", "echo one >> /data/boots; exec sleep 1000000");
    keeper["spec"]["volumes"] = json!([{"name": "data", "emptyDir": {}}]);
    keeper["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
    let mut done = pod("done", "exit 3");
    done["spec"]["restartPolicy"] = json!("Never");
    node.lay("keeper.json", &keeper.to_string());
    node.lay("done.json", &done.to_string());
    let before = node.wait_running("keeper");
    wait_for("the first boot's line", || {
        (boots(&node, &uid(&before)) == 1).then_some(())
    });
    let process = Process::now(node.pid("keeper", "main"));
    let ended = node.wait_pod("done", "its end", |pod| {
        (pod["status"]["phase"] == "Failed").then(|| pod.clone())
    });
    cut_power(&mut node);
    node.start();
    let after = node.wait_running("keeper");
    assert_eq!(before["metadata"], after["metadata"]);
    assert_ne!(Process::now(node.pid("keeper", "main")), process);
    // An emptyDir on disk is the pod's for as long as the pod is this node's.
    wait_for("the second boot's line", || {
        (boots(&node, &uid(&after)) == 2).then_some(())
    });
    let still = node.pod("done").unwrap();
    assert_eq!(still["metadata"]["uid"], ended["metadata"]["uid"]);
    assert_eq!(still["status"]["phase"], "Failed");
    assert_eq!(
        still["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"],
        3
    );
    node.drain_and_find_nothing();
}

#[test]
fn a_pod_whose_record_is_damaged_goes_on_and_the_record_is_set_aside_with_an_event() {
    let mut node = Node::started();
    let names = ["cut", "empty", "garbage", "whole"];
    for name in names {
        node.lay(&format!("{name}.json"), &pod(name, FOREVER).to_string());
    }
    let before = names.map(|name| node.wait_running(name));
    let processes = names.map(|name| Process::now(node.pid(name, "main")));
    let record = |index: usize| {
        node.path("var/lib/pinnace/pods")
            .join(uid(&before[index]) + ".json")
    };
    let records = [0, 1, 2].map(record);
    node.end_agent(Signal::SIGKILL);
    let length = std::fs::metadata(&records[0]).unwrap().len();
    File::options()
        .write(true)
        .open(&records[0])
        .unwrap()
        .set_len(length / 2)
        .unwrap();
    std::fs::write(&records[1], "").unwrap();
    std::fs::write(&records[2], b"\xff\xfe{\"version\": 1}").unwrap();
    node.start();
    for ((name, before), process) in names.iter().zip(&before).zip(processes) {
        let after = node.wait_running(name);
        assert_eq!(before["metadata"], after["metadata"]);
        assert_eq!(Process::now(node.pid(name, "main")), process, "{name}");
        assert_eq!(after["status"]["containerStatuses"][0]["restartCount"], 0);
    }
    let events = node.events();
    let told = events.lines().filter(|line| line.contains("RecordDamaged"));
    assert_eq!(told.count(), 3, "{events}");
    let aside = std::fs::read_dir(node.path("var/lib/pinnace/damaged")).unwrap();
    assert_eq!(aside.count(), 6, "three records, each with its reason");
    assert!(records.iter().all(|path| path.exists()), "written anew");
    // The new records are as good as the old ones.
    node.end_agent(Signal::SIGKILL);
    node.start();
    for (name, process) in names.iter().zip(processes) {
        node.wait_running(name);
        assert_eq!(Process::now(node.pid(name, "main")), process, "{name}");
    }
    node.drain_and_find_nothing();
}
