//! The real program with the real runc: a container's way from Create to Delete.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_imports
)]

mod common;

use std::fs;
use std::time::Duration;

use common::{Client, Pod, eventually, proc_status};
use pinnace_shim::protocol::task::*;
use pinnace_shim::protocol::*;
use serde_json::json;

fn code(error: Result<impl std::fmt::Debug, Status>) -> Code {
    error.expect_err("a refusal").code()
}

#[test]
fn a_container_is_created_started_waited_for_and_deleted() {
    let mut pod = Pod::new();
    let id = pod.id("a");
    pod.make_bundle(
        "a",
        &["sh", "-c", "echo out; echo err >&2; echo -n rest; exit 7"],
        |_| (),
    );
    pod.start_shim("a");
    let mut client = pod.client();
    let pid = pod.create(&mut client, "a").unwrap();
    let state = client.state(&id, "").unwrap();
    assert_eq!((state.status(), state.pid), (TaskStatus::Created, pid));
    assert_eq!(code(pod.create(&mut client, "a")), Code::AlreadyExists);
    assert_eq!(client.start(&id, "").unwrap(), pid);
    assert_eq!(client.wait(&id, "").unwrap(), 7);
    // The answer to Wait comes after the last of the output.
    let mut lines = pod.log_lines("a");
    lines.sort();
    assert_eq!(lines, ["F err", "F out", "P rest"]);
    let state = client.state(&id, "").unwrap();
    assert_eq!((state.status(), state.exit_status), (TaskStatus::Stopped, 7));
    assert!(state.exited_at.is_some());
    assert_eq!(
        client.wait(&id, "").unwrap(),
        7,
        "a second Wait has the same answer"
    );
    assert_eq!(code(client.start(&id, "")), Code::FailedPrecondition);
    assert_eq!(code(client.kill(&id, 15)), Code::NotFound);
    let deleted = client.delete(&id, "").unwrap();
    assert_eq!((deleted.pid, deleted.exit_status), (pid, 7));
    assert_eq!(code(client.delete(&id, "")), Code::NotFound);
    assert_eq!(code(client.state(&id, "")), Code::NotFound);
    assert!(!pod.cgroup("a").exists(), "the container's cgroup is still there");
}

#[test]
fn a_killed_container_tells_128_and_the_signal() {
    let mut pod = Pod::new();
    let mut client = pod.running("a", &["sleep", "1000"]);
    let id = pod.id("a");
    assert_eq!(code(client.delete(&id, "")), Code::FailedPrecondition);
    let waiting = client.send(
        Method::Wait,
        &WaitRequest {
            id: id.clone(),
            exec_id: String::new(),
        },
    );
    client.send(
        Method::Kill,
        &KillRequest {
            id: id.clone(),
            signal: 9,
            ..Default::default()
        },
    );
    let answers = [client.receive(), client.receive()];
    let answer = answers.iter().find(|frame| frame.stream_id == waiting).unwrap();
    assert_eq!(
        decode_response::<WaitResponse>(&answer.data).unwrap().exit_status,
        137
    );
    client.delete(&id, "").unwrap();
}

#[test]
fn every_process_of_a_container_gets_a_signal_meant_for_all() {
    let mut pod = Pod::new();
    let mut client = pod.running(
        "a",
        &[
            "sh",
            "-c",
            "sleep 1000 & trap 'wait; exit 3' TERM; wait; wait; exit 4",
        ],
    );
    let id = pod.id("a");
    let pids = |client: &mut Client| {
        let pids: PidsResponse = client
            .call(Method::Pids, &PidsRequest { id: id.clone() })
            .unwrap();
        pids.processes.len()
    };
    eventually("the container's second process", || {
        (pids(&mut client) == 2).then_some(())
    });
    client.kill_with(&id, "", 15, true).unwrap();
    assert_eq!(client.wait(&id, "").unwrap(), 3);
    // A signal that only the runtime can send: SIGRTMIN+3.
    assert_eq!(code(client.kill(&id, 37)), Code::NotFound);
    client.delete(&id, "").unwrap();
}

#[test]
fn the_runtimes_own_words_tell_why_a_container_cannot_be_created() {
    let mut pod = Pod::new();
    pod.make_bundle("a", &["/no/such/program"], |_| ());
    pod.start_shim("a");
    let mut client = pod.client();
    for _ in 0..2 {
        let refusal = pod.create(&mut client, "a").unwrap_err();
        assert_eq!(refusal.code(), Code::Unknown);
        assert!(
            refusal.message.starts_with("OCI runtime create failed: "),
            "{refusal}"
        );
        assert!(refusal.message.contains("/no/such/program"), "{refusal}");
    }
    let left: Vec<_> = fs::read_dir(pod.bundle("a"))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    let logs = left
        .iter()
        .filter(|name| name.to_str().unwrap().starts_with("runtime-"))
        .count();
    assert_eq!(logs, 0, "{left:?}");
    client.shutdown();
}

#[test]
fn a_missing_runtime_is_told_of() {
    let mut pod = Pod::new();
    pod.make_bundle("a", &["true"], |_| ());
    pod.start_shim("a");
    let mut request = pod.create_request("a", ("", "", "", false));
    let options = options::RuncOptions {
        binary_name: "/no/runtime".into(),
        ..Default::default()
    };
    request.options = Some(Any::pack(options::RUNC_OPTIONS, &options));
    let refusal = pod
        .client()
        .call::<CreateTaskResponse>(Method::Create, &request)
        .unwrap_err();
    assert!(
        refusal.message.starts_with("run /no/runtime: No such file"),
        "{refusal}"
    );
}

#[test]
fn a_container_that_was_never_started_can_be_deleted_or_killed() {
    let mut pod = Pod::new();
    pod.make_bundle("a", &["true"], |_| ());
    pod.start_shim("a");
    let (mut client, id) = (pod.client(), pod.id("a"));
    pod.create(&mut client, "a").unwrap();
    client.delete(&id, "").unwrap();
    pod.create(&mut client, "a").unwrap();
    client.kill(&id, 9).unwrap();
    assert_eq!(client.wait(&id, "").unwrap(), 137);
    assert_eq!(code(client.start(&id, "")), Code::FailedPrecondition);
    client.delete(&id, "").unwrap();
}

#[test]
fn calls_sent_without_waiting_are_answered_in_a_sensible_order() {
    let mut pod = Pod::new();
    pod.make_bundle("a", &["sh", "-c", "exit 5"], |_| ());
    pod.start_shim("a");
    let (mut client, id) = (pod.client(), pod.id("a"));
    let (start, wait) = (
        StartRequest {
            id: id.clone(),
            ..Default::default()
        },
        WaitRequest {
            id,
            ..Default::default()
        },
    );
    let streams = [
        client.send(Method::Create, &pod.create_request("a", ("", "", "", false))),
        client.send(Method::Start, &start),
        client.send(Method::Wait, &wait),
    ];
    let answers = [client.receive(), client.receive(), client.receive()];
    let order: Vec<u32> = answers.iter().map(|frame| frame.stream_id).collect();
    assert_eq!(order, streams);
    assert_eq!(
        decode_response::<WaitResponse>(&answers[2].data)
            .unwrap()
            .exit_status,
        5
    );
}

#[test]
fn a_slow_runtime_holds_up_its_own_container_only() {
    let mut pod = Pod::new();
    let mut client = pod.running("a", &["sleep", "1000"]);
    pod.make_bundle("b", &["true"], |_| ());
    let slow = pod.path("slow-runtime");
    fs::write(
        &slow,
        "#!/bin/sh\ncase \"$*\" in *\" create \"*) sleep 2;; esac\nexit 1\n",
    )
    .unwrap();
    fs::set_permissions(&slow, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut request = pod.create_request("b", ("", "", "", false));
    let options = options::RuncOptions {
        binary_name: slow.display().to_string(),
        ..Default::default()
    };
    request.options = Some(Any::pack(options::RUNC_OPTIONS, &options));
    let create = client.send(Method::Create, &request);
    let state = client.send(
        Method::State,
        &StateRequest {
            id: pod.id("a"),
            ..Default::default()
        },
    );
    assert_eq!(
        client.receive().stream_id,
        state,
        "State waited for another container's Create"
    );
    let frame = client.receive();
    assert_eq!(frame.stream_id, create);
    let refusal = decode_response::<CreateTaskResponse>(&frame.data).unwrap_err();
    assert_eq!(refusal.message, "OCI runtime create failed: exit status 1");
}

#[test]
fn two_containers_share_one_shim_that_ends_when_told_with_none_left() {
    let mut pod = Pod::new();
    let mut client = pod.running("a", &["sleep", "1000"]);
    let first = pod.address.clone();
    pod.make_bundle("b", &["sleep", "1000"], |_| ());
    assert_eq!(pod.start_shim("b"), first);
    pod.create(&mut client, "b").unwrap();
    client.start(&pod.id("b"), "").unwrap();
    let shim = client.connect_call(&pod.id("b"));
    assert!(shim.task_pid > 1);
    client.shutdown();
    assert_eq!(
        client.connect_call("").shim_pid,
        shim.shim_pid,
        "it ended with tasks left"
    );
    for id in ["a", "b"] {
        client.kill(&pod.id(id), 9).unwrap();
        client.wait(&pod.id(id), "").unwrap();
        client.delete(&pod.id(id), "").unwrap();
    }
    client.shutdown();
    let path = first.strip_prefix("unix://").unwrap();
    eventually("the socket's removal", || {
        (!fs::exists(path).unwrap()).then_some(())
    });
    let gone = || !fs::exists(format!("/proc/{}/cmdline", shim.shim_pid)).unwrap();
    eventually("the shim's end", || gone().then_some(()));
}

#[test]
fn an_agent_that_dies_and_comes_back_finds_everything_as_it_is() {
    let mut pod = Pod::new();
    let gate = pod.path("rootfs/tmp/gate");
    nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut client = pod.running("a", &["sh", "-c", "read x < /tmp/gate; exit 9"]);
    let id = pod.id("a");
    let wait = WaitRequest {
        id: id.clone(),
        exec_id: String::new(),
    };
    client.send(Method::Wait, &wait);
    drop(client);
    let mut client = pod.client();
    let state = client.state(&id, "").unwrap();
    assert_eq!(state.status(), TaskStatus::Running);
    drop(client);
    fs::write(&gate, "go\n").unwrap();
    // It ends while nobody is connected; how is known all the same.
    eventually("the container's end", || {
        let state = fs::read_to_string(format!("/proc/{}/stat", state.pid)).unwrap_or_default();
        state.is_empty().then_some(())
    });
    let mut client = pod.client();
    assert_eq!(client.state(&id, "").unwrap().exit_status, 9);
    assert_eq!(client.wait(&id, "").unwrap(), 9);
    client.delete(&id, "").unwrap();
}

#[test]
fn a_client_that_sends_rubbish_is_cut_off_and_nobody_else() {
    use std::io::{Read, Write};
    let mut pod = Pod::new();
    let mut client = pod.running("a", &["sleep", "1000"]);
    let path = pod.address.strip_prefix("unix://").unwrap().to_owned();
    let mut rude = pinnace_shim::socket::connect(path.as_ref()).unwrap();
    rude.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    rude.write_all(&[0xff; 64]).unwrap();
    assert_eq!(rude.read(&mut [0; 16]).unwrap_or(0), 0);
    assert_eq!(
        client.state(&pod.id("a"), "").unwrap().status(),
        TaskStatus::Running
    );
    for (service, method) in [
        ("no.such.Service", "State"),
        (TASK_V2, "NoSuchMethod"),
        (TASK_V2, "Pause"),
    ] {
        let mut bytes = Vec::new();
        encode_request(&mut bytes, 1, service, method, &Empty {}, None).unwrap();
        let mut other = pinnace_shim::socket::connect(path.as_ref()).unwrap();
        other.write_all(&bytes).unwrap();
        let mut decoder = Decoder::new();
        let mut buffer = [0; 1024];
        let frame = loop {
            let count = other.read(&mut buffer).unwrap();
            decoder.push(&buffer[..count]);
            if let Some(frame) = decoder.next_frame().unwrap() {
                break frame;
            }
        };
        assert_eq!(code(decode_response::<Empty>(&frame.data)), Code::Unimplemented);
    }
}

#[test]
fn with_the_first_process_all_others_end_where_the_host_shares_its_pids() {
    let mut pod = Pod::new();
    pod.make_bundle(
        "a",
        &["sh", "-c", "sleep 1000 & sleep 1000 & echo $!; exit 0"],
        |config| {
            let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
            namespaces.retain(|namespace| namespace["type"] != json!("pid"));
        },
    );
    pod.start_shim("a");
    let (mut client, id) = (pod.client(), pod.id("a"));
    pod.create(&mut client, "a").unwrap();
    client.start(&id, "").unwrap();
    assert_eq!(client.wait(&id, "").unwrap(), 0);
    let procs = pod.cgroup("a").join("cgroup.procs");
    eventually("the end of what was left", || {
        fs::read_to_string(&procs)
            .unwrap_or_default()
            .is_empty()
            .then_some(())
    });
    client.delete(&id, "").unwrap();
    assert!(!pod.cgroup("a").exists());
}

#[test]
fn a_container_inherits_three_descriptors_and_no_blocked_signals() {
    let mut pod = Pod::new();
    let script = "ls /proc/self/fd; cat /proc/self/status";
    let mut client = pod.running("a", &["sh", "-c", script]);
    let id = pod.id("a");
    assert_eq!(client.wait(&id, "").unwrap(), 0);
    let lines = pod.log_lines("a");
    // `ls` has its own descriptor of the directory as 3.
    let numbers: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.strip_prefix("F "))
        .take_while(|l| l.parse::<u32>().is_ok())
        .collect();
    assert_eq!(numbers, ["0", "1", "2", "3"]);
    let status = |key: &str| lines.iter().find(|line| line.starts_with(key)).unwrap().clone();
    assert!(
        status("F SigBlk:").ends_with("\t0000000000000000"),
        "{}",
        status("F SigBlk:")
    );
    // SIGPIPE, which this program's runtime library ignores; others may be ignored by whoever runs the test.
    let ignored = status("F SigIgn:");
    let ignored = u64::from_str_radix(ignored.rsplit('\t').next().unwrap(), 16).unwrap();
    assert_eq!(ignored & 0x1000, 0, "SIGPIPE is ignored");
    client.delete(&id, "").unwrap();
    let (mut client, shim) = (pod.client(), pod.client().connect_call("").shim_pid);
    assert!(client.connect_call("").shim_pid == shim);
    let comm = fs::read_to_string(format!("/proc/{shim}/comm")).unwrap();
    assert_eq!(comm.trim(), "pinnace-shim");
    let line = String::from_utf8(fs::read(format!("/proc/{shim}/cmdline")).unwrap()).unwrap();
    assert!(
        line.contains("-pod\0default/web\0") && line.contains("-root\0"),
        "{line}"
    );
    assert_eq!(proc_status(shim, "Threads"), "1");
    assert_ne!(proc_status(shim, "PPid"), std::process::id().to_string());
}

#[test]
fn a_dead_shims_container_is_cleaned_up_by_delete() {
    let mut pod = Pod::new();
    let mut client = pod.running("a", &["sleep", "1000"]);
    let (id, shim) = (pod.id("a"), client.connect_call(&pod.id("a")));
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(shim.shim_pid.cast_signed()),
        nix::sys::signal::Signal::SIGKILL,
    )
    .unwrap();
    for _ in 0..2 {
        let output = pod.delete_after_shim("a");
        assert!(output.status.success(), "{output:?}");
        let response: DeleteResponse = prost::Message::decode(output.stdout.as_slice()).unwrap();
        assert_eq!((response.exit_status, response.pid), (137, shim.task_pid));
    }
    assert!(!fs::exists(format!("/proc/{}/exe", shim.task_pid)).unwrap());
    assert!(!pod.cgroup("a").exists());
    // The next shim of the pod takes the dead one's socket's place.
    let before = pod.address.clone();
    assert_eq!(pod.start_shim("a"), before);
    let mut client = pod.client();
    assert_ne!(client.connect_call("").shim_pid, shim.shim_pid);
    assert_eq!(code(client.state(&id, "")), Code::NotFound);
    client.shutdown();
}

#[test]
fn a_root_whose_sockets_path_is_too_long_for_the_kernel_works() {
    let pod = Pod::new();
    pod.make_bundle("a", &["true"], |_| ());
    let root = pod.path(&"r".repeat(100));
    fs::create_dir(&root).unwrap();
    let output = pod
        .shim_command("a")
        .arg("-root")
        .arg(&root)
        .arg("start")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let address = String::from_utf8(output.stdout).unwrap();
    assert!(address.len() > 120);
    let mut client = Client::connect(&address);
    pod.create(&mut client, "a").unwrap();
    client.delete(&pod.id("a"), "").unwrap();
    client.shutdown();
}
