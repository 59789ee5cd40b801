use std::sync::Arc;

use pinnace_api::pod::TaintEffect;
use pinnace_core::config::NodeConfig;
use pinnace_core::fake::{Break, Extent, Op};
use pinnace_core::node::Taint;
use pinnace_core::pod::FailureReason;

use crate::testing::{Agent, DIRECTORY, Machine, on_host, pass, pod, pod_with};

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

#[tokio::test(start_paused = true)]
async fn another_agent_another_boot_and_a_jump_of_the_clock_grant_no_time_anew() {
    for happens in ["killed", "jumps", "reboots"] {
        let (machine, agent) = running(&[pod_with("web", "a:1", FOR_A_MINUTE)]).await;
        pass(1000).await;
        agent.configure(broken).await;
        pass(30).await;
        agent.kill().await;
        match happens {
            "jumps" => machine.fake.set_wall_forward(3_600_000),
            "reboots" => machine.fake.reboot(false), // which takes 20 s
            _ => pass(20).await,
        }
        let mut config = NodeConfig::default();
        broken(&mut config);
        let second = Agent::with(&machine, &config, vec![DIRECTORY]);
        second.list(&[pod_with("web", "a:1", FOR_A_MINUTE)]).await;
        let left = if happens == "jumps" { 30 } else { 10 };
        pass(left - 2).await;
        assert_eq!(second.running(), ["web"], "{happens}");
        pass(3).await;
        assert_eq!(on_host(&machine).await, [], "{happens}");
        assert_eq!(machine.breaches(), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_a_taint_ended_stays_ended_under_the_next_agent_until_the_taint_goes() {
    let manifests = [pod_with("web", "a:1", FOR_A_MINUTE)];
    let (machine, agent) = running(&manifests).await;
    agent.configure(broken).await;
    pass(61).await;
    agent.kill().await;
    let mut config = NodeConfig::default();
    broken(&mut config);
    let second = Agent::with(&machine, &config, vec![DIRECTORY]);
    second.list(&manifests).await;
    pass(3600).await;
    assert_eq!(
        (on_host(&machine).await, second.board.waiting().len()),
        (vec![], 1)
    );
    second.kill().await;
    let third = Agent::start(&machine);
    third.list(&manifests).await;
    assert_eq!(third.running(), ["web"], "the taint went between two agents");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_due_ends_although_no_source_answers() {
    let (machine, agent) = running(&[pod_with("web", "a:1", FOR_A_MINUTE)]).await;
    agent.configure(broken).await;
    agent.kill().await;
    pass(120).await;
    let mut config = NodeConfig::default();
    broken(&mut config);
    let _second = Agent::with(&machine, &config, vec![DIRECTORY]);
    pass(1).await;
    assert_eq!(on_host(&machine).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_and_a_damaged_record_keep_no_pod_from_its_eviction() {
    let manifests = [pod_with("web", "a:1", FOR_A_MINUTE)];
    let (machine, agent) = running(&manifests).await;
    machine.fake.break_next(Break {
        op: Some(Op::SaveNode),
        times: 8,
        extent: Extent::Nothing,
        reason: FailureReason::CreateContainerError,
    });
    agent.configure(broken).await;
    pass(61).await;
    assert_eq!(on_host(&machine).await, []);
    assert!(agent.reasons("node1").contains(&"RecordNotSaved".to_owned()));
    // Written once the disk has room.
    pass(600).await;
    let looks = machine.looks_during(pass(10)).await;
    assert!(looks < 10, "an idle node looked {looks} times");
    agent.kill().await;

    let mut config = NodeConfig::default();
    broken(&mut config);
    let second = Agent::with(&machine, &config, vec![DIRECTORY]);
    second.list(&manifests).await;
    assert_eq!(second.board.waiting().len(), 1);
    second.kill().await;
    machine.fake.damage_node();
    let third = Agent::with(&machine, &config, vec![DIRECTORY]);
    third.list(&manifests).await;
    assert_eq!(third.reasons("node1"), ["RecordDamaged"]);
    assert_eq!(third.running(), ["web"]);
    pass(61).await;
    assert_eq!(on_host(&machine).await, []);
}

#[tokio::test(start_paused = true)]
async fn an_eviction_that_is_called_off_says_so() {
    let (_machine, agent) = running(&[pod_with("web", "a:1", FOR_A_MINUTE)]).await;
    agent.configure(broken).await;
    pass(30).await;
    agent.configure(|_| {}).await;
    let told = (
        "TaintManagerEviction".to_owned(),
        "Cancelling deletion of Pod default/web".to_owned(),
    );
    assert!(agent.events("web").contains(&told));
}
