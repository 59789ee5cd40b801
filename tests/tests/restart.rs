//! The agent ends or is killed; its pods go on, and the next agent knows all that happened meanwhile.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, SystemTime};

use nix::sys::signal::Signal;
use pinnace_tests::http::Server;
use pinnace_tests::process::Process;
use pinnace_tests::sample::{FOREVER, daemonset, pod, with_out};
use pinnace_tests::{Node, wait_for};
use serde_json::{Value, json};

/// Writes one line a start, which names the instance: its upper directory has UID, container and attempt.
const TELL_START: &str =
    "grep ' / / ' /proc/self/mountinfo | sed 's/.*upperdir=//;s/,.*//' >> /out/starts; exec sleep 1000000";

fn starts(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("starts")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[track_caller]
fn each_once(starts: &[String]) {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for start in starts {
        assert!(start.contains("/var/lib/pinnace/writable/"), "{start:?}");
        *counts.entry(start).or_default() += 1;
    }
    assert!(
        counts.values().all(|count| *count == 1),
        "started twice: {counts:#?}"
    );
}

#[test]
fn sigterm_and_sigkill_leave_pods_and_the_next_agent_goes_on_with_the_same_processes() {
    let mut node = Node::started();
    let out = tempfile::tempdir().unwrap();
    node.lay("a.json", &with_out(pod("a", TELL_START), out.path()).to_string());
    node.lay(
        "b.json",
        &with_out(daemonset("b", TELL_START), out.path()).to_string(),
    );
    let before = [node.wait_running("a"), node.wait_running("b")];
    let processes = ["a", "b"].map(|name| Process::now(node.pid(name, "main")));
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        node.end_agent(signal);
        assert!(processes.iter().all(Process::is_alive), "after {signal}");
        node.start();
        let after = [node.wait_running("a"), node.wait_running("b")];
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(before["metadata"], after["metadata"]);
            for field in ["phase", "startTime", "containerStatuses"] {
                assert_eq!(before["status"][field], after["status"][field]);
            }
        }
        let again = ["a", "b"].map(|name| Process::now(node.pid(name, "main")));
        assert_eq!(again, processes, "after {signal}");
    }
    each_once(&starts(out.path()));
    assert_eq!(starts(out.path()).len(), 2);
    node.drain_and_find_nothing();
}

#[test]
fn a_manifest_that_breaks_while_no_agent_runs_ends_no_pod() {
    let mut node = Node::started();
    let out = tempfile::tempdir().unwrap();
    node.lay("a.json", &with_out(pod("a", TELL_START), out.path()).to_string());
    node.wait_running("a");
    let process = Process::now(node.pid("a", "main"));
    node.end_agent(Signal::SIGKILL);
    node.lay("a.json", "{ broken");
    node.start();
    node.wait_running("a");
    assert!(process.is_alive());
    node.take_away("a.json");
    node.wait_gone("a");
    node.drain_and_find_nothing();
}

#[test]
fn a_directory_of_manifests_that_vanishes_while_no_agent_runs_ends_no_pod() {
    let mut node = Node::started();
    let out = tempfile::tempdir().unwrap();
    node.lay("a.json", &with_out(pod("a", TELL_START), out.path()).to_string());
    node.wait_running("a");
    let process = Process::now(node.pid("a", "main"));
    node.end_agent(Signal::SIGKILL);
    let manifests = node.path("etc/pinnace/manifests");
    let away = node.path("away");
    std::fs::rename(&manifests, &away).unwrap();
    node.spawn(&[]);
    wait_for("the reason why the node is not ready", || {
        let (code, why) = node.get("/readyz")?;
        (code == 503 && why.contains("cannot be read")).then_some(())
    });
    node.wait_running("a");
    assert!(process.is_alive());
    std::fs::rename(&away, &manifests).unwrap();
    node.wait_ready();
    assert!(process.is_alive());
    node.drain_and_find_nothing();
}

#[test]
fn a_container_that_ended_while_no_agent_ran_is_known_with_its_exit_code() {
    let mut node = Node::started();
    let out = tempfile::tempdir().unwrap();
    let script = "until [ -e /out/go ]; do sleep 0.05; done; exit 7";
    let mut never = with_out(pod("never", script), out.path());
    never["spec"]["restartPolicy"] = json!("Never");
    let once = "[ -e /out/go ] || { until [ -e /out/go ]; do sleep 0.05; done; exit 8; }; exec sleep 1000000";
    node.lay("never.json", &never.to_string());
    node.lay(
        "always.json",
        &with_out(pod("always", once), out.path()).to_string(),
    );
    let processes = ["never", "always"].map(|name| {
        node.wait_running(name);
        Process::now(node.pid(name, "main"))
    });
    node.end_agent(Signal::SIGKILL);
    std::fs::write(out.path().join("go"), "").unwrap();
    wait_for("the containers' ends", || {
        processes.iter().all(|one| !one.is_alive()).then_some(())
    });
    node.start();
    let exit = node.wait_pod("never", "its exit", |pod| {
        (pod["status"]["phase"] == "Failed")
            .then(|| pod["status"]["containerStatuses"][0]["state"]["terminated"].clone())
    });
    assert_eq!((&exit["exitCode"], &exit["reason"]), (&json!(7), &json!("Error")));
    let last = node.wait_pod("always", "its restart", |pod| {
        let status = &pod["status"]["containerStatuses"][0];
        (status["ready"] == true && status["restartCount"] == 1)
            .then(|| status["lastState"]["terminated"].clone())
    });
    assert_eq!(last["exitCode"], 8);
    node.drain_and_find_nothing();
}

/// Numbers that differ from run to run; the seed is shown when a test fails.
struct Chance(u64);

impl Chance {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let seed = u64::from(now.subsec_nanos()) | 1;
        eprintln!("seed {seed}");
        Self(seed)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

#[test]
fn killed_at_random_moments_while_pods_come_and_go_nothing_is_started_twice_or_left() {
    let mut node = Node::started();
    let out = tempfile::tempdir().unwrap();
    let mut chance = Chance::new();
    let name = |number: u64| format!("p{number}");
    let mut laid: BTreeSet<u64> = BTreeSet::new();
    for round in 0..8 {
        for number in 0..10 {
            let file = format!("{}.json", name(number));
            if round == 0 || chance.below(2) == 0 {
                if laid.remove(&number) {
                    node.take_away(&file);
                } else {
                    laid.insert(number);
                    node.lay(
                        &file,
                        &with_out(pod(&name(number), TELL_START), out.path()).to_string(),
                    );
                }
            }
        }
        // The moment itself is what is tried: anywhere from before anything began to after all is done.
        std::thread::park_timeout(Duration::from_millis(chance.below(900)));
        node.end_agent(Signal::SIGKILL);
        node.spawn(&[]);
        if chance.below(2) == 0 {
            std::thread::park_timeout(Duration::from_millis(chance.below(300)));
            node.end_agent(Signal::SIGKILL);
            node.spawn(&[]);
        }
    }
    node.wait_ready();
    for number in &laid {
        node.wait_running(&name(*number));
    }
    for number in (0..10).filter(|number| !laid.contains(number)) {
        node.wait_gone(&name(number));
    }
    assert_eq!(node.pods().len(), laid.len());
    each_once(&starts(out.path()));
    assert_eq!(
        pinnace_tests::process::shims(node.root(), None).len(),
        laid.len(),
        "one shim a pod"
    );
    node.drain_and_find_nothing();
}

#[test]
fn the_agent_is_ready_and_clears_only_when_every_source_has_listed() {
    let mut node = Node::started();
    node.configure("nodeName: test\nhttpCheckFrequency: 1s\n");
    node.lay("stays.json", &pod("stays", FOREVER).to_string());
    node.lay("goes.json", &pod("goes", FOREVER).to_string());
    let processes = ["stays", "goes"].map(|name| {
        node.wait_running(name);
        Process::now(node.pid(name, "main"))
    });
    node.end_agent(Signal::SIGKILL);
    node.take_away("goes.json");

    let server = Server::silent();
    node.spawn(&["--manifest-url", &server.url()]);
    let why = wait_for("adoption", || {
        let (code, body) = node.get("/readyz")?;
        assert_eq!(code, 503, "{body}");
        body.contains("url has not listed").then_some(body)
    });
    assert!(!why.contains("directory"), "{why}");
    assert!(processes.iter().all(Process::is_alive));
    assert_eq!(node.get("/healthz").unwrap().0, 200);

    server.serve("\"1\"", &pod("served", FOREVER).to_string());
    node.wait_ready();
    node.wait_running("served");
    node.wait_gone("goes");
    assert!(processes[0].is_alive() && !processes[1].is_alive());

    let asked = server.unchanged_answers();
    wait_for("questions with the ETag", || {
        (server.unchanged_answers() > asked + 1).then_some(())
    });
    server.serve(
        "\"2\"",
        &[pod("served", FOREVER), pod("more", FOREVER)]
            .map(|pod: Value| pod.to_string())
            .join("\n---\n"),
    );
    node.wait_running("more");
    let served = ["served", "more"].map(|name| Process::now(node.pid(name, "main")));

    drop(server);
    wait_for("the loss of the server to be noticed", || {
        node.agent_log().contains("no answer").then_some(())
    });
    assert!(served.iter().all(Process::is_alive));
    assert_eq!(node.get("/readyz").unwrap().0, 200);
    assert_eq!(node.pods().len(), 3);
    node.drain_and_find_nothing();
}
