use std::sync::Arc;

use pinnace_core::fake::{Break, Extent, Op, sample};
use pinnace_core::pod::FailureReason;

use crate::testing::{Agent, Machine, daemonset, on_host, pass, pod, pod_of_size};

#[tokio::test(start_paused = true)]
async fn a_drain_answers_when_nothing_is_left_and_nothing_starts_after_it() {
    let machine = Arc::new(Machine::new());
    let agent = Agent::start(&machine);
    let manifests = [
        pod("web", "a:1"),
        daemonset("log", "a:1", "", ""),
        pod_of_size("huge", 9, ""),
    ];
    agent.list(&manifests).await;
    assert_eq!(agent.running().len(), 2);
    machine.fake.ignore_stop_signal(&sample::name("c"), true);
    let mut drained = agent.drain(Some(20)).await;
    pass(10).await;
    assert!(drained.try_recv().is_err(), "within the grace period");
    pass(15).await;
    assert_eq!(drained.try_recv(), Ok(()));
    assert_eq!(on_host(&machine).await, []);
    assert_eq!(agent.board.waiting(), []);
    assert_eq!(agent.board.daemonsets()[0].counts.current_number_scheduled, 0);

    agent.list(&manifests).await;
    agent.configure(|_| {}).await;
    pass(3600).await;
    assert_eq!(on_host(&machine).await, []);
    let mut again = agent.drain(None).await;
    assert_eq!(again.try_recv(), Ok(()), "nothing is left to wait for");

    agent.kill().await;
    let next = Agent::start(&machine);
    next.list(&manifests).await;
    assert_eq!(next.running().len(), 2, "a drain lasts as long as the agent");
    assert_eq!(machine.breaches(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_drain_of_an_empty_node_answers_at_once() {
    let machine = Arc::new(Machine::new());
    let agent = Agent::start(&machine);
    assert_eq!(agent.drain(None).await.try_recv(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_second_drain_may_shorten_the_grace_period() {
    let machine = Arc::new(Machine::new());
    let agent = Agent::start(&machine);
    agent.list(&[pod("web", "a:1")]).await;
    machine.fake.ignore_stop_signal(&sample::name("c"), true);
    let mut first = agent.drain(None).await;
    let mut second = agent.drain(Some(0)).await;
    assert_eq!((first.try_recv(), second.try_recv()), (Ok(()), Ok(())));
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_a_pod_whose_identity_could_not_be_written() {
    let machine = Arc::new(Machine::new());
    let agent = Agent::start(&machine);
    machine.fake.break_next(Break {
        op: Some(Op::SaveIdentity),
        times: 1_000,
        extent: Extent::Nothing,
        reason: FailureReason::CreateContainerError,
    });
    agent.list(&[pod("web", "a:1")]).await;
    assert_eq!(agent.drain(None).await.try_recv(), Ok(()));
    assert_eq!(on_host(&machine).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_drain_under_way_goes_on_under_the_next_agent_and_one_that_is_over_does_not() {
    let machine = Arc::new(Machine::new());
    let manifests = [pod("web", "a:1"), pod("two", "a:1")];
    let mut agent = Agent::start(&machine);
    agent.list(&manifests).await;
    machine.fake.ignore_stop_signal(&sample::name("c"), true);
    drop(agent.drain(Some(20)).await);
    for _ in 0..2 {
        pass(5).await;
        agent.kill().await;
        agent = Agent::start(&machine);
        agent.list(&manifests).await;
        assert_eq!(agent.pods("web").len(), 1);
    }
    pass(15).await;
    assert_eq!(on_host(&machine).await, []);
    assert_eq!(agent.drain(None).await.try_recv(), Ok(()));
    agent.kill().await;
    let next = Agent::start(&machine);
    next.list(&manifests).await;
    assert_eq!(next.running(), ["two", "web"]);
    assert_eq!(machine.breaches(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_the_machine_is_a_drains_end() {
    let machine = Arc::new(Machine::new());
    let agent = Agent::start(&machine);
    agent.list(&[pod("web", "a:1")]).await;
    machine.fake.ignore_stop_signal(&sample::name("c"), true);
    drop(agent.drain(None).await);
    agent.kill().await;
    machine.fake.reboot(false);
    let next = Agent::start(&machine);
    next.list(&[pod("web", "a:1")]).await;
    pass(60).await;
    assert_eq!(next.running(), ["web"]);
}
