//! The shim's own process: how it is started, found again, and kept from harm.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_imports
)]

mod common;

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::time::Duration;

use common::{Client, Pod, eventually};
use pinnace_shim::protocol::BootstrapResult;
use pinnace_shim::socket;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

fn path_of(address: &str) -> &Path {
    Path::new(address.strip_prefix("unix://").unwrap())
}

/// Numbers of the processes that serve this pod.
fn serving(pod: &Pod) -> Vec<i32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let of_pod = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        line.contains(&pod.name) && line.ends_with("serve\0")
    };
    numbers.filter(of_pod).collect()
}

/// Waits for the end of a program, at most ten seconds.
fn within_limit(mut child: Child) -> Output {
    eventually("the end of `start`", || child.try_wait().unwrap());
    child.wait_with_output().unwrap()
}

#[test]
fn a_shim_whose_address_cannot_be_told_is_ended() {
    let pod = Pod::new();
    pod.make_bundle("a", &["sleep", "1000"], |_| ());
    fs::create_dir(pod.bundle("a").join("address")).unwrap();
    let output = pod.shim_command("a").arg("start").output().unwrap();
    assert!(!output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("address"), "{text}");
    assert_eq!(serving(&pod), Vec::<i32>::new());
    let sockets = fs::read_dir(pod.path("run/pinnace/s")).unwrap();
    assert_eq!(sockets.count(), 0, "a socket that nobody serves");
}

#[test]
fn a_shim_that_takes_no_connection_now_holds_up_no_start() {
    let mut pod = Pod::new();
    for id in ["a", "b"] {
        pod.make_bundle(id, &["sleep", "1000"], |_| ());
    }
    let address = pod.start_shim("a");
    let path = path_of(&address).to_owned();
    // A program's arguments are to be seen a moment after it was started only.
    let shim = eventually("the first shim", || serving(&pod).first().copied());
    rustix::process::kill_process(Pid::from_raw(shim).unwrap(), rustix::process::Signal::KILL).unwrap();
    eventually("its end", || serving(&pod).is_empty().then_some(()));
    // In its place one whose queue is full, as of a shim that hangs.
    fs::remove_file(&path).unwrap();
    let stuck = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .unwrap();
    bind(&stuck, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    listen(&stuck, 0).unwrap();
    let mut queue: Vec<UnixStream> = Vec::new();
    while let Ok(client) = socket::connect_now(&path) {
        queue.push(client);
        assert!(queue.len() < 100);
    }
    let mut start = pod.shim_command("b");
    let start = start.arg("start").stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = within_limit(start.spawn().unwrap());
    assert!(output.status.success(), "{output:?}");
    assert_eq!(BootstrapResult::parse(&output.stdout).unwrap().address, address);
    assert_eq!(serving(&pod), Vec::<i32>::new(), "no second shim of one pod");
}

const CLIENTS: u64 = 8;

/// Time on a CPU so far.
fn busy(pid: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

#[test]
fn a_client_that_no_descriptor_is_left_for_is_taken_later_and_costs_no_cpu_meanwhile() {
    let mut pod = Pod::new();
    let mut client = pod.running("a", &["sleep", "1000"]);
    let pid = client.connect_call("").shim_pid;
    let shim = Pid::from_raw(i32::try_from(pid).unwrap());
    let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let open: Vec<u64> = open
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    let full = open.iter().max().unwrap() + 1;
    // Gaps below the highest number are filled first.
    assert!(open.len() as u64 + CLIENTS > full, "all clients could be taken");
    let before = prlimit(
        shim,
        Resource::Nofile,
        Rlimit {
            current: Some(full),
            maximum: limit(pid),
        },
    )
    .unwrap();
    let mut waiting: Vec<Client> = (0..CLIENTS).map(|_| Client::connect(&pod.address)).collect();
    let begun = busy(pid);
    let pause = Duration::from_millis(500);
    std::thread::sleep(pause);
    let spent = busy(pid) - begun;
    prlimit(shim, Resource::Nofile, before).unwrap();
    assert!(spent < pause / 5, "{spent:?} of CPU in {pause:?}");
    for client in &mut waiting {
        assert_eq!(client.connect_call("").shim_pid, pid);
    }
    assert_eq!(client.connect_call("").shim_pid, pid);
}

/// The hard limit of a process's descriptors, which is not touched.
fn limit(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    line.split_ascii_whitespace().nth(4).unwrap().parse().ok()
}
