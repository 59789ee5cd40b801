use std::sync::Arc;
use std::time::Duration;

use pinnace_api::Bytes;
use pinnace_core::fake::{Break, Extent, Op, sample};
use pinnace_core::pod::FailureReason;
use pinnace_core::pod::status::PodPhase;

use crate::testing::{Agent, Machine, on_host, pass, pod, pod_with, settle};

fn start() -> (Arc<Machine>, Agent) {
    let machine = Arc::new(Machine::new());
    let agent = Agent::start(&machine);
    (machine, agent)
}

fn broken(op: Op, times: u32) -> Break {
    Break {
        op: Some(op),
        times,
        extent: Extent::Nothing,
        reason: FailureReason::CreateContainerError,
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_leaves_a_new_pod_pending_with_nothing_made_and_it_starts_later() {
    let (machine, agent) = start();
    machine.fake.break_next(broken(Op::SaveIdentity, 4));
    agent.list(&[pod("web", "a:1")]).await;
    assert_eq!(agent.pod("web").status.phase, PodPhase::Pending, "and is listed");
    assert_eq!(on_host(&machine).await, []);
    assert!(agent.reasons("web").contains(&"FailedSync".to_owned()));
    pass(60).await;
    assert_eq!(agent.running(), ["web"]);
    assert_eq!(machine.breaches(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_image_that_comes_is_noticed_at_once_by_those_that_wait_for_it() {
    let (machine, agent) = start();
    machine.fake.set_image("example.com/a:1", false);
    agent.list(&[pod("web", "a:1"), pod("other", "b:1")]).await;
    pass(100).await;
    let status = agent.pod("web").status.container_statuses[0].clone();
    assert_eq!(status.state.waiting.unwrap().reason, "ImagePullBackOff");
    let events = agent.events("web");
    let back_off = (
        "BackOff".to_owned(),
        "Back-off pulling image \"example.com/a:1\"".to_owned(),
    );
    assert!(events.contains(&back_off), "{events:?}");
    assert!(
        events.contains(&("Failed".to_owned(), "Error: ErrImagePull".to_owned())),
        "{events:?}"
    );
    machine.fake.take_calls();
    machine.fake.set_image("example.com/a:1", true);
    agent.images.send_modify(|count| *count += 1);
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(agent.running(), ["other", "web"]);
    let about_other = machine
        .fake
        .take_calls()
        .into_iter()
        .any(|call| call.uid == Some(agent.uid("other")));
    assert!(!about_other, "nobody else is troubled");
}

#[tokio::test(start_paused = true)]
async fn nobody_counting_images_any_more_makes_no_worker_spin() {
    let (machine, mut agent) = start();
    machine.fake.set_image("example.com/a:1", false);
    agent.list(&[pod("web", "a:1")]).await;
    agent.images = tokio::sync::watch::channel(0).0;
    pass(100).await;
    let looks = machine.looks_during(settle()).await;
    assert!(looks < 10, "an idle node looked {looks} times");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_panics_is_started_again_and_nothing_is_started_twice() {
    for call in [
        "observe",
        "save_progress",
        "create_container",
        "start_container",
        "ensure",
        "prepare",
    ] {
        let (machine, agent) = start();
        machine.panic_at(call);
        agent.list(&[pod("web", "a:1")]).await;
        pass(5).await;
        if agent.running().is_empty() {
            // It came by only when the pod is ended.
            assert_eq!(call, "never", "{:?}", agent.events("web"));
        }
        agent.list(&[]).await;
        pass(5).await;
        assert_eq!(on_host(&machine).await, [], "{call}");
        assert_eq!(machine.breaches(), Vec::<String>::new(), "{call}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_panics_at_the_end_still_removes_everything() {
    for call in [
        "signal_container",
        "remove_container",
        "remove_sandbox",
        "remove_volumes",
        "remove_logs",
        "forget",
    ] {
        let (machine, agent) = start();
        agent.list(&[pod("web", "a:1")]).await;
        machine.panic_at(call);
        agent.list(&[]).await;
        assert_eq!(agent.pods("web").len(), 1, "{call} panicked");
        pass(60).await;
        assert_eq!(
            (on_host(&machine).await, agent.board.pods().len()),
            (vec![], 0),
            "{call}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_tells_each_back_off_once() {
    let (_machine, agent) = start();
    agent.list(&[pod("web", "a:1")]).await;
    for _ in 0..3 {
        agent.exit("web", 1).await;
        pass(30).await;
    }
    let uid = agent.uid("web");
    let told: Vec<_> = agent
        .board
        .events()
        .into_iter()
        .filter(|one| one.event.reason == "BackOff")
        .collect();
    assert_eq!(told.len(), 1, "folded");
    assert_eq!(told[0].count, 2, "the first restart waits for nothing");
    let message = format!("Back-off restarting failed container c in pod web_default({uid})");
    assert_eq!(told[0].event.message, message);
}

#[tokio::test(start_paused = true)]
async fn what_the_host_could_not_give_is_told_with_each_start() {
    let (machine, agent) = start();
    machine.cannot_set("c", "oom_score_adj -997 needs CAP_SYS_RESOURCE");
    machine.cannot_set("other", "something");
    agent.list(&[pod("web", "a:1")]).await;
    let events = agent.events("web");
    let reasons: Vec<&str> = events.iter().map(|(reason, _)| reason.as_str()).collect();
    assert_eq!(
        reasons,
        ["Scheduled", "Pulled", "Created", "Started", "CannotSet"]
    );
    assert!(events[4].1.contains("oom_score_adj -997"));
}

#[tokio::test(start_paused = true)]
async fn a_pod_ends_while_its_containers_are_still_being_made() {
    let (machine, agent) = start();
    machine.fake.break_next(broken(Op::CreateContainer, 1_000));
    agent.list(&[pod("web", "a:1")]).await;
    pass(200).await;
    agent.list(&[]).await;
    assert_eq!(on_host(&machine).await, [], "no back-off holds up its end");
    assert_eq!(machine.breaches(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_teardown_that_fails_goes_on_until_nothing_is_left() {
    let (machine, agent) = start();
    agent.list(&[pod("web", "a:1")]).await;
    machine.fake.break_next(broken(Op::RemoveSandbox, 7));
    agent.list(&[]).await;
    assert!(agent.reasons("web").contains(&"FailedKillPod".to_owned()));
    pass(120).await;
    assert_eq!(on_host(&machine).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_dead_supervisor_is_noticed_without_being_asked() {
    let (machine, agent) = start();
    agent.list(&[pod("web", "a:1")]).await;
    let uid = agent.uid("web");
    machine.fake.kill_shim(&uid);
    settle().await;
    assert_eq!(agent.running(), ["web"]);
    let last = agent.pod("web").status.container_statuses[0].last_state.clone();
    let last = last.terminated.unwrap();
    assert_eq!(
        (last.exit_code, last.reason.as_deref()),
        (137, Some("ContainerStatusUnknown"))
    );
    assert_eq!(
        machine.fake.started(&uid),
        [(sample::name("c"), 0, 1), (sample::name("c"), 1, 1)]
    );
    assert_eq!(machine.breaches(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_outgrows_its_volume_is_evicted_and_stays_listed_as_failed() {
    let (machine, agent) = start();
    let limited = pod_with("web", "a:1", ", volumes: [{name: v, emptyDir: {sizeLimit: 1Mi}}]");
    agent.list(std::slice::from_ref(&limited)).await;
    pass(60).await;
    assert_eq!(agent.running(), ["web"]);
    machine.overfill("too much");
    pass(11).await;
    let status = agent.pod("web").status.clone();
    assert_eq!(
        (status.phase, status.reason.as_deref()),
        (PodPhase::Failed, Some("Evicted"))
    );
    assert_eq!(status.message.as_deref(), Some("too much"));
    let uid = agent.uid("web");
    agent.kill().await;
    let next = Agent::start(&machine);
    next.list(&[limited]).await;
    assert_eq!(
        (next.uid("web"), next.running().len()),
        (uid, 0),
        "it never runs again"
    );
    let looks = machine.looks_during(pass(3600)).await;
    assert!(looks < 5, "an idle node looked {looks} times");
    next.list(&[]).await;
    assert_eq!(on_host(&machine).await, []);
    assert_eq!(machine.breaches(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_fills_the_disk_past_its_limit_is_evicted() {
    let (machine, agent) = start();
    let limited = pod_with("web", "a:1", "").replace(
        "name: c,",
        "name: c, resources: {limits: {ephemeral-storage: 10Mi}},",
    );
    agent.list(&[limited, pod("free", "a:1")]).await;
    machine.fill(Bytes(10 << 20));
    pass(60).await;
    assert_eq!(agent.running(), ["free", "web"]);
    machine.fill(Bytes(11 << 20));
    pass(11).await;
    let status = agent.pod("web").status.clone();
    assert_eq!(
        (status.phase, status.reason.as_deref(), status.message.as_deref()),
        (
            PodPhase::Failed,
            Some("Evicted"),
            Some("Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. ")
        )
    );
    assert_eq!(agent.running(), ["free"]);
    assert_eq!(machine.breaches(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn workers_end_with_their_manager_and_their_pods_do_not() {
    let (machine, agent) = start();
    agent.list(&[pod("web", "a:1"), pod("other", "a:1")]).await;
    let metrics = tokio::runtime::Handle::current().metrics();
    assert!(metrics.num_alive_tasks() > 2);
    agent.kill().await;
    assert_eq!(metrics.num_alive_tasks(), 0);
    assert_eq!(on_host(&machine).await.len(), 2);
}
