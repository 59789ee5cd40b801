use std::sync::Arc;

use pinnace_api::PodUid;
use pinnace_core::fake::{Break, Extent, Op, sample};
use pinnace_core::host::Host;
use pinnace_core::pod::FailureReason;
use pinnace_core::ports::{PodRuntime, Records};

use crate::source::SourceId;
use crate::testing::{Agent, Machine, on_host, pass, pod, pod_with, recorded, settle};

fn machine() -> Arc<Machine> {
    Arc::new(Machine::new())
}

#[tokio::test(start_paused = true)]
async fn a_pod_goes_on_under_the_next_agent_and_is_not_started_again() {
    let machine = machine();
    let first = Agent::start(&machine);
    first.list(&[pod("web", "a:1")]).await;
    let uid = first.uid("web");
    assert_eq!(first.running(), ["web"]);
    first.kill().await;
    machine.fake.take_calls();

    let second = Agent::start(&machine);
    settle().await;
    assert_eq!(second.uid("web"), uid, "adopted before anything was listed");
    second.list(&[pod("web", "a:1")]).await;
    assert_eq!(second.uid("web"), uid);
    assert_eq!(machine.fake.started(&uid), [(sample::name("c"), 0, 1)]);
    let changing: Vec<_> = machine
        .fake
        .take_calls()
        .into_iter()
        .filter(|call| !matches!(call.op, Op::EnsureImage | Op::ApplyServices | Op::ApplyPolicies))
        .collect();
    assert!(changing.is_empty(), "{changing:?}");
    assert_eq!(machine.breaches(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_exit_between_two_agents_is_known_with_its_code() {
    let machine = machine();
    let first = Agent::start(&machine);
    first.list(&[pod("web", "a:1")]).await;
    let uid = first.uid("web");
    first.kill().await;
    machine.fake.exit(&uid, &sample::name("c"), 7);
    let second = Agent::start(&machine);
    settle().await;
    let status = second.pod("web").status.container_statuses[0].clone();
    assert_eq!(status.restart_count, 1);
    assert_eq!(status.last_state.terminated.map(|ended| ended.exit_code), Some(7));
}

#[tokio::test(start_paused = true)]
async fn a_damaged_record_is_made_anew_from_the_sandbox() {
    let machine = machine();
    let first = Agent::start(&machine);
    first.list(&[pod("web", "a:1")]).await;
    let uid = first.uid("web");
    first.kill().await;
    machine.fake.damage_identity(&uid);
    // The disk is full at first.
    machine.fake.break_next(Break {
        op: Some(Op::SaveIdentity),
        times: 3,
        extent: Extent::Nothing,
        reason: FailureReason::CreateContainerError,
    });

    let second = Agent::start(&machine);
    second.list(&[pod("web", "a:1")]).await;
    assert_eq!((second.uid("web"), second.running().len()), (uid.clone(), 1));
    assert_eq!(second.reasons("node1"), ["RecordDamaged"]);
    pass(60).await;
    assert_eq!(
        recorded(&machine).await.len(),
        1,
        "written once the disk has room"
    );
    assert_eq!(machine.fake.started(&uid).len(), 1);
    assert_eq!(machine.breaches(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_pod_with_a_damaged_record_keeps_its_restarts_with_and_without_its_progress() {
    for loses_progress in [false, true] {
        let machine = machine();
        let first = Agent::start(&machine);
        first.list(&[pod("web", "a:1")]).await;
        let uid = first.uid("web");
        for _ in 0..2 {
            first.exit("web", 7).await;
            pass(60).await;
        }
        assert_eq!(first.pod("web").restarts(), 2);
        let before = first.pod("web").status.clone();
        first.kill().await;
        machine.fake.damage_identity(&uid);
        if loses_progress {
            machine.fake.lose_progress(&uid);
        }
        // An agent that is killed before it has written the record anew changes nothing of it.
        for _ in 0..2 {
            machine.fake.break_next(Break {
                op: Some(Op::SaveIdentity),
                times: 1,
                extent: Extent::Nothing,
                reason: FailureReason::CreateContainerError,
            });
            let again = Agent::start(&machine);
            again.list(&[pod("web", "a:1")]).await;
            assert_eq!(again.pod("web").restarts(), 2);
            if !loses_progress {
                assert_eq!(again.pod("web").status, before, "its last end too");
            }
            again.kill().await;
        }
        assert_eq!(machine.fake.started(&uid).len(), 3);
        assert_eq!(machine.breaches(), Vec::<String>::new());
    }
}

/// An agent is killed while it removes the pod `web`, which ignores the stop signal; answers its UID.
async fn killed_while_removing(machine: &Arc<Machine>) -> PodUid {
    let first = Agent::start(machine);
    first.list(&[pod("web", "a:1")]).await;
    let uid = first.uid("web");
    machine.fake.ignore_stop_signal(&sample::name("c"), true);
    first.list(&[]).await;
    first.kill().await;
    uid
}

#[tokio::test(start_paused = true)]
async fn a_removal_goes_on_although_the_record_is_damaged() {
    let machine = machine();
    let uid = killed_while_removing(&machine).await;
    machine.fake.damage_identity(&uid);
    let second = Agent::start(&machine);
    second.list(&[pod("web", "a:1")]).await;
    pass(40).await;
    assert_ne!(second.uid("web"), uid, "what began to end is not wanted back");
    assert_eq!(machine.breaches(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_status_is_the_same_to_the_millisecond_under_the_next_agent() {
    let machine = machine();
    let mut agent = Agent::start(&machine);
    machine.let_images_take(std::time::Duration::from_millis(1_700));
    agent.list(&[pod("web", "a:1")]).await;
    for breaks_sandbox in [false, false, true, false] {
        for ends in [false, true] {
            pass(60).await;
            if ends {
                if breaks_sandbox {
                    machine.fake.break_sandbox(&agent.uid("web"));
                }
                agent.exit("web", 1).await;
                pass(3).await;
            }
            let before = agent.pod("web").status.clone();
            agent.kill().await;
            agent = Agent::start(&machine);
            pass(3).await;
            assert_eq!(agent.pod("web").status, before);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stranger_on_the_host_is_cleared_only_when_every_source_has_listed() {
    let machine = machine();
    let first = Agent::start(&machine);
    first.list(&[pod("web", "a:1")]).await;
    let uid = first.uid("web");
    first.kill().await;
    Records::remove(&machine.fake, &uid).await.unwrap();
    // Of the sandbox only what tells nothing is left.
    machine.fake.reboot(false);
    assert_eq!(
        PodRuntime::list(&machine.fake).await.unwrap(),
        std::slice::from_ref(&uid),
        "logs and volumes"
    );

    let url = SourceId("url");
    let second = Agent::with(
        &machine,
        &Default::default(),
        vec![crate::testing::DIRECTORY, url.clone()],
    );
    second.list(&[]).await;
    assert_eq!(on_host(&machine).await, [uid]);
    assert!(second.board.ready().is_err());
    second.list_from(url, &[]).await;
    assert_eq!(on_host(&machine).await, []);
    assert_eq!(second.board.ready(), Ok(()));
    assert_eq!(second.board.pods(), []);
    assert_eq!(machine.breaches(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_pod_whose_record_a_newer_agent_wrote_goes_on_until_its_manifest_goes() {
    let machine = machine();
    let first = Agent::start(&machine);
    first.list(&[pod("web", "a:1"), pod("old", "a:1")]).await;
    first.kill().await;
    for mut identity in recorded(&machine).await {
        let future = identity
            .document
            .as_json()
            .replace("\"containers\"", "\"future\":1,\"containers\"");
        identity.document = sample::document(&future);
        machine.fake.save_identity(&identity).await.unwrap();
    }
    let second = Agent::start(&machine);
    settle().await;
    assert_eq!(second.running(), ["old", "web"], "seen as running");
    let old = second.uid("old");
    assert!(second.reasons("old").contains(&"FailedValidation".to_owned()));
    second.list(&[pod("web", "a:1")]).await;
    assert!(machine.fake.is_empty_of(&old));
    assert_eq!(second.running(), ["web"], "replaced by what can be read");
    assert_eq!(machine.breaches(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_does_not_answer_holds_up_readiness_alone() {
    let machine = machine();
    let first = Agent::start(&machine);
    first.list(&[pod("web", "a:1")]).await;
    first.kill().await;
    machine.panic_at("observe");
    let second = Agent::start(&machine);
    second.list(&[pod("web", "a:1"), pod("new", "a:1")]).await;
    assert_eq!(second.running(), ["new"]);
    assert!(second.board.ready().unwrap_err().contains("adopted"));
    pass(5).await;
    assert_eq!(second.running(), ["new", "web"]);
    assert_eq!(second.board.ready(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn after_a_reboot_every_pod_starts_again_under_its_uid() {
    let machine = machine();
    let first = Agent::start(&machine);
    first.list(&[pod("web", "a:1")]).await;
    let uid = first.uid("web");
    first.kill().await;
    machine.fake.reboot(false);
    let second = Agent::start(&machine);
    second.list(&[pod("web", "a:1")]).await;
    assert_eq!((second.uid("web"), second.running().len()), (uid, 1));
    assert!(machine.boot_id().0.ends_with('1'));
    assert_eq!(machine.breaches(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_removal_under_way_goes_on_and_a_new_pod_of_the_name_waits_for_it() {
    let machine = machine();
    let uid = killed_while_removing(&machine).await;
    let second = Agent::start(&machine);
    second.list(&[pod("web", "a:1")]).await;
    assert_eq!(second.running(), ["web"], "it still ignores the signal");
    assert_eq!(second.uid("web"), uid);
    pass(40).await;
    assert_ne!(second.uid("web"), uid);
    assert_eq!(second.running(), ["web"]);
    assert_eq!(machine.breaches(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_told_by_its_addresses_which_it_keeps_under_the_next_agent_and_when_it_has_ended() {
    let machine = Arc::new(Machine::new());
    let agent = Agent::start(&machine);
    let job = pod_with("job", "a:1", ", restartPolicy: Never");
    agent.list(&[pod("web", "a:1"), job.clone()]).await;
    let addresses = |agent: &Agent| ["web", "job"].map(|name| agent.pod(name).status.pod_ip);
    let before = addresses(&agent);
    assert!(before[0].is_some() && before[1].is_some() && before[0] != before[1]);
    agent.kill().await;

    let agent = Agent::start(&machine);
    agent.list(&[pod("web", "a:1"), job]).await;
    assert_eq!(addresses(&agent), before);
    agent.exit("job", 0).await;
    pass(10).await;
    assert!(agent.pod("job").is_finished());
    assert_eq!(addresses(&agent), before);
}

#[tokio::test(start_paused = true)]
async fn what_lost_its_network_meanwhile_is_attached_again_and_what_nobody_knows_is_cleared() {
    let machine = Arc::new(Machine::new());
    let agent = Agent::start(&machine);
    agent.list(&[pod("web", "a:1"), pod("gone", "a:1")]).await;
    let (web, gone) = (agent.uid("web"), agent.uid("gone"));
    let running = agent.pod("web").running.clone();
    agent.kill().await;
    machine.fake.break_network(&web, false);
    machine.fake.leave_only_the_network(&gone);

    let agent = Agent::start(&machine);
    settle().await;
    assert!(agent.pod("web").status.pod_ip.is_some());
    assert_eq!(agent.pod("web").running, running, "its container goes on");
    agent.list(&[pod("web", "a:1")]).await;
    pass(60).await;
    assert!(machine.fake.is_empty_of(&gone));
    assert_eq!(agent.running(), ["web"]);
}
