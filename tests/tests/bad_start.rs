//! An agent that cannot run says why, names the setting, and touches nothing.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use pinnace_tests::process::Process;
use pinnace_tests::sample::{FOREVER, pod};
use pinnace_tests::{Node, images};

/// Runs an agent that must refuse; answers what it wrote.
#[track_caller]
fn refused(node: &Node, arguments: &[&str]) -> String {
    let mut all = vec!["agent", "--metrics-listen", "none"];
    all.extend(arguments);
    let output = node.pinnace(&all);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    text
}

#[test]
fn an_oci_runtime_that_is_missing_is_named() {
    let node = Node::new();
    node.configure("nodeName: test\nociRuntimes: [/nonexistent/runtime]\n");
    let text = refused(&node, &[]);
    assert!(
        text.contains("no OCI runtime works on this node") && text.contains("/nonexistent/runtime"),
        "{text}"
    );
}

#[test]
fn a_port_in_use_is_named_with_the_setting() {
    let node = Node::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let text = refused(&node, &["--metrics-listen", &address]);
    assert!(
        text.contains(&address) && text.contains("metricsListen") && text.contains("in use"),
        "{text}"
    );
}

#[test]
fn an_unknown_key_is_named_with_file_and_line() {
    let node = Node::new();
    node.configure("nodeName: test\n\nmaxPodz: 5\n");
    for text in [
        refused(&node, &[]),
        String::from_utf8(node.pinnace(&["config", "check"]).stdout).unwrap(),
    ] {
        assert!(
            text.contains("etc/pinnace/config.yaml:3") && text.contains("maxPodz"),
            "{text}"
        );
    }
}

#[test]
fn a_second_agent_on_the_root_is_refused_and_the_first_goes_on() {
    let mut node = Node::started();
    node.lay("a.json", &pod("a", FOREVER).to_string());
    node.wait_running("a");
    let process = Process::now(node.pid("a", "main"));
    let text = refused(&node, &[]);
    assert!(
        text.contains("another agent runs under root") && text.contains(node.root().to_str().unwrap()),
        "{text}"
    );
    assert!(process.is_alive());
    assert_eq!(node.get("/readyz").unwrap().0, 200);
    node.prints(&["get", "pods"]);
    node.drain_and_find_nothing();
}

#[test]
fn a_read_only_state_directory_is_named() {
    let node = Node::new();
    let state = node.path("var/lib/pinnace");
    let none = None::<&str>;
    mount(Some(&state), &state, none, MsFlags::MS_BIND, none).unwrap();
    let read_only = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    let remounted = mount(none, &state, none, read_only, none);
    let output = node.pinnace(&["agent", "--metrics-listen", "none"]);
    umount2(&state, MntFlags::MNT_DETACH).unwrap();
    remounted.unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("Read-only file system") && text.contains(state.to_str().unwrap()),
        "{text}"
    );
}

#[test]
fn nobody_but_root_reaches_the_control_socket() {
    let mut node = Node::started();
    // The folder is open to all, so that the socket itself has to refuse.
    std::os::unix::fs::chown(node.root(), Some(65534), None).unwrap();
    let output = Command::new(images::program("pinnace"))
        .arg("--root")
        .arg(node.root())
        .args(["get", "pods"])
        .uid(65534)
        .gid(65534)
        .output();
    let text = match output {
        Ok(output) => {
            assert!(!output.status.success());
            String::from_utf8_lossy(&output.stderr).into_owned()
        }
        Err(error) => error.to_string(),
    };
    assert!(text.to_lowercase().contains("permission denied"), "{text}");
    node.prints(&["get", "pods"]);
    node.drain_and_find_nothing();
}
