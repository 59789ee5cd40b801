use std::sync::Arc;
use std::time::Duration;

use pinnace_core::fake::sample;

use crate::source::SourceId;
use crate::testing::{Agent, DIRECTORY, Machine, on_host, pass, pod, pod_with, settle};

async fn running(manifests: &[String]) -> (Arc<Machine>, Agent) {
    let machine = Arc::new(Machine::new());
    let agent = Agent::start(&machine);
    agent.list(manifests).await;
    (machine, agent)
}

#[tokio::test(start_paused = true)]
async fn an_edit_without_meaning_replaces_nothing() {
    let (machine, agent) = running(&[pod("web", "a:1")]).await;
    let uid = agent.uid("web");
    agent.list(&[format!("# a comment\n{}", pod("web", "a:1"))]).await;
    assert_eq!(agent.uid("web"), uid);
    assert_eq!(machine.order(), ["make web"]);
}

#[tokio::test(start_paused = true)]
async fn an_edit_with_meaning_replaces_the_pod_once_the_old_one_is_removed() {
    let (machine, agent) = running(&[pod("web", "a:1")]).await;
    let uid = agent.uid("web");
    machine.fake.ignore_stop_signal(&sample::name("c"), true);
    agent.list(&[pod("web", "a:2")]).await;
    pass(10).await;
    assert_eq!(agent.uid("web"), uid, "within its grace period");
    assert!(agent.pod("web").terminating.is_some());
    pass(25).await;
    assert_ne!(agent.uid("web"), uid);
    assert_eq!(agent.running(), ["web"]);
    assert_eq!(machine.order(), ["make web", "forget web", "make web"]);
    assert!(machine.fake.is_empty_of(&uid));
    assert_eq!(machine.breaches(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_edit_taken_back_while_the_old_pod_ends_starts_what_is_wanted_last() {
    let (machine, agent) = running(&[pod("web", "a:1")]).await;
    machine.fake.ignore_stop_signal(&sample::name("c"), true);
    agent.list(&[pod("web", "a:2")]).await;
    agent.list(&[pod("web", "a:3")]).await;
    pass(40).await;
    assert!(agent.pod("web").pod.spec.containers[0].image.ends_with("a:3"));
    assert_eq!(machine.order(), ["make web", "forget web", "make web"]);
}

#[tokio::test(start_paused = true)]
async fn a_removed_manifest_ends_the_pod_and_all_that_it_made() {
    let (machine, agent) = running(&[pod("web", "a:1"), pod("other", "a:1")]).await;
    agent.list(&[pod("other", "a:1")]).await;
    assert_eq!(agent.running(), ["other"]);
    assert_eq!(on_host(&machine).await, [agent.uid("other")]);
    agent.list(&[]).await;
    assert_eq!(on_host(&machine).await, []);
    assert_eq!(machine.breaches(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_source_that_cannot_be_read_removes_nothing() {
    let (_machine, agent) = running(&[pod("web", "a:1")]).await;
    agent.unavailable().await;
    pass(600).await;
    assert_eq!(agent.running(), ["web"]);
}

#[tokio::test(start_paused = true)]
async fn of_two_definitions_the_one_that_runs_goes_on_under_the_next_agent_too() {
    let (machine, agent) = running(&[pod("web", "b:1")]).await;
    let uid = agent.uid("web");
    let both = [pod("web", "a:1"), pod("web", "b:1")];
    agent.kill().await;
    let next = Agent::start(&machine);
    next.list(&both).await;
    assert_eq!(next.uid("web"), uid);
    assert_eq!(next.board.problems().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn another_source_ends_no_pod_before_its_own_source_has_listed() {
    let machine = Arc::new(Machine::new());
    let url = SourceId("url");
    let sources = vec![DIRECTORY, url.clone()];
    let first = Agent::with(&machine, &Default::default(), sources.clone());
    first.list_from(url.clone(), &[pod("web", "b:1")]).await;
    let uid = first.uid("web");
    first.kill().await;
    let second = Agent::with(&machine, &Default::default(), sources);
    second.list(&[pod("web", "a:1")]).await;
    assert_eq!(second.uid("web"), uid);
    second.list_from(url, &[pod("web", "b:1")]).await;
    assert_eq!(second.uid("web"), uid);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_finished_stays_finished_while_its_manifest_stays() {
    let (machine, agent) = running(&[pod_with("job", "a:1", ", restartPolicy: Never")]).await;
    let uid = agent.uid("job");
    agent.exit("job", 0).await;
    assert!(agent.pod("job").is_finished());
    agent.kill().await;
    let next = Agent::start(&machine);
    next.list(&[pod_with("job", "a:1", ", restartPolicy: Never")])
        .await;
    assert!(next.pod("job").is_finished());
    assert_eq!(machine.fake.started(&uid), [(sample::name("c"), 0, 1)]);
    next.list(&[pod_with("job", "a:2", ", restartPolicy: Never")])
        .await;
    assert_eq!(next.running(), ["job"]);
}

#[tokio::test(start_paused = true)]
async fn a_manifest_that_goes_while_the_pod_waits_for_its_image_ends_it_at_once() {
    let machine = Arc::new(Machine::new());
    machine.let_images_take(Duration::from_secs(3600));
    let agent = Agent::start(&machine);
    agent.list(&[pod("web", "a:1")]).await;
    assert_eq!(on_host(&machine).await.len(), 1);
    agent.list(&[]).await;
    settle().await;
    assert_eq!(on_host(&machine).await, []);
    assert_eq!(machine.breaches(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn pods_that_wait_for_images_do_not_keep_others_from_starting() {
    let machine = Arc::new(Machine::new());
    machine.let_images_take(Duration::from_secs(3600));
    let agent = Agent::start(&machine);
    agent
        .list(&[pod("a", "a:1"), pod("b", "b:1"), pod("c", "c:1")])
        .await;
    machine.let_images_take(Duration::ZERO);
    agent
        .list(&[pod("a", "a:1"), pod("b", "b:1"), pod("c", "c:1"), pod("d", "d:1")])
        .await;
    assert_eq!(agent.running(), ["d"]);
    pass(3601).await;
    assert_eq!(agent.running(), ["a", "b", "c", "d"]);
}
