//! Logs do not pass through the agent: nothing of them is lost with it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use pinnace_tests::sample::{pod, with_out};
use pinnace_tests::{Node, wait_for};
use serde_json::json;

const LINES: u64 = 1_000_000;

/// The files of an instance's log in the order in which they were written.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    // `0.log` is the newest; the others' names sort by their time.
    files.sort_by_key(|path| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name == "0.log", name)
    });
    files
}

#[test]
fn a_million_numbered_lines_pass_rotations_and_kills_of_the_agent_whole_once_and_in_order() {
    let mut node = Node::new();
    node.configure("nodeName: test\ncontainerLogMaxSize: 2Mi\ncontainerLogMaxFiles: 200\n");
    node.start();
    let out = tempfile::tempdir().unwrap();
    // As fast as it can, in blocks; the last one only after the last kill.
    let script = format!(
        "for i in $(seq 0 18); do seq $((i*50000+1)) $((i*50000+50000)); sleep 0.1; done; \
         until [ -e /out/go ]; do sleep 0.05; done; exec seq 950001 {LINES}"
    );
    let mut writer = with_out(pod("writer", &script), out.path());
    writer["spec"]["restartPolicy"] = json!("Never");
    node.lay("writer.json", &writer.to_string());
    let folder = node.wait_pod("writer", "its start", |pod| {
        let uid = pod["metadata"]["uid"].as_str()?;
        let folder = node.path(&format!("var/log/pods/default_writer_{uid}/main"));
        folder.join("0.log").exists().then_some(folder)
    });
    // One kill at each of these numbers of files: the producer is in the middle of its work.
    for (rotations, signal) in [(2, Signal::SIGKILL), (6, Signal::SIGTERM), (12, Signal::SIGKILL)] {
        wait_for("rotations", || (files(&folder).len() > rotations).then_some(()));
        node.end_agent(signal);
        node.start();
    }
    std::fs::write(out.path().join("go"), "").unwrap();
    node.wait_pod("writer", "its end", |pod| {
        (pod["status"]["phase"] == "Succeeded").then_some(())
    });
    let files = files(&folder);
    assert!(files.len() > 15, "{files:?}");
    let mut expected = 1;
    for path in &files {
        for line in BufReader::new(File::open(path).unwrap()).lines() {
            let line = line.unwrap();
            let number = line.splitn(4, ' ').nth(3);
            let whole = line.len() > 36 && line.contains(" stdout F ");
            assert!(
                whole && number == Some(expected.to_string().as_str()),
                "{}: {line:?} instead of {expected}",
                path.display()
            );
            expected += 1;
        }
    }
    assert_eq!(expected, LINES + 1);
    // Whoever asks for all of it gets all of it, and the end.
    let printed = node.prints(&["logs", "writer"]);
    assert!(printed.starts_with("1\n2\n") && printed.ends_with(&format!("\n{LINES}\n")));
    assert_eq!(printed.lines().count() as u64, LINES);
    assert_eq!(
        node.prints(&["logs", "--tail", "2", "writer"]),
        format!("{}\n{LINES}\n", LINES - 1)
    );
    node.drain_and_find_nothing();
}

#[test]
fn a_log_that_is_followed_goes_on_past_the_end_of_the_agent() {
    let mut node = Node::started();
    let script = "i=0; while true; do i=$((i+1)); echo $i; sleep 0.01; done";
    node.lay("counter.json", &pod("counter", script).to_string());
    node.wait_running("counter");
    let mut follower = node.following(&["logs", "-f", "counter"]);
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let mut expected = 1;
    let mut read = |count: u64| {
        for _ in 0..count {
            assert_eq!(lines.next().unwrap().unwrap(), expected.to_string());
            expected += 1;
        }
    };
    read(20);
    node.end_agent(Signal::SIGKILL);
    read(50);
    node.start();
    read(50);
    follower.kill().unwrap();
    follower.wait().unwrap();
    node.drain_and_find_nothing();
}
