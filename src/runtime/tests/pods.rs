//! Pods with real shims, namespaces, mounts and cgroups; each test on a node of its own.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pinnace_api::testing::name;
use pinnace_core::pod::{FailureReason, InstanceState, SandboxState, ShimState};
use pinnace_core::ports::{PodRuntime, Retry};
use pinnace_runtime::ExecRequest;
use support::{Node, TestPod, container, eventually, shell};
use tokio::io::AsyncReadExt;

/// Executes a line of shell; answers its code and output.
async fn execute(node: &Node, pod: &TestPod, container: &str, line: &str) -> (i32, String) {
    let folder = tempfile::tempdir().expect("a directory");
    let (out, mut reader) = output_fifo(folder.path(), "out");
    let (err, _errors) = output_fifo(folder.path(), "err");
    let request = ExecRequest {
        argv: ["/bin/sh", "-c", line].map(str::to_owned).to_vec(),
        stdout: Some(out),
        stderr: Some(err),
        ..ExecRequest::default()
    };
    let exec = node
        .runtime()
        .exec_start(&pod.context.uid, &name(container), 0, &request)
        .await;
    let exec = exec.unwrap_or_else(|error| panic!("exec: {}", error.chain()));
    let mut text = String::new();
    let reading = reader.read_to_string(&mut text);
    tokio::time::timeout(Duration::from_secs(10), reading)
        .await
        .expect("output in time")
        .expect("output");
    (exec.wait().await.expect("an end"), text)
}

/// Two containers, an exec, an OOM kill, the client dropped and made again, the end.
async fn whole_life(mut node: Node) {
    let long = shell(
        "long",
        "echo out; echo err >&2; trap 'echo bye; exit 7' TERM; while true; do sleep 0.05; done",
    );
    let short = shell(
        "short",
        "echo done; echo last words > /dev/termination-log; exit 3",
    );
    let hungry = shell("hungry", "x=x; while true; do x=$x$x; done");
    let pod = TestPod::new("pair", vec![long, short, hungry]);
    let uid = &pod.context.uid;
    assert_eq!(pod.observe(&node).await.sandbox, SandboxState::Absent);
    pod.create(&node).await;
    pod.create(&node).await;
    let pid = pod.run(&node, "long").await;
    assert!(
        matches!(pod.state(&node, "long").await, InstanceState::Running { pid: seen, .. } if seen == pid)
    );

    pod.run(&node, "short").await;
    let exit = pod.wait(&node, "short").await;
    assert_eq!(
        (exit.code, exit.reason.as_str(), exit.message.as_str()),
        (3, "Error", "last words\n")
    );
    assert!(exit.started_at.expect("a start") <= exit.finished_at);
    assert_eq!(pod.state(&node, "short").await, InstanceState::Exited(exit));

    assert_eq!(
        execute(&node, &pod, "long", "echo from exec; exit 5").await,
        (5, "from exec\n".to_owned())
    );

    let mut request = pod.request("hungry", 0);
    request.cgroup.memory_limit_bytes = Some(16 << 20);
    pod.run_request(&node, &request).await;
    let exit = pod.wait(&node, "hungry").await;
    assert_eq!((exit.code, exit.reason.as_str()), (137, "OOMKilled"), "{exit:?}");

    node.restart().await;
    let seen = pod.observe(&node).await;
    assert_eq!(
        (seen.sandbox, seen.shim),
        (SandboxState::Ready { attempt: 0 }, ShimState::Alive)
    );
    assert_eq!(seen.containers.len(), 3);
    assert!(
        matches!(pod.state(&node, "long").await, InstanceState::Running { pid: seen, .. } if seen == pid)
    );
    assert_eq!(
        node.runtime().stored_identity(uid).await.expect("read"),
        Some(pod.identity.clone())
    );
    assert_eq!(node.runtime().containers().len(), 3);
    assert_eq!(
        node.runtime().list().await.expect("listed"),
        std::slice::from_ref(uid)
    );

    node.runtime()
        .signal_container(uid, &name("long"), 0, 15, false)
        .await
        .expect("signalled");
    let exit = pod.wait(&node, "long").await;
    assert_eq!((exit.code, exit.reason.as_str()), (7, "Error"));
    let lines = eventually("the log is whole", || {
        let lines = pod.log(&node, "long");
        (lines.len() >= 3).then_some(lines)
    });
    let line = |stream: &str, text: &str| (stream.to_owned(), text.to_owned());
    assert!(
        lines.contains(&line("stdout", "out")) && lines.contains(&line("stderr", "err")),
        "{lines:?}"
    );
    assert_eq!(lines.last(), Some(&line("stdout", "bye")));
    // A signal after the end is no error: it is what was wanted.
    node.runtime()
        .signal_container(uid, &name("long"), 0, 15, false)
        .await
        .expect("ended already");

    for container in ["long", "short", "hungry"] {
        for _ in 0..2 {
            let removed = node.runtime().remove_container(uid, &name(container), 0).await;
            removed.unwrap_or_else(|error| panic!("remove: {}", error.chain()));
        }
    }
    assert!(pod.observe(&node).await.containers.is_empty());
    assert!(!pod.log(&node, "long").is_empty(), "the log stays");
    node.end(&[&pod]).await;
}

#[tokio::test]
async fn a_pod_lives_and_ends_under_our_own_shim() {
    whole_life(Node::own().await).await;
}

#[tokio::test]
async fn a_pod_lives_and_ends_under_containerds_shim() {
    whole_life(Node::foreign().await).await;
}

#[tokio::test]
async fn limits_are_the_kernels_at_both_levels() {
    let node = Node::own().await;
    let pod = TestPod::new("limited", vec![container("c", &[])]);
    pod.create(&node).await;
    let mut request = pod.request("c", 0);
    request.cgroup.cpu_quota_us = Some(25_000);
    pod.run_request(&node, &request).await;
    pod.observe(&node).await;
    let listed = node.runtime().containers().remove(0);
    assert_eq!(listed.sandbox.name, "limited");
    let cgroups = pinnace_sys::cgroup::Cgroups::detect().expect("cgroups");
    let group = cgroups.group(&listed.container.cgroup).expect("the group");
    let read = |controller: &str, v1: &str, v2: &str| {
        let file = match cgroups.version() {
            pinnace_sys::cgroup::CgroupVersion::V1 => v1,
            pinnace_sys::cgroup::CgroupVersion::V2 => v2,
        };
        let text = group
            .read(controller, file)
            .expect("read")
            .unwrap_or_else(|| panic!("no {file}"));
        text.trim().to_owned()
    };
    assert_eq!(
        read("memory", "memory.limit_in_bytes", "memory.max"),
        (64 << 20).to_string()
    );
    assert!(read("cpu", "cpu.cfs_quota_us", "cpu.max").starts_with("25000"));
    assert_eq!(read("pids", "pids.max", "pids.max"), "100");
    assert!(group.is_complete(), "in all hierarchies");
    node.end(&[&pod]).await;
}

#[tokio::test]
async fn what_the_container_sees_is_what_kubernetes_promises() {
    let node = Node::own().await;
    let look = "id -u; id -g; id -G; hostname; echo $HOSTNAME $OF_IMAGE $OF_POD; tail -n1 /etc/hosts; \
        cat /etc/hostname; grep -c . /etc/resolv.conf >/dev/null; ls /dev/shm; head -c 0 /dev/null; \
        cat /proc/1/oom_score_adj; mount | grep ' /sys ' | grep -c 'ro,'; mount | grep -c '/dev/shm'; \
        head -c 1 /proc/interrupts | wc -c; grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status; \
        (echo x > /etc/x) 2>/dev/null || echo read-only; cat /proc/net/dev | grep -c lo:; echo end";
    let mut seeing = shell("c", look);
    seeing.security.run_as_user = Some(1000);
    seeing.security.read_only_root_filesystem = true;
    seeing.security.no_new_privileges = true;
    seeing.security.capabilities_drop = vec!["ALL".to_owned()];
    let pod = TestPod::changed("web-0", vec![seeing], |spec| {
        spec.security.supplemental_groups = vec![7000]
    });
    pod.create(&node).await;
    let mut request = pod.request("c", 0);
    request.invocation.env = vec![("OF_POD".to_owned(), "too".to_owned())];
    pod.run_request(&node, &request).await;
    let exit = pod.wait(&node, "c").await;
    let lines: Vec<String> = eventually("the log is whole", || {
        let lines = pod.log(&node, "c");
        lines.iter().any(|(_, text)| text == "end").then_some(lines)
    })
    .into_iter()
    .map(|(_, text)| text)
    .collect();
    assert_eq!(exit.code, 0, "{lines:?}");
    let expected = [
        "1000",
        "1001",
        "1001 33 7000",
        "web-0",
        "web-0 yes too",
        "127.0.0.1\tweb-0",
        "web-0",
        "900",
        "1",
        "1",
        "0",
        "CapEff:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "read-only",
        "1",
        "end",
    ];
    assert_eq!(lines, expected);
    node.end(&[&pod]).await;
}

#[tokio::test]
async fn namespaces_and_shared_memory_are_the_pods() {
    let node = Node::own().await;
    let first = shell("a", "echo shared > /dev/shm/x; exec sleep 1000");
    let second = shell("b", "exec sleep 1000");
    let pod = TestPod::new("twins", vec![first, second]);
    pod.create(&node).await;
    let (a, b) = (pod.run(&node, "a").await, pod.run(&node, "b").await);
    let namespace =
        |pid: u32, kind: &str| fs::read_link(format!("/proc/{pid}/ns/{kind}")).expect("a namespace");
    let own = std::process::id();
    for kind in ["net", "ipc", "uts"] {
        assert_eq!(namespace(a, kind), namespace(b, kind), "{kind}");
        assert_ne!(namespace(a, kind), namespace(own, kind), "{kind}");
    }
    assert_ne!(namespace(a, "pid"), namespace(b, "pid"));
    eventually("the file is there", || {
        Path::new(&format!("/proc/{b}/root/dev/shm/x"))
            .exists()
            .then_some(())
    });

    let hosted = TestPod::changed("hosted", vec![shell("c", "exec sleep 1000")], |spec| {
        spec.host_network = true;
        spec.host_ipc = true;
        spec.host_pid = true;
    });
    hosted.create(&node).await;
    let pid = hosted.run(&node, "c").await;
    for kind in ["net", "ipc", "uts", "pid"] {
        assert_eq!(namespace(pid, kind), namespace(own, kind), "{kind}");
    }
    node.end(&[&pod, &hosted]).await;
}

#[tokio::test]
async fn a_privileged_container_has_the_hosts_devices_and_no_filter() {
    let node = Node::own().await;
    let look = "ls /dev/kmsg; grep -E '^Seccomp:' /proc/self/status; mount | grep ' /sys ' | grep -c 'rw,'; \
        head -c 1 /proc/interrupts | wc -c; echo end";
    let mut all = shell("c", look);
    all.security.privileged = true;
    let pod = TestPod::new("mighty", vec![all]);
    pod.create(&node).await;
    let lines = pod.output(&node, "c").await;
    assert_eq!(lines, ["/dev/kmsg", "Seccomp:\t0", "1", "1", "end"]);
    node.end(&[&pod]).await;
}

#[tokio::test]
async fn a_command_that_is_not_there_is_a_start_error_with_code_128() {
    for node in [Node::own().await, Node::foreign().await] {
        let pod = TestPod::new("typo", vec![container("c", &["/bin/no-such-thing"])]);
        pod.create(&node).await;
        let created = node
            .runtime()
            .create_container(&pod.context, &pod.request("c", 0))
            .await;
        let error = match created {
            Err(error) => error,
            // Some runtimes look for it at the start only.
            Ok(()) => {
                let started = node
                    .runtime()
                    .start_container(&pod.context.uid, &name("c"), 0)
                    .await;
                started.expect_err("cannot be started")
            }
        };
        assert_eq!(
            error.reason,
            FailureReason::RunContainerError,
            "{}",
            error.chain()
        );
        assert!(error.chain().contains("no-such-thing"), "{}", error.chain());
        match pod.state(&node, "c").await {
            InstanceState::Exited(exit) => {
                assert_eq!((exit.code, exit.reason.as_str()), (128, "StartError"));
                assert!(
                    exit.started_at.is_none() && exit.message.contains("no-such-thing"),
                    "{exit:?}"
                );
            }
            other => panic!("{other:?}"),
        }
        node.runtime()
            .remove_container(&pod.context.uid, &name("c"), 0)
            .await
            .expect("removed");
        node.end(&[&pod]).await;
    }
}

#[tokio::test]
async fn what_cannot_be_specified_is_a_create_error_and_leaves_no_log() {
    let node = Node::own().await;
    let pod = TestPod::new("wrong", vec![container("c", &["/bin/true"])]);
    pod.create(&node).await;
    // The specification cannot be made: a volume that cannot be shared.
    let mut request = pod.request("c", 0);
    request.mounts.push(pinnace_core::ports::BindMount {
        source: "/proc".into(),
        target: "/data".to_owned(),
        no_exec: false,
        read_only: false,
        propagation: pinnace_api::pod::MountPropagation::Bidirectional,
    });
    let error = node
        .runtime()
        .create_container(&pod.context, &request)
        .await
        .expect_err("not shared");
    assert_eq!(error.reason, FailureReason::CreateContainerError);
    assert!(
        error.chain().contains("is not a shared mount"),
        "{}",
        error.chain()
    );
    node.runtime()
        .remove_container(&pod.context.uid, &name("c"), 0)
        .await
        .expect("removed");
    assert!(pod.observe(&node).await.log_attempts.is_empty());
    node.end(&[&pod]).await;
}

#[tokio::test]
async fn a_killed_shim_is_dead_and_its_containers_are_lost_and_ended() {
    for node in [Node::own().await, Node::foreign().await] {
        let pod = TestPod::new(
            "orphans",
            vec![
                shell("a", "exec sleep 1000"),
                shell("b", "exit 4"),
                shell("c", ""),
            ],
        );
        let uid = &pod.context.uid;
        pod.create(&node).await;
        let pid = pod.run(&node, "a").await;
        pod.run(&node, "b").await;
        assert_eq!(pod.wait(&node, "b").await.code, 4);
        node.runtime()
            .create_container(&pod.context, &pod.request("c", 0))
            .await
            .expect("created");
        let shim = shim_pid(&node, &pod);
        let killed = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(shim),
            nix::sys::signal::Signal::SIGKILL,
        );
        killed.expect("the shim is killed");
        eventually("the shim is gone", || ended(shim).then_some(()));
        let seen = pod.observe(&node).await;
        assert_eq!(seen.shim, ShimState::Dead);
        let state = |name: &str| {
            seen.containers
                .iter()
                .find(|seen| seen.name.as_str() == name)
                .map(|seen| seen.state.clone())
        };
        assert!(
            matches!(state("a"), Some(InstanceState::Lost { started_at: Some(_) })),
            "{:?}",
            state("a")
        );
        assert!(matches!(state("b"), Some(InstanceState::Exited(exit)) if exit.code == 4));
        assert_eq!(state("c"), Some(InstanceState::Claimed), "never started");
        node.runtime().kill_pod_cgroup(uid).await.expect("killed");
        assert!(ended(i32::try_from(pid).expect("a pid")));
        for container in ["a", "b", "c"] {
            let removed = node.runtime().remove_container(uid, &name(container), 0).await;
            removed.unwrap_or_else(|error| panic!("remove: {}", error.chain()));
        }
        node.end(&[&pod]).await;
    }
}

fn ended(pid: i32) -> bool {
    u32::try_from(pid)
        .ok()
        .and_then(|pid| pinnace_sys::process::stat(pid).ok())
        .is_none_or(|stat| stat.is_ended())
}

fn shim_pid(node: &Node, pod: &TestPod) -> i32 {
    let path = node
        .layout
        .pod_run(pod.context.uid.as_str())
        .join("sandbox/shim/shim.json");
    let text = fs::read_to_string(path).expect("the shim's record");
    let record: serde_json::Value = serde_json::from_str(&text).expect("json");
    i32::try_from(record["pid"].as_i64().expect("a pid")).expect("a pid")
}

#[tokio::test]
async fn a_creation_that_broke_off_is_claimed_and_can_be_repeated() {
    let mut node = Node::own().await;
    let pod = TestPod::new("broken", vec![shell("c", "exec sleep 1000")]);
    let uid = &pod.context.uid;
    pod.create(&node).await;
    pod.run(&node, "c").await;
    // As after a crash before Create: the bundle is there, no shim knows it.
    let bundle = node.layout.pod_run(uid.as_str()).join("sandbox/c/c/1");
    fs::create_dir_all(bundle.join("rootfs")).expect("a bundle");
    assert_eq!(
        pod.observe(&node)
            .await
            .containers
            .iter()
            .map(|seen| (seen.attempt, seen.state == InstanceState::Claimed))
            .max(),
        Some((1, true))
    );
    // Created twice is created once.
    let request = pod.request("c", 2);
    for _ in 0..2 {
        node.runtime()
            .create_container(&pod.context, &request)
            .await
            .expect("created");
    }
    node.restart().await;
    node.runtime()
        .create_container(&pod.context, &request)
        .await
        .expect("created");
    let first = node
        .runtime()
        .start_container(uid, &name("c"), 2)
        .await
        .expect("started");
    let again = node
        .runtime()
        .start_container(uid, &name("c"), 2)
        .await
        .expect("started already");
    assert_eq!(first, again);
    node.end(&[&pod]).await;
}

#[tokio::test]
async fn a_sandbox_of_another_boot_or_without_its_end_is_broken() {
    let node = Node::own().await;
    let pod = TestPod::new("old", vec![shell("c", "exec sleep 1000")]);
    pod.create(&node).await;
    let ready = node
        .layout
        .pod_run(pod.context.uid.as_str())
        .join("sandbox/ready");
    fs::remove_file(&ready).expect("the marker");
    assert_eq!(pod.observe(&node).await.sandbox, SandboxState::Broken);
    pod.create(&node).await;
    assert_eq!(
        pod.observe(&node).await.sandbox,
        SandboxState::Ready { attempt: 0 }
    );
    let record = node
        .layout
        .pod_run(pod.context.uid.as_str())
        .join("sandbox/sandbox.json");
    let text = fs::read_to_string(&record).expect("the record");
    let mut json: serde_json::Value = serde_json::from_str(&text).expect("json");
    json["boot"] = "another".into();
    fs::write(&record, json.to_string()).expect("written");
    assert_eq!(pod.observe(&node).await.sandbox, SandboxState::Broken);
    node.end(&[&pod]).await;
}

/// A fifo in the folder, and its reading end.
fn output_fifo(folder: &Path, file: &str) -> (PathBuf, tokio::net::unix::pipe::Receiver) {
    let path = folder.join(file);
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o600)).expect("a fifo");
    let reader = tokio::net::unix::pipe::OpenOptions::new().open_receiver(&path);
    (path, reader.expect("a reading end"))
}

#[tokio::test]
async fn a_program_finds_its_terminals_size_in_its_first_act() {
    let node = Node::own().await;
    let pod = TestPod::new("tty", vec![shell("c", "exec sleep 1000")]);
    pod.create(&node).await;
    pod.run(&node, "c").await;
    let folder = tempfile::tempdir().expect("a directory");
    for run in 0..20 {
        let (stdout, mut reader) = output_fifo(folder.path(), &format!("out{run}"));
        let request = ExecRequest {
            argv: ["/bin/busybox", "stty", "size"].map(str::to_owned).to_vec(),
            tty: true,
            terminal_size: Some((101, 33)),
            stdout: Some(stdout),
            ..ExecRequest::default()
        };
        let code = node
            .runtime()
            .exec(&pod.context.uid, &name("c"), 0, &request)
            .await;
        assert_eq!(code.unwrap_or_else(|error| panic!("{}", error.chain())), 0);
        let mut text = String::new();
        let reading = reader.read_to_string(&mut text);
        let read = tokio::time::timeout(Duration::from_secs(5), reading).await;
        read.expect("output in time").expect("output");
        assert_eq!(text.trim(), "33 101", "run {run}");
    }
    node.end(&[&pod]).await;
}

#[tokio::test]
async fn a_terminal_can_be_resized() {
    let node = Node::own().await;
    let pod = TestPod::new("tty", vec![shell("c", "exec sleep 1000")]);
    pod.create(&node).await;
    pod.run(&node, "c").await;
    let folder = tempfile::tempdir().expect("a directory");
    let stdin = folder.path().join("in");
    nix::unistd::mkfifo(&stdin, nix::sys::stat::Mode::from_bits_truncate(0o600)).expect("a fifo");
    let (stdout, mut reader) = output_fifo(folder.path(), "out");
    let mut writer = tokio::net::unix::pipe::OpenOptions::new()
        .read_write(true)
        .open_sender(&stdin)
        .expect("a writing end");
    let request = ExecRequest {
        argv: ["/bin/sh", "-c", "read x; busybox stty size; exit 9"]
            .map(str::to_owned)
            .to_vec(),
        tty: true,
        stdin: Some(stdin),
        stdout: Some(stdout),
        ..ExecRequest::default()
    };
    let exec = node
        .runtime()
        .exec_start(&pod.context.uid, &name("c"), 0, &request)
        .await;
    let exec = exec.unwrap_or_else(|error| panic!("exec: {}", error.chain()));
    exec.resize(101, 33).await.expect("resized");
    tokio::io::AsyncWriteExt::write_all(&mut writer, b"go\n")
        .await
        .expect("input");
    assert_eq!(exec.wait().await.expect("an end"), 9);
    let mut text = String::new();
    let reading = reader.read_to_string(&mut text);
    let _ = tokio::time::timeout(Duration::from_secs(5), reading).await;
    assert!(text.contains("33 101"), "{text:?}");
    node.end(&[&pod]).await;
}

#[tokio::test]
async fn a_damaged_identity_is_told_from_one_that_was_never_written() {
    let node = Node::own().await;
    let pod = TestPod::new("lost", vec![container("c", &[])]);
    let uid = &pod.context.uid;
    assert_eq!(node.runtime().stored_identity(uid).await.expect("read"), None);
    pod.create(&node).await;
    let path = node.layout.pod_run(uid.as_str()).join("sandbox/identity.json");
    fs::write(&path, "{\"version\":").expect("damaged");
    let error = node.runtime().stored_identity(uid).await.expect_err("damaged");
    assert_eq!(error.retry, Retry::AfterChange);
    let text = error.chain();
    let expected = format!(
        "{} is damaged and tells nothing any more: EOF while parsing",
        path.display()
    );
    assert!(text.contains(&expected), "{text}");
    node.end(&[&pod]).await;
}

#[tokio::test]
async fn an_instance_is_known_until_all_of_it_is_removed() {
    let node = Node::own().await;
    let pod = TestPod::new("held", vec![shell("c", "exec sleep 1000")]);
    pod.create(&node).await;
    pod.run(&node, "c").await;
    let uid = &pod.context.uid;
    let held = node.layout.pod_writable(uid.as_str()).join("c/0/held");
    fs::create_dir(&held).expect("a folder");
    pinnace_sys::mount::mount_tmpfs(&held, Some(4096), 0o700).expect("mounted");
    let removed = node.runtime().remove_container(uid, &name("c"), 0).await;
    assert!(removed.is_err(), "a mount of somebody else's is in the way");
    assert_eq!(
        pod.observe(&node).await.containers.len(),
        1,
        "still to be removed"
    );
    pinnace_sys::mount::unmount(&held).expect("unmounted");
    let removed = node.runtime().remove_container(uid, &name("c"), 0).await;
    removed.unwrap_or_else(|error| panic!("{}", error.chain()));
    assert!(pod.observe(&node).await.containers.is_empty());
    node.end(&[&pod]).await;
}

#[tokio::test]
async fn a_shim_that_cannot_be_asked_is_not_forgotten() {
    let mut node = Node::own().await;
    let pod = TestPod::new("mute", vec![shell("c", "exec sleep 1000")]);
    pod.create(&node).await;
    pod.run(&node, "c").await;
    let uid = &pod.context.uid;
    let bundle = node.layout.pod_run(uid.as_str()).join("sandbox/shim");
    let (record, address) = (bundle.join("shim.json"), bundle.join("address"));
    let kept = [&record, &address].map(|path| fs::read(path).expect("a file"));
    fs::write(&record, "{").expect("damaged");
    // Reaching it fails, and not because nobody is there.
    fs::write(&address, "unix:///etc/passwd/shim").expect("damaged");
    node.restart().await;
    assert!(node.runtime().remove_sandbox(uid).await.is_err());
    assert_eq!(
        node.runtime().list().await.expect("a list"),
        std::slice::from_ref(uid)
    );
    for (path, text) in [&record, &address].into_iter().zip(kept) {
        fs::write(path, text).expect("mended");
    }
    node.end(&[&pod]).await;
}

#[tokio::test]
async fn many_pods_are_adopted_at_once_and_quickly() {
    let mut node = Node::own().await;
    let pods: Vec<TestPod> = (0..10)
        .map(|number| TestPod::new(&format!("p{number}"), vec![shell("c", "exec sleep 1000")]))
        .collect();
    for pod in &pods {
        pod.create(&node).await;
        pod.run(&node, "c").await;
    }
    node.restart().await;
    let begun = std::time::Instant::now();
    let mut looking = tokio::task::JoinSet::new();
    for pod in &pods {
        let (runtime, uid) = (node.runtime().clone(), pod.context.uid.clone());
        looking.spawn(async move { runtime.observe(&uid).await });
    }
    while let Some(seen) = looking.join_next().await {
        assert_eq!(seen.expect("joined").expect("seen").shim, ShimState::Alive);
    }
    // A hundred pods have 100 ms; the machine that tests run on is rarely quiet, so ten get a whole second.
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    let all: Vec<&TestPod> = pods.iter().collect();
    node.end(&all).await;
}
