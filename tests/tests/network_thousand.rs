//! A thousand pods come and go, and nothing of them stays behind.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::net::IpAddr;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use pinnace_tests::network::Site;
use pinnace_tests::sample::{FOREVER, pod};
use pinnace_tests::{Node, wait_for};
use serde_json::json;

const PODS: usize = 1000;
/// For a thousand on a machine that does other work besides.
const LIMIT: Duration = Duration::from_secs(600);
const FILE: &str = "thousand.yaml";

/// A document for each pod, every one with a host port of its own.
fn manifest() -> String {
    let one = |number: usize| {
        let mut pod = pod(&format!("p{number}"), FOREVER);
        pod["spec"]["containers"][0]["ports"] = json!([{"containerPort": 80, "hostPort": 20_000 + number}]);
        format!("---\n{pod}\n")
    };
    (0..PODS).map(one).collect()
}

/// Statuses as one listing has them; `None` where nobody answers.
fn statuses(node: &Node) -> Option<Vec<String>> {
    let output = node.pinnace(&["get", "pods"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let status = |line: &str| line.split_whitespace().nth(3).map(str::to_owned);
    output
        .status
        .success()
        .then(|| text.lines().skip(1).filter_map(status).collect())
}

#[track_caller]
fn wait_until(node: &Node, what: &str, is: impl Fn(&[String]) -> bool) {
    let begun = Instant::now();
    loop {
        let found = statuses(node);
        if found.as_deref().is_some_and(&is) {
            eprintln!(
                "{what}: {:.1?}, {} are listed",
                begun.elapsed(),
                found.map_or(0, |found| found.len())
            );
            return;
        }
        assert!(
            begun.elapsed() < LIMIT,
            "{what}: not within {LIMIT:?}, but {} pods",
            found.map_or(0, |found| found.len())
        );
        std::thread::park_timeout(Duration::from_millis(200));
    }
}

fn running(found: &[String]) -> usize {
    found.iter().filter(|status| *status == "Running").count()
}

fn kill_and_start(node: &mut Node) {
    node.end_agent(Signal::SIGKILL);
    node.spawn(&[]);
}

#[test]
fn a_thousand_pods_come_and_go_under_kills_and_leave_no_link_lease_or_element() {
    let mut site = Site::new();
    let host = site.host();
    let mut node = Node::on(&host);
    node.configure(&format!(
        "nodeName: test\nmaxPods: {PODS}\npodCIDR: 10.55.0.0/21,fd55::/64\nserviceCIDR: 10.56.0.0/24\n"
    ));
    node.start();
    node.lay(FILE, &manifest());
    wait_until(&node, "half of them run", |found| running(found) >= PODS / 2);
    kill_and_start(&mut node);
    wait_until(&node, "all of them run", |found| running(found) == PODS);
    let pods = node.pods();
    let addresses = pods
        .iter()
        .flat_map(|pod| pod["status"]["podIPs"].as_array().unwrap());
    let mut addresses: Vec<IpAddr> = addresses
        .map(|one| one["ip"].as_str().unwrap().parse().unwrap())
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), 2 * PODS, "no address is given twice");
    let traces = node.traces();
    assert_eq!((traces.links.len(), traces.elements.len()), (PODS, PODS));
    node.take_away(FILE);
    wait_until(&node, "some of them are gone", |found| {
        found.len() < PODS * 9 / 10
    });
    kill_and_start(&mut node);
    // Before it has looked at what it adopts, it has nothing to list.
    node.wait_ready();
    wait_until(&node, "all of them are gone", <[String]>::is_empty);
    wait_for("nothing left", || {
        let traces = node.traces();
        (traces.links.is_empty() && traces.elements.is_empty() && traces.files.is_empty()).then_some(())
    });
    node.drain_and_find_nothing();
}
