//! Listening sockets that the service manager keeps over a restart of the agent. The test plays the manager.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

/// The manager's side of the notify socket: the descriptors by their names.
struct Manager {
    socket: UnixDatagram,
    kept: BTreeMap<String, OwnedFd>,
}

impl Manager {
    fn at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self {
            socket,
            kept: BTreeMap::new(),
        }
    }

    /// Takes what the agent sends until it is ready.
    fn until_ready(&mut self) {
        loop {
            let mut text = [0_u8; 4096];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
            let mut ancillary = RecvAncillaryBuffer::new(&mut space);
            let received = recvmsg(
                &self.socket,
                &mut [IoSliceMut::new(&mut text)],
                &mut ancillary,
                RecvFlags::CMSG_CLOEXEC,
            )
            .expect("the agent tells the manager");
            let state = String::from_utf8_lossy(&text[..received.bytes]).into_owned();
            let value = |key: &str| state.lines().find_map(|line| line.strip_prefix(key));
            let name = value("FDNAME=").unwrap_or_default().to_owned();
            if value("FDSTOREREMOVE=").is_some() {
                self.kept.remove(&name);
            }
            if value("FDSTORE=").is_some() {
                let rights = ancillary.drain().find_map(|message| match message {
                    RecvAncillaryMessage::ScmRights(mut rights) => rights.next(),
                    _ => None,
                });
                self.kept.insert(name, rights.expect("a descriptor with FDSTORE"));
            }
            if value("READY=").is_some() {
                return;
            }
        }
    }
}

/// An agent, which ends with the test at the latest.
struct Agent(Child);

impl Agent {
    /// Kills it, as a crash would end it.
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts an agent as the manager would, with what it keeps.
fn agent(root: &Path, listen: &str, manager: &Manager) -> Agent {
    let mut script = String::new();
    let mut names = Vec::new();
    for (index, (name, descriptor)) in manager.kept.iter().enumerate() {
        fcntl_setfd(descriptor, FdFlags::empty()).unwrap();
        let (number, own) = (3 + index, descriptor.as_raw_fd());
        if usize::try_from(own) != Ok(number) {
            script.push_str(&format!("exec {number}<&{own} {own}<&-\n"));
        }
        names.push(name.clone());
    }
    assert!(names.len() <= 1, "one number never meets another's");
    if !names.is_empty() {
        script.push_str(&format!(
            "export LISTEN_PID=$$ LISTEN_FDS={} LISTEN_FDNAMES={}\n",
            names.len(),
            names.join(":")
        ));
    }
    script.push_str("exec \"$@\"\n");
    let log = File::options()
        .create(true)
        .append(true)
        .open(root.join("agent.log"))
        .unwrap();
    let child = Command::new("/bin/bash")
        .args(["-c", &script, "agent"])
        .arg(pinnace_tests::images::program("pinnace"))
        .args([
            "--root",
            root.to_str().unwrap(),
            "agent",
            "--metrics-listen",
            listen,
        ])
        .env("NOTIFY_SOCKET", root.join("notify"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    for descriptor in manager.kept.values() {
        fcntl_setfd(descriptor, FdFlags::CLOEXEC).unwrap();
    }
    Agent(child)
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn who_asks_during_a_restart_is_answered_late() {
    let root = tempfile::Builder::new()
        .prefix("pinnace-test.")
        .tempdir_in("/tmp")
        .unwrap();
    let root = root.path().canonicalize().unwrap();
    std::fs::create_dir_all(root.join("etc/pinnace")).unwrap();
    std::fs::write(
        root.join("etc/pinnace/config.yaml"),
        "nodeName: test\npodNetwork: none\n",
    )
    .unwrap();
    let mut manager = Manager::at(&root.join("notify"));
    let (first, second) = (free(), free());

    let child = agent(&root, &first.to_string(), &manager);
    manager.until_ready();
    let name = format!("metrics@{first}").replace(':', "_");
    assert_eq!(manager.kept.keys().cloned().collect::<Vec<_>>(), [name]);
    child.kill();

    // Nobody is there, and yet the connection is made, and the question waits in it.
    let mut stream = TcpStream::connect(first).expect("a kept socket takes connections");
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        .unwrap();
    let child = agent(&root, &first.to_string(), &manager);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    manager.until_ready();
    assert_eq!(manager.kept.len(), 1);
    child.kill();

    // One that is not asked for any more is given up.
    let child = agent(&root, &second.to_string(), &manager);
    manager.until_ready();
    let name = format!("metrics@{second}").replace(':', "_");
    assert_eq!(manager.kept.keys().cloned().collect::<Vec<_>>(), [name]);
    assert!(TcpStream::connect(first).is_err(), "the address is free again");
    child.kill();
}
