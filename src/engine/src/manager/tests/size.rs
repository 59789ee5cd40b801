//! Many pods, and what they cost.

use std::sync::Arc;
use std::time::Instant;

use crate::testing::{Agent, Machine, daemonset, on_host, pass, pod, pod_of_size};

#[tokio::test(start_paused = true)]
async fn a_hundred_pods_of_one_listing_all_run_and_an_idle_node_does_nothing() {
    let machine = Arc::new(Machine::new());
    let agent = Agent::start(&machine);
    let mut manifests: Vec<String> = (0..80)
        .map(|number| pod(&format!("pod-{number}"), "a:1"))
        .collect();
    manifests.extend((0..20).map(|number| daemonset(&format!("set-{number}"), "a:1", "", "")));
    // Whatever waits is asked about at every change.
    manifests.extend((0..20).map(|number| pod_of_size(&format!("huge-{number}"), 9, "")));
    let started = Instant::now();
    agent.list(&manifests).await;
    let took = started.elapsed();
    assert_eq!((agent.running().len(), agent.board.waiting().len()), (100, 20));
    // Without optimisation and beside other tests; what it guards against takes minutes.
    assert!(took.as_secs() < 20, "{took:?}");

    let looks = machine.looks_during(pass(3600)).await;
    assert!(looks < 5, "an idle node looked {looks} times");

    machine.fake.take_calls();
    agent.list(&manifests).await;
    let calls: Vec<_> = machine.fake.take_calls();
    assert!(
        calls.is_empty(),
        "a listing that says the same troubles no pod: {calls:?}"
    );
    agent.list(&[]).await;
    assert_eq!(on_host(&machine).await, []);
    assert_eq!(machine.breaches(), Vec::<String>::new());
}
