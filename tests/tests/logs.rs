//! Logs: the files that collectors read, and `pinnace logs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pinnace_tests::manifest::{GO_ON, pod, shell};
use pinnace_tests::node::container_id;
use pinnace_tests::{Node, wait_for};
use serde_json::{Value, json};

fn lay(node: &Node, name: &str, policy: &str, script: &str) {
    let spec = json!({"restartPolicy": policy, "terminationGracePeriodSeconds": 0, "containers": [shell("one", script)]});
    node.lay(&format!("{name}.json"), &pod(name, spec));
}

#[track_caller]
fn wait_ended(node: &Node, name: &str) -> Value {
    node.wait_pod(name, "its end", |pod| {
        let phase = pod["status"]["phase"].as_str()?;
        ["Succeeded", "Failed"].contains(&phase).then(|| pod.clone())
    })
}

fn log_file(node: &Node, pod: &Value, instance: u32) -> PathBuf {
    let text = |field: &str| pod["metadata"][field].as_str().unwrap().to_owned();
    let folder = format!("{}_{}_{}", text("namespace"), text("name"), text("uid"));
    node.path("var/log/pods")
        .join(folder)
        .join(format!("one/{instance}.log"))
}

/// Time, stream, tag and text of each line of a log file.
fn records(text: &str) -> Vec<(String, String, String, String)> {
    let record = |line: &str| {
        let mut parts = line.splitn(4, ' ').map(str::to_owned);
        let mut part = || {
            parts
                .next()
                .unwrap_or_else(|| panic!("not a line of a log: {line}"))
        };
        (part(), part(), part(), part())
    };
    text.lines().map(record).collect()
}

#[test]
fn a_log_is_where_and_as_collectors_expect_it() {
    let mut node = Node::started();
    lay(
        &node,
        "web",
        "Never",
        "echo first; sleep 0.1; echo second >&2; sleep 0.1; printf unended",
    );
    let ended = wait_ended(&node, "web");
    let file = log_file(&node, &ended, 0);
    let text = std::fs::read_to_string(&file).unwrap();
    let records = records(&text);
    let said: Vec<String> = records
        .iter()
        .map(|(_, stream, tag, text)| format!("{stream} {tag} {text}"))
        .collect();
    assert_eq!(
        said,
        ["stdout F first", "stderr F second", "stdout P unended"],
        "{text}"
    );
    for (time, ..) in &records {
        let (whole, fraction) = time.split_once('.').unwrap();
        assert_eq!(whole.len(), "2006-01-02T15:04:05".len(), "{time}");
        assert!(fraction.len() >= 10, "nanoseconds and a zone: {time}");
    }
    assert!(records.windows(2).all(|two| two[0].0 <= two[1].0), "{text}");
    let id = container_id(&ended, "one").unwrap();
    let link = node
        .path("var/log/containers")
        .join(format!("web_default_one-{id}.log"));
    assert_eq!(
        std::fs::canonicalize(&link).unwrap(),
        std::fs::canonicalize(&file).unwrap()
    );
    node.drain_and_find_nothing();
}

#[test]
fn a_long_line_is_split_and_put_together_again() {
    let mut node = Node::started();
    lay(
        &node,
        "web",
        "Never",
        "head -c 40000 /dev/zero | tr '\\0' x; echo; echo short",
    );
    let ended = wait_ended(&node, "web");
    let text = std::fs::read_to_string(log_file(&node, &ended, 0)).unwrap();
    let shape: Vec<(String, usize)> = records(&text)
        .into_iter()
        .map(|(_, _, tag, text)| (tag, text.len()))
        .collect();
    let part = |tag: &str, length: usize| (tag.to_owned(), length);
    assert_eq!(
        shape,
        [
            part("P", 16384),
            part("P", 16384),
            part("F", 40000 - 2 * 16384),
            part("F", 5)
        ]
    );
    assert_eq!(
        node.prints(&["logs", "web"]),
        format!("{}\nshort\n", "x".repeat(40_000))
    );
    assert_eq!(node.prints(&["logs", "--tail", "1", "web"]), "short\n");
    node.drain_and_find_nothing();
}

#[test]
fn logs_are_cut_by_tail_since_and_instance() {
    let mut node = Node::new();
    node.configure("nodeName: test\ncrashLoopBackOff:\n  maxContainerRestartPeriod: 1s\n");
    node.start();
    lay(&node, "web", "Never", "for n in 1 2 3 4 5; do echo line $n; done");
    let ended = wait_ended(&node, "web");
    assert_eq!(
        node.prints(&["logs", "web"]),
        "line 1\nline 2\nline 3\nline 4\nline 5\n"
    );
    assert_eq!(node.prints(&["logs", "web", "--tail", "2"]), "line 4\nline 5\n");
    assert_eq!(node.prints(&["logs", "web", "--tail", "0"]), "");
    assert_eq!(
        node.prints(&["logs", "web", "--since", "1h", "-c", "one", "-n", "default"])
            .lines()
            .count(),
        5
    );
    let stamped = node.prints(&["logs", "web", "--timestamps", "--tail", "1"]);
    let text = std::fs::read_to_string(log_file(&node, &ended, 0)).unwrap();
    let last = records(&text).pop().unwrap();
    assert_eq!(stamped, format!("{} line 5\n", last.0));
    let cut = wait_for("lines of more than a second ago", || {
        let cut = node.prints(&["logs", "web", "--since", "1s"]);
        cut.is_empty().then_some(cut)
    });
    assert_eq!(cut, "");

    let spec = json!({"terminationGracePeriodSeconds": 0, "containers": [shell("one", "echo I am $$ $(cat /proc/uptime); exec sleep 1000")]});
    node.lay("again.json", &pod("again", spec));
    node.wait_running("again");
    let none = node.pinnace(&["logs", "--previous", "again"]);
    assert_eq!(none.status.code(), Some(1));
    let said = String::from_utf8_lossy(&none.stderr).into_owned();
    assert!(
        said.contains("previous terminated container \"one\" in pod \"again\" not found"),
        "{said}"
    );
    let first = wait_for("the first line", || {
        Some(node.prints(&["logs", "again"])).filter(|text| !text.is_empty())
    });
    kill(
        Pid::from_raw(i32::try_from(node.pid("again", "one")).unwrap()),
        Signal::SIGKILL,
    )
    .unwrap();
    node.wait_pod("again", "its restart", |pod| {
        let status = &pod["status"]["containerStatuses"][0];
        (status["restartCount"] == 1 && status["ready"] == true).then_some(())
    });
    assert_eq!(node.prints(&["logs", "-p", "again"]), first);
    let second = wait_for("the second line", || {
        Some(node.prints(&["logs", "again"])).filter(|text| !text.is_empty())
    });
    assert_ne!(second, first);
    node.drain_and_find_nothing();
}

/// `pinnace logs -f` of a pod.
fn follow(node: &Node, name: &str) -> (Child, BufReader<impl Read + use<>>) {
    let mut child = node
        .command(&["logs", "-f", name])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap());
    (child, lines)
}

#[test]
fn following_prints_lines_as_they_come_and_ends_with_the_container() {
    let mut node = Node::started();
    lay(
        &node,
        "web",
        "Never",
        "echo begun; until [ -e /tmp/go ]; do sleep 0.05; done; echo done",
    );
    node.wait_running("web");
    let (mut child, mut lines) = follow(&node, "web");
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    assert_eq!(line, "begun\n");
    node.shell("web", "touch /tmp/go");
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "done\n");
    assert!(child.wait().unwrap().success());
    node.drain_and_find_nothing();
}

#[test]
fn following_goes_on_across_a_rotation() {
    let mut node = Node::new();
    node.configure("nodeName: test\ncontainerLogMaxSize: 64Ki\ncontainerLogMaxFiles: 10\n");
    node.start();
    let script =
        "until [ -e /tmp/go ]; do sleep 0.05; done; n=0; while [ $n -lt 4000 ]; do echo $n; n=$((n+1)); done";
    lay(&node, "web", "Never", script);
    node.wait_running("web");
    let (mut child, lines) = follow(&node, "web");
    node.shell("web", "touch /tmp/go");
    let numbers: Vec<usize> = lines.lines().map(|line| line.unwrap().parse().unwrap()).collect();
    assert!(child.wait().unwrap().success());
    assert!(
        numbers.iter().copied().eq(0..4000),
        "{} lines, not all in order",
        numbers.len()
    );
    let ended = wait_ended(&node, "web");
    let folder = log_file(&node, &ended, 0).parent().unwrap().to_owned();
    let files = std::fs::read_dir(&folder).unwrap().count();
    assert!(files > 2, "{files} files: it was not rotated");
    assert_eq!(
        node.prints(&["logs", "web"]).lines().count(),
        4000,
        "logs reads rotated files too"
    );
    node.drain_and_find_nothing();
}

#[test]
fn what_logs_cannot_show_is_said() {
    let mut node = Node::started();
    let two =
        json!({"terminationGracePeriodSeconds": 0, "containers": [shell("one", GO_ON), shell("two", GO_ON)]});
    node.lay("web.json", &pod("web", two));
    node.wait_running("web");
    let fails = |node: &Node, arguments: &[&str]| {
        let output = node.pinnace(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let defaulted = node.pinnace(&["logs", "web"]);
    assert_eq!(defaulted.status.code(), Some(0));
    assert_eq!(
        String::from_utf8_lossy(&defaulted.stderr),
        "Defaulted container \"one\" out of: one, two\n"
    );
    let stranger = fails(&node, &["logs", "web", "-c", "three"]);
    assert!(stranger.contains("three"), "{stranger}");
    let nobody = fails(&node, &["logs", "nobody"]);
    assert!(nobody.contains("no pod \"nobody\" has a log"), "{nobody}");
    node.end_agent(Signal::SIGTERM);
    // Which container is the first only the agent knows.
    let which = fails(&node, &["logs", "web"]);
    assert!(which.contains("one") && which.contains("two"), "{which}");
    node.start();
    node.drain_and_find_nothing();
}
