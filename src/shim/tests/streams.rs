//! The real program with the real runc: execs, terminals, input, logs, loggers, events.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_imports
)]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Duration;

use common::{Pod, eventually};
use nix::sys::stat::Mode;
use pinnace_shim::logs::LogTarget;
use pinnace_shim::protocol::events::{Event, ForwardRequest, TaskDelete, TaskExit, TaskOom};
use pinnace_shim::protocol::task::*;
use pinnace_shim::protocol::*;
use prost::Message;
use serde_json::json;

fn fifo(pod: &Pod, name: &str) -> PathBuf {
    let path = pod.path(name);
    nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
    path
}

/// Opened without waiting for a writer, as an agent does before it asks for an exec.
fn reader(path: &PathBuf) -> fs::File {
    let flags = nix::fcntl::OFlag::O_NONBLOCK.bits();
    fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .unwrap()
}

fn read_until(file: &mut fs::File, what: &str) -> String {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    eventually(&format!("{what:?} in the output"), || {
        match file.read(&mut buffer) {
            Ok(count) => seen.extend_from_slice(&buffer[..count]),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
        let text = String::from_utf8_lossy(&seen).into_owned();
        text.contains(what).then_some(text)
    })
}

#[test]
fn execs_run_side_by_side_and_tell_their_own_codes() {
    let mut pod = Pod::new();
    let mut client = pod.running("a", &["sleep", "1000"]);
    let id = pod.id("a");
    assert_eq!(
        client.exec_to_end(&pod, &id, "x", &["sh", "-c", "echo hello; exit 3"]),
        (3, "hello\n".into())
    );
    let slow = pod.exec_request(&id, "slow", &["sleep", "1000"], ("", "", "", false));
    let _: Empty = client.call(Method::Exec, &slow).unwrap();
    let again = client.call::<Empty>(Method::Exec, &slow).unwrap_err();
    assert_eq!(again.code(), Code::AlreadyExists);
    assert_eq!(
        client.kill_with(&id, "slow", 9, false).unwrap_err().code(),
        Code::FailedPrecondition
    );
    let pid = client.start(&id, "slow").unwrap();
    assert_eq!(client.state(&id, "slow").unwrap().status(), TaskStatus::Running);
    let pids: PidsResponse = client
        .call(Method::Pids, &PidsRequest { id: id.clone() })
        .unwrap();
    let of_exec = pids.processes.iter().find(|process| process.pid == pid).unwrap();
    assert!(of_exec.info.is_some());
    assert_eq!(client.exec_to_end(&pod, &id, "y", &["true"]).0, 0);
    client.kill_with(&id, "slow", 15, false).unwrap();
    assert_eq!(client.wait(&id, "slow").unwrap(), 143);
    client.delete(&id, "slow").unwrap();
    assert_eq!(client.state(&id, "slow").unwrap_err().code(), Code::NotFound);
    let left: Vec<_> = fs::read_dir(pod.bundle("a"))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert!(
        !left
            .iter()
            .any(|name| name.to_str().unwrap().starts_with("exec-")),
        "{left:?}"
    );
}

#[test]
fn an_exec_that_cannot_start_says_so_and_can_be_deleted() {
    let mut pod = Pod::new();
    let mut client = pod.running("a", &["sleep", "1000"]);
    let id = pod.id("a");
    let request = pod.exec_request(&id, "x", &["/no/such/program"], ("", "", "", false));
    let _: Empty = client.call(Method::Exec, &request).unwrap();
    let refusal = client.start(&id, "x").unwrap_err();
    assert!(
        refusal.message.starts_with("OCI runtime exec failed: "),
        "{refusal}"
    );
    assert!(refusal.message.contains("/no/such/program"), "{refusal}");
    client.delete(&id, "x").unwrap();
    let bad = pod.exec_request(&id, "../x", &["true"], ("", "", "", false));
    assert_eq!(
        client.call::<Empty>(Method::Exec, &bad).unwrap_err().code(),
        Code::InvalidArgument
    );
}

#[test]
fn an_exec_gets_its_input_until_it_is_closed() {
    let mut pod = Pod::new();
    let mut client = pod.running("a", &["sleep", "1000"]);
    let id = pod.id("a");
    let (input, output) = (fifo(&pod, "in"), fifo(&pod, "out"));
    let mut out = reader(&output);
    let paths = (input.to_str().unwrap(), output.to_str().unwrap());
    let request = pod.exec_request(&id, "x", &["cat"], (paths.0, paths.1, "", false));
    let _: Empty = client.call(Method::Exec, &request).unwrap();
    client.start(&id, "x").unwrap();
    // Two writers one after the other: the first one's end is not the input's end.
    for text in ["one\n", "two\n"] {
        fs::OpenOptions::new()
            .write(true)
            .open(&input)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        read_until(&mut out, text);
    }
    assert_eq!(client.state(&id, "x").unwrap().status(), TaskStatus::Running);
    let close = CloseIoRequest {
        id: id.clone(),
        exec_id: "x".into(),
        stdin: true,
    };
    let _: Empty = client.call(Method::CloseIo, &close).unwrap();
    assert_eq!(client.wait(&id, "x").unwrap(), 0);
    let mut rest = Vec::new();
    assert_eq!(out.read_to_end(&mut rest).unwrap(), 0, "no writer is left");
    client.delete(&id, "x").unwrap();
}

#[test]
fn an_execs_input_ends_with_the_client_that_gave_it() {
    let mut pod = Pod::new();
    let mut client = pod.running("a", &["sleep", "1000"]);
    let id = pod.id("a");
    let input = fifo(&pod, "in");
    let mut agent = pod.client();
    let request = pod.exec_request(&id, "x", &["cat"], (input.to_str().unwrap(), "", "", false));
    let _: Empty = agent.call(Method::Exec, &request).unwrap();
    agent.start(&id, "x").unwrap();
    let writer = fs::OpenOptions::new().write(true).open(&input).unwrap();
    // The agent is killed: both go at once, and no CloseIO comes.
    drop((agent, writer));
    assert_eq!(client.wait(&id, "x").unwrap(), 0);
    client.delete(&id, "x").unwrap();
}

#[test]
fn a_terminal_exec_has_a_terminal_that_can_be_resized() {
    let mut pod = Pod::new();
    let mut client = pod.running("a", &["sleep", "1000"]);
    let id = pod.id("a");
    let (input, output) = (fifo(&pod, "in"), fifo(&pod, "out"));
    let mut out = reader(&output);
    let paths = (input.to_str().unwrap(), output.to_str().unwrap());
    let args = ["sh", "-c", "tty; read x; stty size; echo got $x; exit 4"];
    let request = pod.exec_request(&id, "x", &args, (paths.0, paths.1, "", true));
    let _: Empty = client.call(Method::Exec, &request).unwrap();
    client.start(&id, "x").unwrap();
    read_until(&mut out, "/dev/pts/");
    let resize = ResizePtyRequest {
        id: id.clone(),
        exec_id: "x".into(),
        width: 91,
        height: 37,
    };
    let _: Empty = client.call(Method::ResizePty, &resize).unwrap();
    fs::OpenOptions::new()
        .write(true)
        .open(&input)
        .unwrap()
        .write_all(b"word\n")
        .unwrap();
    let text = read_until(&mut out, "got word");
    assert!(text.contains("37 91"), "{text:?}");
    assert_eq!(client.wait(&id, "x").unwrap(), 4);
    client.delete(&id, "x").unwrap();
    let sockets: Vec<_> = fs::read_dir(pod.path("run/pinnace/s"))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(sockets.len(), 1, "{sockets:?}");
}

#[test]
fn a_terminal_containers_output_goes_to_its_log() {
    let mut pod = Pod::new();
    pod.make_bundle("a", &["sh", "-c", "tty; echo two"], |config| {
        config["process"]["terminal"] = json!(true)
    });
    pod.start_shim("a");
    let (mut client, id) = (pod.client(), pod.id("a"));
    let log = LogTarget::new(pod.log("a")).to_string();
    let _: CreateTaskResponse = client
        .call(Method::Create, &pod.create_request("a", ("", &log, "", true)))
        .unwrap();
    client.start(&id, "").unwrap();
    assert_eq!(client.wait(&id, "").unwrap(), 0);
    let lines = pod.log_lines("a");
    assert!(
        lines[0].starts_with("F /dev/") && lines[1] == "F two",
        "{lines:?}"
    );
    client.delete(&id, "").unwrap();
}

#[test]
fn a_flood_passes_rotations_whole_while_others_are_served() {
    let mut pod = Pod::new();
    pod.make_bundle(
        "a",
        &[
            "sh",
            "-c",
            "seq 1 300000; dd if=/dev/zero bs=20000 count=1 2>/dev/null; echo",
        ],
        |_| (),
    );
    pod.start_shim("a");
    let (mut client, id) = (pod.client(), pod.id("a"));
    let mut target = LogTarget::new(pod.path("logs/0.log"));
    fs::create_dir(pod.path("logs")).unwrap();
    (target.max_size_bytes, target.max_files) = (1 << 20, 1000);
    let log = target.to_string();
    let _: CreateTaskResponse = client
        .call(Method::Create, &pod.create_request("a", ("", &log, &log, false)))
        .unwrap();
    client.start(&id, "").unwrap();
    assert!(client.state(&id, "").is_ok());
    // An agent that dies meanwhile changes nothing.
    drop(client);
    let mut client = pod.client();
    assert_eq!(client.wait(&id, "").unwrap(), 0);
    let mut files: Vec<PathBuf> = fs::read_dir(pod.path("logs"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    files.sort_by_key(|path| (path.ends_with("0.log"), path.clone()));
    assert!(files.len() > 5, "{files:?}");
    let text: String = files
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let mut lines = text.lines().map(|line| &line[31..]);
    for expected in 1..=300_000 {
        assert_eq!(lines.next(), Some(format!("stdout F {expected}").as_str()));
    }
    let (first, second) = (lines.next().unwrap(), lines.next().unwrap());
    assert!(first.starts_with("stdout P ") && first.len() == 9 + 16384);
    assert!(second.starts_with("stdout F ") && second.len() == 9 + 20000 - 16384);
    assert_eq!(lines.next(), None);
    client.delete(&id, "").unwrap();
}

#[test]
fn the_logger_behind_a_binary_uri_writes_the_same_log() {
    let mut pod = Pod::new();
    pod.make_bundle("a", &["sh", "-c", "echo out; echo err >&2; echo -n rest"], |_| ());
    pod.start_shim("a");
    let (mut client, id) = (pod.client(), pod.id("a"));
    let uri = LogTarget::new(pod.log("a")).binary_uri(common::SHIM.as_ref());
    let _: CreateTaskResponse = client
        .call(Method::Create, &pod.create_request("a", ("", &uri, &uri, false)))
        .unwrap();
    client.start(&id, "").unwrap();
    assert_eq!(client.wait(&id, "").unwrap(), 0);
    let lines = eventually("three records", || {
        let lines = pod.log_lines("a");
        (lines.len() == 3).then_some(lines)
    });
    for line in ["F out", "F err", "P rest"] {
        assert!(lines.iter().any(|seen| seen == line), "{lines:?}");
    }
    client.delete(&id, "").unwrap();
    // The shim's places for a logger's descriptors are its own again.
    let shim = client.connect_call("").shim_pid;
    for place in 3..6 {
        let link = fs::read_link(format!("/proc/{shim}/fd/{place}")).unwrap();
        assert_eq!(link.to_str(), Some("/dev/null"));
    }
}

#[test]
fn exits_and_out_of_memory_kills_are_told_to_the_agent() {
    let mut pod = Pod::new();
    let path = pod.path("events.sock");
    let listener = UnixListener::bind(&path).unwrap();
    listener.set_nonblocking(true).unwrap();
    pod.with_events(&path);
    // `tail` keeps what it reads until a line ends, and zeros have none.
    pod.make_bundle("a", &["tail", "-n", "1", "/dev/zero"], |config| {
        config["linux"]["resources"]["memory"] = json!({"limit": 16 << 20, "swap": 16 << 20});
    });
    pod.start_shim("a");
    let (mut client, id) = (pod.client(), pod.id("a"));
    pod.create(&mut client, "a").unwrap();
    client.start(&id, "").unwrap();
    assert_eq!(client.wait(&id, "").unwrap(), 137);
    let events = read_events(&listener, TaskExit::TOPIC);
    let of = |topic: &str| {
        events
            .iter()
            .find(|envelope| envelope.topic == topic)
            .unwrap()
            .event
            .clone()
            .unwrap()
    };
    let exit = TaskExit::decode(of(TaskExit::TOPIC).value.as_slice()).unwrap();
    assert_eq!((exit.container_id.as_str(), exit.exit_status), (id.as_str(), 137));
    assert_eq!(of(TaskOom::TOPIC).type_url, TaskOom::TYPE_NAME);
    let topics: Vec<&str> = events.iter().map(|envelope| envelope.topic.as_str()).collect();
    assert_eq!(
        topics,
        ["/tasks/create", "/tasks/start", "/tasks/oom", "/tasks/exit"]
    );
    // With the agent gone, the shim goes on.
    drop(listener);
    client.delete(&id, "").unwrap();
    client.shutdown();
}

/// Serves `Forward` until an event of this topic.
fn read_events(listener: &UnixListener, last: &str) -> Vec<events::Envelope> {
    let mut seen: Vec<events::Envelope> = Vec::new();
    loop {
        let (mut socket, _) = eventually("a connection of the shim's", || listener.accept().ok());
        socket.set_nonblocking(false).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut decoder = Decoder::new();
        let mut buffer = [0; 4096];
        loop {
            let count = socket.read(&mut buffer).unwrap();
            if count == 0 {
                break;
            }
            decoder.push(&buffer[..count]);
            while let Some(frame) = decoder.next_frame().unwrap() {
                let request = Request::decode(frame.data.as_slice()).unwrap();
                assert_eq!(
                    (request.service.as_str(), request.method.as_str()),
                    (events::EVENTS_SERVICE, events::FORWARD)
                );
                let forward = ForwardRequest::decode(request.payload.as_slice()).unwrap();
                seen.push(forward.envelope.unwrap());
                let mut answer = Vec::new();
                encode_response(&mut answer, frame.stream_id, Ok(Vec::new()));
                socket.write_all(&answer).unwrap();
                if seen.last().unwrap().topic == last {
                    return seen;
                }
            }
        }
    }
}

#[test]
fn an_update_reaches_the_kernel() {
    let mut pod = Pod::new();
    let mut client = pod.running("a", &["sleep", "1000"]);
    let resources = json!({"memory": {"limit": 64 << 20}});
    let update = UpdateTaskRequest {
        id: pod.id("a"),
        resources: Some(Any::json(options::OCI_LINUX_RESOURCES, resources.to_string())),
        ..Default::default()
    };
    let _: Empty = client.call(Method::Update, &update).unwrap();
    let names = ["memory.max", "memory.limit_in_bytes"];
    let limit = names
        .iter()
        .find_map(|name| fs::read_to_string(pod.cgroup("a").join(name)).ok())
        .unwrap();
    assert_eq!(limit.trim(), (64 << 20).to_string());
}

#[test]
fn under_containerds_own_shim_the_logger_writes_the_same_log() {
    let mut pod = Pod::new();
    let path = pod.path("events.sock");
    let listener = UnixListener::bind(&path).unwrap();
    listener.set_nonblocking(true).unwrap();
    pod.with_events(&path);
    pod.make_bundle(
        "a",
        &["sh", "-c", "echo out; echo err >&2; echo -n rest; exit 6"],
        |_| (),
    );
    let (mut client, id) = (pod.start_foreign_shim("a"), pod.id("a"));
    let shim = client.connect_call(&id).shim_pid;
    let started = pinnace_sys::process::start_time(shim).unwrap();
    // That shim dies when nobody takes its events.
    let served = std::thread::spawn(move || read_events(&listener, TaskDelete::TOPIC));
    let uri = LogTarget::new(pod.log("a")).binary_uri(common::SHIM.as_ref());
    let request = pod.create_request("a", ("", &uri, "", false));
    let _: CreateTaskResponse = client.call(Method::Create, &request).unwrap();
    client.start(&id, "").unwrap();
    assert_eq!(client.wait(&id, "").unwrap(), 6);
    // That shim holds the streams' other ends until Delete.
    client.delete(&id, "").unwrap();
    let events = served.join().unwrap();
    let exit = events.iter().find(|event| event.topic == TaskExit::TOPIC);
    let exit = exit.unwrap().event.clone().unwrap();
    assert_eq!(TaskExit::decode(exit.value.as_slice()).unwrap().exit_status, 6);
    let lines = eventually("three records", || {
        let lines = pod.log_lines("a");
        (lines.len() == 3).then_some(lines)
    });
    for line in ["F out", "F err", "P rest"] {
        assert!(lines.iter().any(|seen| seen == line), "{lines:?}");
    }
    // It may end before it has answered.
    client.send(Method::Shutdown, &ShutdownRequest { id, now: false });
    eventually("that shim's end", || {
        (!pinnace_sys::process::is_alive(shim, started)).then_some(())
    });
}
