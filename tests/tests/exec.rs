//! `pinnace exec`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Output, Stdio};

use nix::pty::{Winsize, openpty};
use pinnace_tests::manifest::{GO_ON, pod, shell, with};
use pinnace_tests::{Node, wait_for};
use serde_json::json;

/// A node with a running pod `web`.
fn node() -> Node {
    let node = Node::started();
    let container = with(
        shell("one", GO_ON),
        json!({"env": [{"name": "GREETING", "value": "hello"}], "workingDir": "/tmp"}),
    );
    node.lay("web.json", &pod("web", json!({"containers": [container]})));
    node.wait_running("web");
    node
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn with_input(node: &Node, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = node
        .command(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    output
}

#[test]
fn a_program_has_its_streams_its_exit_code_and_the_containers_surroundings() {
    let mut node = node();
    let script = "echo to stdout; echo to stderr >&2; exit 42";
    let output = node.pinnace(&["exec", "web", "--", "sh", "-c", script]);
    assert_eq!(output.status.code(), Some(42));
    assert_eq!(
        (text(&output.stdout).as_str(), text(&output.stderr).as_str()),
        ("to stdout\n", "to stderr\n")
    );
    assert_eq!(
        node.shell("web", "echo $GREETING; pwd; wc -c < /dev/stdin"),
        "hello\n/tmp\n0"
    );
    let killed = node.pinnace(&["exec", "web", "--", "sh", "-c", "kill -9 $$"]);
    assert_eq!(killed.status.code(), Some(137));
    node.drain_and_find_nothing();
}

#[test]
fn much_output_comes_whole() {
    let mut node = node();
    let output = node.pinnace(&[
        "exec",
        "web",
        "--",
        "sh",
        "-c",
        "head -c 5000000 /dev/zero; echo end >&2",
    ]);
    assert_eq!(
        (output.stdout.len(), text(&output.stderr).as_str()),
        (5_000_000, "end\n")
    );
    node.drain_and_find_nothing();
}

#[test]
fn input_is_passed_on_and_ends() {
    let mut node = node();
    let output = with_input(&node, &["exec", "-i", "web", "--", "cat"], b"a line\nand another");
    assert_eq!(
        (output.status.code(), text(&output.stdout).as_str()),
        (Some(0), "a line\nand another")
    );
    let much = vec![b'x'; 1_000_000];
    let output = with_input(&node, &["exec", "-i", "web", "--", "wc", "-c"], &much);
    assert_eq!(text(&output.stdout).trim(), "1000000");
    let nothing = with_input(&node, &["exec", "-i", "web", "--", "wc", "-c"], b"");
    assert_eq!(text(&nothing.stdout).trim(), "0");
    node.drain_and_find_nothing();
}

#[test]
fn a_program_may_end_before_its_input() {
    let mut node = node();
    let mut child = node
        .command(&["exec", "-i", "web", "--", "head", "-n", "1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"one\n").unwrap();
    // The input stays open: only the program's end ends the command.
    let mut printed = String::new();
    child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    assert_eq!(printed, "one\n");
    assert!(child.wait().unwrap().success());
    drop(stdin);
    node.drain_and_find_nothing();
}

#[test]
fn what_cannot_be_run_is_said() {
    let mut node = node();
    let fails = |arguments: &[&str]| {
        let output = node.pinnace(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        text(&output.stderr)
    };
    let absent = fails(&["exec", "web", "--", "/no/such/program"]);
    assert!(absent.contains("/no/such/program"), "{absent}");
    let nobody = fails(&["exec", "nobody", "--", "true"]);
    assert!(nobody.contains("\"nobody\" not found"), "{nobody}");
    let stranger = fails(&["exec", "web", "-c", "two", "--", "true"]);
    assert!(stranger.contains("two"), "{stranger}");
    let no_terminal = fails(&["exec", "-t", "web", "--", "true"]);
    assert!(no_terminal.contains("terminal"), "{no_terminal}");
    node.drain_and_find_nothing();
}

#[test]
fn a_program_is_killed_when_its_client_goes() {
    let mut node = node();
    let mut child = node
        .command(&["exec", "web", "--", "sh", "-c", "echo begun; exec sleep 12345"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut begun = [0; 6];
    child.stdout.as_mut().unwrap().read_exact(&mut begun).unwrap();
    let sleeps = |node: &Node| node.shell("web", "ps | grep -c '[s]leep 12345' || true");
    wait_for("the program", || (sleeps(&node) == "1").then_some(()));
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for("the program's end", || (sleeps(&node) == "0").then_some(()));
    wait_for("the end of its streams", || {
        let mut entries = std::fs::read_dir(node.path("run/pinnace")).unwrap().flatten();
        entries
            .all(|entry| !entry.file_name().to_string_lossy().starts_with("exec-"))
            .then_some(())
    });
    node.drain_and_find_nothing();
}

#[test]
fn a_terminal_is_a_terminal_of_the_same_size() {
    let mut node = node();
    let size = Winsize {
        ws_row: 33,
        ws_col: 111,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let terminal = openpty(Some(&size), None).unwrap();
    let script = "test -t 0 && test -t 1 && test -t 2 && echo terminal; stty size; read line; echo \"read $line\"; exit 7";
    let mut child = node
        .command(&["exec", "-i", "-t", "web", "--", "sh", "-c", script])
        .stdin(Stdio::from(terminal.slave.try_clone().unwrap()))
        .stdout(Stdio::from(terminal.slave.try_clone().unwrap()))
        .stderr(Stdio::from(terminal.slave))
        .spawn()
        .unwrap();
    let mut master = File::from(terminal.master);
    let mut printed = String::new();
    let mut written = false;
    let mut buffer = [0; 4096];
    // The read fails when the last holder of the other side has gone.
    while let Ok(length @ 1..) = master.read(&mut buffer) {
        printed.push_str(&text(&buffer[..length]));
        if !written && printed.contains("33 111") {
            master.write_all(b"typed\r").unwrap();
            written = true;
        }
    }
    assert_eq!(child.wait().unwrap().code(), Some(7), "{printed}");
    assert!(printed.contains("terminal\r\n33 111\r\n"), "{printed:?}");
    assert!(printed.contains("read typed\r\n"), "{printed:?}");
    node.drain_and_find_nothing();
}
