//! The agent killed in the middle of its work.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use pinnace_api::testing;
use pinnace_core::network::NetworkState;
use pinnace_core::ports::Network;
use pinnace_net::Net;

use crate::world::{TestPod, World, config, run};

const ROOT: &str = "PINNACE_TEST_ROOT";
const NAMESPACE: &str = "PINNACE_TEST_NAMESPACE";

/// Not a test but what the test below runs in a process of its own: attaches and detaches a pod until killed.
#[test]
fn worker() {
    let Some(root) = std::env::var_os(ROOT) else {
        return;
    };
    let pod = TestPod {
        uid: testing::uid(1),
        namespace: PathBuf::from(std::env::var_os(NAMESPACE).unwrap()),
        pod: testing::pod("p", serde_json::json!({})),
    };
    let net = Net::new(config(&PathBuf::from(root)));
    run(async {
        net.start().await.unwrap();
        println!("ready");
        loop {
            net.attach(&pod.context(), &pod.namespace).await.unwrap();
            net.detach(&pod.uid, &pod.namespace).await.unwrap();
        }
    })
}

#[test]
fn killed_at_any_point_the_same_calls_complete_what_was_begun() {
    let world = World::new();
    let pod = world.pod();
    let mut seen = std::collections::BTreeMap::new();
    // Attaching takes about 1 ms, detaching 20: the steps in between are met by small ones.
    for round in 0..40_u64 {
        let mut child = Command::new("nsenter")
            .arg(format!("--net={}", world.path("host").display()))
            .arg(std::env::current_exe().unwrap())
            .args(["crash::worker", "--exact", "--nocapture"])
            .env(ROOT, world.root())
            .env(NAMESPACE, &pod.namespace)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        // The harness may put its own words before.
        while !line.contains("ready") {
            line.clear();
            assert!(output.read_line(&mut line).unwrap() > 0, "the worker ended early");
        }
        std::thread::sleep(Duration::from_micros(round * 137));
        child.kill().unwrap();
        child.wait().unwrap();

        let found = world.observe(&pod);
        let listed = world.list();
        let kind = match found {
            NetworkState::Absent => "absent",
            NetworkState::Partial => "partial",
            NetworkState::Attached(_) => "attached",
        };
        *seen.entry(kind).or_insert(0) += 1;
        if found != NetworkState::Absent {
            assert_eq!(
                listed,
                std::slice::from_ref(&pod.uid),
                "{found:?} is found by looking"
            );
        }
        if round % 2 == 0 {
            let addresses = world.attach(&pod);
            assert_eq!(world.observe(&pod), NetworkState::Attached(addresses));
        }
        world.detach(&pod);
        assert_eq!(world.observe(&pod), NetworkState::Absent);
        assert!(world.list().is_empty());
        world.wait_until("the link is gone", || {
            !world.on_host("ip -o link").contains(": pn")
        });
        assert!(!world.on_host("ip route").contains("scope link"));
    }
    println!("found after the kill: {seen:?}");
}
