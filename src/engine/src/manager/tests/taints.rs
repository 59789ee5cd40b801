use std::sync::Arc;

use pinnace_api::pod::TaintEffect;
use pinnace_core::config::NodeConfig;
use pinnace_core::node::Taint;

use crate::testing::{Agent, Machine, on_host, pass, pod, pod_with};

const FOR_A_MINUTE: &str =
    ", tolerations: [{key: broken, operator: Exists, effect: NoExecute, tolerationSeconds: 60}]";

async fn running(manifests: &[String]) -> (Arc<Machine>, Agent) {
    let machine = Arc::new(Machine::new());
    let agent = Agent::start(&machine);
    agent.list(manifests).await;
    (machine, agent)
}

fn broken(config: &mut NodeConfig) {
    config.register_with_taints = vec![Taint::new("broken", TaintEffect::NoExecute)];
}

#[tokio::test(start_paused = true)]
async fn a_taint_that_is_not_tolerated_ends_a_pod_until_the_taint_goes() {
    let (machine, agent) = running(&[pod("web", "a:1")]).await;
    agent.configure(broken).await;
    assert_eq!(on_host(&machine).await, []);
    assert!(agent.reasons("web").contains(&"TaintManagerEviction".to_owned()));
    assert_eq!(agent.board.waiting().len(), 1);
    agent.configure(|_| {}).await;
    assert_eq!(agent.running(), ["web"]);
}

#[tokio::test(start_paused = true)]
async fn a_taint_is_borne_for_as_long_as_the_pod_says_and_the_pod_stays_ended() {
    let (machine, agent) = running(&[pod_with("web", "a:1", FOR_A_MINUTE)]).await;
    agent.configure(broken).await;
    pass(50).await;
    // Listing and configuring again changes nothing of it.
    agent.configure(broken).await;
    agent.list(&[pod_with("web", "a:1", FOR_A_MINUTE)]).await;
    assert_eq!(agent.running(), ["web"]);
    pass(10).await;
    assert_eq!(on_host(&machine).await, []);
    agent.list(&[pod_with("web", "a:1", FOR_A_MINUTE)]).await;
    agent.configure(broken).await;
    pass(3600).await;
    assert_eq!(
        (on_host(&machine).await, agent.board.waiting().len()),
        (vec![], 1)
    );

    agent.list(&[pod_with("web", "a:2", FOR_A_MINUTE)]).await;
    assert_eq!(agent.running(), ["web"], "another manifest is another pod");
    pass(61).await;
    assert_eq!(agent.running(), Vec::<String>::new());
    agent.list(&[]).await;
    agent.list(&[pod_with("web", "a:2", FOR_A_MINUTE)]).await;
    assert_eq!(agent.running(), ["web"], "so is one that was taken away");
    pass(61).await;
    agent.configure(|_| {}).await;
    assert_eq!(agent.running(), ["web"], "without the taint it runs");
}

#[tokio::test(start_paused = true)]
async fn a_taint_that_goes_in_time_ends_nothing() {
    let (machine, agent) = running(&[pod_with("web", "a:1", FOR_A_MINUTE)]).await;
    agent.configure(broken).await;
    pass(50).await;
    agent.configure(|_| {}).await;
    pass(3600).await;
    assert_eq!(agent.running(), ["web"]);
    assert_eq!(machine.order().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_finishes_before_its_eviction_leaves_no_timer_behind() {
    let once = format!("{FOR_A_MINUTE}, restartPolicy: Never");
    let (machine, agent) = running(&[pod_with("job", "a:1", &once)]).await;
    agent.configure(broken).await;
    agent.exit("job", 0).await;
    pass(120).await;
    let looks = machine.looks_during(pass(10)).await;
    assert!(looks < 10, "an idle node looked {looks} times");
    assert!(agent.pod("job").is_finished());
}
