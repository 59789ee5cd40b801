//! Chosen histories: each the plan for one situation, in full.

use std::sync::Arc;

use pinnace_api::pod::RestartPolicy;

use super::worker::{Crash, Worker};
use crate::fake::{Break, Extent, Op, sample};
use crate::pod::{Action, Desired, FailureReason, Plan};

fn worker(policy: RestartPolicy, containers: &[&str]) -> Worker {
    Worker::of(policy, containers)
}

fn running(policy: RestartPolicy, containers: &[&str]) -> Worker {
    let mut worker = worker(policy, containers);
    assert_eq!(worker.settle(2), None);
    worker
}

/// The plan in short: `create one/0`.
pub fn short(plan: &Plan) -> Vec<String> {
    plan.actions.iter().map(shorten).collect()
}

pub fn shorten(action: &Action) -> String {
    match action {
        Action::SaveProgress(_) => "save".to_owned(),
        Action::SaveFinished(finished) if finished.succeeded => "save succeeded".to_owned(),
        Action::SaveFinished(_) => "save failed".to_owned(),
        Action::CreateSandbox { attempt } => format!("sandbox {attempt}"),
        Action::AttachNetwork => "attach".to_owned(),
        Action::DetachNetwork => "detach".to_owned(),
        Action::PrepareVolumes => "volumes".to_owned(),
        Action::CreateContainer { name, attempt } => format!("create {name}/{attempt}"),
        Action::StartContainer { name, attempt } => format!("start {name}/{attempt}"),
        Action::StopContainer { name, attempt } => format!("stop {name}/{attempt}"),
        Action::KillContainer { name, attempt } => format!("kill {name}/{attempt}"),
        Action::KillPodCgroup => "kill cgroup".to_owned(),
        Action::RemoveContainer { name, attempt } => format!("remove {name}/{attempt}"),
        Action::NoteExit { name, attempt, exit } => format!("note {name}/{attempt} {}", exit.code),
        Action::RunHook {
            name, attempt, point, ..
        } => format!("{} {name}/{attempt}", point.as_str()),
        Action::NoteStop { name, attempt, cause } => format!("note stop {name}/{attempt} {cause:?}"),
        Action::RemoveSandbox => "remove sandbox".to_owned(),
        Action::RemoveVolumes => "remove volumes".to_owned(),
        Action::RemoveLogs => "remove logs".to_owned(),
        Action::ForgetRecord => "forget".to_owned(),
    }
}

fn wait(worker: &mut Worker) -> Option<u64> {
    let now = crate::host::Host::now(&worker.host).boot;
    worker.ask().wake_at.map(|at| at.since(now))
}

pub fn exit(worker: &Worker, container: &str, code: i32) {
    assert!(worker.host.exit(worker.uid(), &sample::name(container), code));
}

fn break_next(worker: &Worker, op: Op, times: u32, reason: FailureReason) {
    worker.host.break_next(Break {
        op: Some(op),
        times,
        extent: Extent::Nothing,
        reason,
    });
}

pub fn remove(worker: &mut Worker, grace_period_seconds: Option<u32>) {
    let pod = Arc::clone(worker.desired.pod());
    worker.desired = Desired::Remove {
        pod,
        grace_period_seconds,
    };
}

fn run(worker: &mut Worker) {
    worker.desired = Desired::Run(Arc::clone(worker.desired.pod()));
}

fn evict(worker: &mut Worker) {
    let pod = Arc::clone(worker.desired.pod());
    worker.desired = Desired::Evict {
        pod,
        reason: "Evicted".to_owned(),
        message: "out of memory".to_owned(),
    };
}

#[test]
fn a_fresh_pod_is_one_plan_without_a_write() {
    let mut worker = worker(RestartPolicy::Always, &["one", "two"]);
    let expected = [
        "sandbox 0",
        "attach",
        "volumes",
        "create one/0",
        "start one/0",
        "create two/0",
        "start two/0",
    ];
    assert_eq!(short(&worker.ask()), expected);
    worker.round();
    assert_eq!(worker.ask(), Plan::default());
}

#[test]
fn the_first_restart_is_at_once_and_the_next_ones_wait_ever_longer() {
    let mut worker = running(RestartPolicy::Always, &["one"]);
    exit(&worker, "one", 1);
    let at_once = [
        "note one/0 1",
        "save",
        "remove one/0",
        "create one/1",
        "start one/1",
    ];
    assert_eq!(short(&worker.ask()), at_once);
    for (attempt, delay) in [
        (1, 10_000),
        (2, 20_000),
        (3, 40_000),
        (4, 80_000),
        (5, 160_000),
        (6, 300_000),
    ] {
        worker.round();
        exit(&worker, "one", 1);
        let noted = [
            format!("note one/{attempt} 1"),
            "save".to_owned(),
            format!("remove one/{attempt}"),
        ];
        assert_eq!(short(&worker.ask()), noted);
        assert_eq!(worker.settle(2), Some(delay));
        worker.host.pass(delay - 1);
        assert_eq!((short(&worker.ask()).len(), wait(&mut worker)), (0, Some(1)));
        worker.host.pass(1);
        let next = attempt + 1;
        assert_eq!(
            short(&worker.ask()),
            [format!("create one/{next}"), format!("start one/{next}")]
        );
    }
}

#[test]
fn ten_minutes_of_running_begin_the_back_off_anew() {
    let mut worker = running(RestartPolicy::Always, &["one"]);
    for _ in 0..3 {
        exit(&worker, "one", 1);
        let wait = worker.settle(2).unwrap_or(0);
        worker.host.pass(wait);
        worker.settle(2);
    }
    worker.host.pass(599_999);
    exit(&worker, "one", 1);
    assert_eq!(worker.settle(2), Some(40_000));
    worker.host.pass(40_000);
    worker.settle(2);
    worker.host.pass(600_000);
    exit(&worker, "one", 1);
    assert_eq!(worker.settle(2), None, "it was restarted at once");
    exit(&worker, "one", 1);
    assert_eq!(worker.settle(2), Some(10_000));
}

#[test]
fn a_crash_between_creation_and_start_leaves_only_the_start() {
    let mut worker = worker(RestartPolicy::Never, &["one"]);
    worker.crash(Crash {
        after: 4,
        extent: Extent::Nothing,
    });
    assert_eq!(short(&worker.ask()), ["start one/0"]);
    worker.settle(2);
    assert_eq!(worker.host.started(worker.uid()), [(sample::name("one"), 0, 1)]);
}

#[test]
fn a_crash_in_the_creation_begins_the_same_instance_again() {
    let mut worker = worker(RestartPolicy::Never, &["one"]);
    worker.crash(Crash {
        after: 3,
        extent: Extent::Half,
    });
    assert_eq!(
        short(&worker.ask()),
        ["remove one/0", "create one/0", "start one/0"]
    );
}

#[test]
fn a_crash_after_the_start_leaves_nothing_to_do() {
    let mut worker = worker(RestartPolicy::Never, &["one"]);
    worker.crash(Crash {
        after: 4,
        extent: Extent::Whole,
    });
    assert_eq!(worker.ask(), Plan::default());
}

#[test]
fn an_instance_whose_end_is_recorded_is_only_removed() {
    let mut worker = running(RestartPolicy::Always, &["one"]);
    exit(&worker, "one", 1);
    worker.crash(Crash {
        after: 2,
        extent: Extent::Half,
    });
    assert_eq!(
        short(&worker.ask()),
        ["remove one/0", "create one/1", "start one/1"]
    );
}

#[test]
fn a_dead_shim_ends_its_containers_and_the_sandbox_is_made_anew() {
    let mut worker = running(RestartPolicy::Always, &["one"]);
    worker.host.kill_shim(&worker.uid().clone());
    let expected = [
        "kill cgroup",
        "note one/0 137",
        "save",
        "remove one/0",
        "save",
        "detach",
        "remove sandbox",
        "sandbox 1",
        "attach",
        "create one/1",
        "start one/1",
    ];
    assert_eq!(short(&worker.ask()), expected);
    worker.settle(2);
    let (_, exit) = worker.record.progress.containers[&sample::name("one")]
        .last_exit
        .clone()
        .unwrap();
    assert_eq!((exit.code, exit.reason.as_str()), (137, "ContainerStatusUnknown"));
}

#[test]
fn after_a_reboot_a_container_that_must_not_restart_has_ended() {
    let mut worker = running(RestartPolicy::Never, &["one"]);
    worker.host.reboot(false);
    worker.start_again();
    let expected = ["note one/0 137", "save", "save failed", "remove volumes"];
    assert_eq!(short(&worker.ask()), expected);
}

#[test]
fn after_a_reboot_instances_are_counted_on() {
    let mut worker = running(RestartPolicy::Always, &["one"]);
    exit(&worker, "one", 1);
    worker.settle(2);
    worker.host.reboot(false);
    worker.start_again();
    let expected = [
        "note one/1 137",
        "save",
        "sandbox 0",
        "attach",
        "create one/2",
        "start one/2",
    ];
    assert_eq!(short(&worker.ask()), expected);
}

#[test]
fn a_pod_that_ended_for_good_is_cleared_away_and_stays_listed() {
    let mut worker = running(RestartPolicy::OnFailure, &["one", "two"]);
    exit(&worker, "one", 0);
    assert_eq!(short(&worker.ask()), ["note one/0 0", "save", "remove one/0"]);
    worker.settle(2);
    exit(&worker, "two", 0);
    let expected = [
        "note two/0 0",
        "save",
        "save succeeded",
        "remove two/0",
        "detach",
        "remove sandbox",
        "remove volumes",
    ];
    assert_eq!(short(&worker.ask()), expected);
    worker.settle(2);
    assert!(!worker.forgotten);
    remove(&mut worker, None);
    assert_eq!(short(&worker.ask()), ["save", "remove logs", "forget"]);
    worker.settle(2);
    assert!(worker.host.is_empty_of(worker.uid()));
}

#[test]
fn one_failed_container_makes_a_pod_that_never_restarts_failed() {
    let mut worker = running(RestartPolicy::Never, &["one", "two"]);
    exit(&worker, "one", 3);
    exit(&worker, "two", 0);
    assert!(short(&worker.ask()).contains(&"save failed".to_owned()));
}

#[test]
fn removal_signals_once_waits_and_kills() {
    let mut worker = running(RestartPolicy::Always, &["one", "two"]);
    worker.host.ignore_stop_signal(&sample::name("one"), true);
    remove(&mut worker, Some(5));
    assert_eq!(short(&worker.ask()), ["save", "stop one/0", "stop two/0", "save"]);
    worker.round();
    assert_eq!(short(&worker.ask()), ["note two/0 143", "save", "remove two/0"]);
    assert_eq!(worker.settle(2), Some(5_000));
    worker.host.pass(5_000);
    assert_eq!(short(&worker.ask()), ["kill one/0", "save"]);
    worker.round();
    let expected = [
        "note one/0 137",
        "save",
        "remove one/0",
        "detach",
        "remove sandbox",
        "remove volumes",
        "remove logs",
        "forget",
    ];
    assert_eq!(short(&worker.ask()), expected);
    worker.settle(2);
    assert!(worker.host.is_empty_of(worker.uid()));
}

#[test]
fn without_a_grace_period_the_kill_comes_at_once() {
    let mut worker = running(RestartPolicy::Always, &["one"]);
    remove(&mut worker, Some(0));
    assert_eq!(short(&worker.ask()), ["save", "kill one/0", "save"]);
}

#[test]
fn a_termination_is_shortened_but_never_lengthened() {
    let mut worker = running(RestartPolicy::Always, &["one"]);
    worker.host.ignore_stop_signal(&sample::name("one"), true);
    remove(&mut worker, None);
    assert_eq!(worker.settle(2), Some(30_000));
    remove(&mut worker, Some(60));
    assert_eq!(worker.settle(2), Some(30_000));
    remove(&mut worker, Some(10));
    assert_eq!(short(&worker.ask()), ["save"]);
    assert_eq!(worker.settle(2), Some(10_000));
}

#[test]
fn a_removal_is_not_taken_back() {
    let mut worker = running(RestartPolicy::Always, &["one"]);
    worker.host.ignore_stop_signal(&sample::name("one"), true);
    remove(&mut worker, None);
    worker.round();
    run(&mut worker);
    assert_eq!(worker.settle(2), Some(30_000));
    exit(&worker, "one", 0);
    worker.settle(2);
    assert!(worker.forgotten);
}

#[test]
fn a_signal_that_a_crash_may_have_swallowed_is_sent_again() {
    let mut worker = running(RestartPolicy::Always, &["one"]);
    worker.host.ignore_stop_signal(&sample::name("one"), true);
    remove(&mut worker, None);
    worker.crash(Crash {
        after: 2,
        extent: Extent::Nothing,
    });
    assert_eq!(short(&worker.ask()), ["stop one/0", "save"]);
}

#[test]
fn a_grace_period_that_ran_out_while_the_agent_was_away_is_granted_anew() {
    let mut worker = running(RestartPolicy::Always, &["one"]);
    remove(&mut worker, None);
    worker.crash(Crash {
        after: 1,
        extent: Extent::Nothing,
    });
    worker.host.pass(3_600_000);
    assert_eq!(short(&worker.ask()), ["save", "stop one/0", "save"]);
    assert_eq!(wait(&mut worker), Some(30_000));
}

#[test]
fn a_kill_without_effect_is_repeated_only_after_a_while() {
    let mut worker = running(RestartPolicy::Always, &["one"]);
    worker.host.ignore_kill(&sample::name("one"), true);
    remove(&mut worker, Some(0));
    assert_eq!(worker.settle(2), Some(10_000));
    worker.host.pass(9_999);
    assert_eq!((short(&worker.ask()).len(), wait(&mut worker)), (0, Some(1)));
    worker.host.pass(1);
    assert_eq!(short(&worker.ask()), ["kill one/0", "save"]);
    worker.host.ignore_kill(&sample::name("one"), false);
    worker.settle(3);
    assert!(worker.forgotten);
}

#[test]
fn a_signal_that_cannot_be_sent_is_tried_again_soon() {
    let mut worker = running(RestartPolicy::Always, &["one"]);
    remove(&mut worker, None);
    break_next(&worker, Op::SignalContainer, 1, FailureReason::RunContainerError);
    assert_eq!(worker.settle(2), Some(100));
    worker.host.pass(100);
    assert_eq!(short(&worker.ask()), ["stop one/0", "save"]);
}

#[test]
fn an_evicted_pod_stays_listed_as_failed() {
    let mut worker = running(RestartPolicy::Always, &["one"]);
    evict(&mut worker);
    assert_eq!(short(&worker.ask()), ["save", "stop one/0", "save"]);
    worker.round();
    let expected = [
        "note one/0 143",
        "save",
        "save failed",
        "remove one/0",
        "detach",
        "remove sandbox",
        "remove volumes",
    ];
    assert_eq!(short(&worker.ask()), expected);
    worker.settle(2);
    let finished = worker.record.identity.finished.clone().unwrap();
    assert_eq!(finished.reason.as_deref(), Some("Evicted"));
    assert_eq!(finished.exits[&sample::name("one")].code, 143);
    run(&mut worker);
    assert_eq!(worker.ask(), Plan::default());
}

#[test]
fn an_evicted_pod_that_is_removed_as_well_leaves_nothing() {
    let mut worker = running(RestartPolicy::Always, &["one"]);
    worker.host.ignore_stop_signal(&sample::name("one"), true);
    evict(&mut worker);
    worker.settle(2);
    remove(&mut worker, Some(0));
    worker.settle(4);
    assert!(worker.forgotten && worker.host.is_empty_of(worker.uid()));
}

#[test]
fn a_program_that_cannot_be_started_counts_as_ended_wherever_the_runtime_finds_out() {
    for op in [Op::CreateContainer, Op::StartContainer] {
        let mut worker = worker(RestartPolicy::Always, &["one"]);
        break_next(&worker, op, 2, FailureReason::RunContainerError);
        worker.round();
        let plan = short(&worker.ask());
        assert_eq!(plan[..2], ["note one/0 128", "save"], "{op:?}");
        assert_eq!(plan[plan.len() - 2..], ["create one/1", "start one/1"], "{op:?}");
        worker.round();
        assert_eq!(worker.settle(2), Some(10_000), "{op:?}");
    }
}

#[test]
fn a_container_that_cannot_be_made_holds_up_only_itself() {
    let mut worker = worker(RestartPolicy::Always, &["one", "two"]);
    break_next(
        &worker,
        Op::CreateContainer,
        1,
        FailureReason::CreateContainerError,
    );
    worker.round();
    assert_eq!(short(&worker.ask()), ["create two/0", "start two/0"]);
    assert_eq!(worker.settle(2), Some(1_000));
    worker.host.pass(1_000);
    assert_eq!(short(&worker.ask()), ["create one/0", "start one/0"]);
}

#[test]
fn an_image_is_waited_for_longer_each_time() {
    let mut worker = worker(RestartPolicy::Always, &["one"]);
    break_next(&worker, Op::CreateContainer, 3, FailureReason::ErrImagePull);
    for delay in [10_000, 20_000, 40_000] {
        worker.round();
        assert_eq!((short(&worker.ask()).len(), wait(&mut worker)), (0, Some(delay)));
        worker.host.pass(delay);
    }
    worker.settle(2);
    assert!(worker.record.failures.is_empty());
}

#[test]
fn a_sandbox_that_failed_half_way_is_removed_before_the_next() {
    let mut worker = worker(RestartPolicy::Always, &["one"]);
    worker.host.break_next(Break {
        op: Some(Op::CreateSandbox),
        times: 1,
        extent: Extent::Half,
        reason: FailureReason::FailedCreatePodSandBox,
    });
    worker.round();
    assert_eq!(worker.settle(1), Some(1_000));
    worker.host.pass(1_000);
    let expected = [
        "save",
        "remove sandbox",
        "sandbox 1",
        "attach",
        "volumes",
        "create one/0",
        "start one/0",
    ];
    assert_eq!(short(&worker.ask()), expected);
}

#[test]
fn what_could_not_be_made_does_not_hold_up_the_removal() {
    let mut worker = worker(RestartPolicy::Always, &["one"]);
    break_next(&worker, Op::PrepareVolumes, 1, FailureReason::FailedMount);
    worker.round();
    remove(&mut worker, None);
    assert_eq!(
        short(&worker.ask()),
        ["save", "detach", "remove sandbox", "remove logs", "forget"]
    );
}

#[test]
fn teardown_goes_on_past_an_error() {
    let mut worker = running(RestartPolicy::Always, &["one", "two"]);
    remove(&mut worker, Some(0));
    worker.round();
    break_next(
        &worker,
        Op::RemoveContainer,
        1,
        FailureReason::CreateContainerError,
    );
    break_next(
        &worker,
        Op::RemoveSandbox,
        1,
        FailureReason::FailedCreatePodSandBox,
    );
    worker.round();
    assert_eq!(short(&worker.ask()), ["remove two/0"]);
    assert_eq!(worker.settle(2), Some(100));
    worker.host.pass(100);
    worker.round();
    worker.host.pass(100);
    assert_eq!(
        short(&worker.ask()),
        ["remove volumes", "remove sandbox", "remove logs", "forget"]
    );
}

#[test]
fn a_network_that_lost_a_part_is_attached_again_under_living_containers() {
    for whole in [false, true] {
        let mut worker = running(RestartPolicy::Always, &["one"]);
        worker.host.break_network(worker.uid(), whole);
        assert_eq!(short(&worker.ask()), ["attach"]);
        worker.round();
        assert_eq!(worker.ask(), Plan::default());
        assert_eq!(worker.host.started(worker.uid()).len(), 1);
    }
}

#[test]
fn an_attached_pod_stays_attached_when_the_agent_starts_again() {
    let mut worker = running(RestartPolicy::Always, &["one"]);
    let before = worker.observe().network;
    worker.start_again();
    assert_eq!(worker.ask(), Plan::default());
    assert_eq!(worker.observe().network, before);
}

#[test]
fn no_container_is_made_before_the_network_is_there() {
    let mut worker = worker(RestartPolicy::Always, &["one"]);
    let reason = FailureReason::FailedCreatePodSandBox;
    break_next(&worker, Op::AttachNetwork, 1, reason);
    worker.round();
    assert_eq!(wait(&mut worker), Some(1_000));
    assert!(worker.observe().containers.is_empty());
    let failure = worker.record.pod_failure.clone().unwrap();
    assert_eq!(failure.reason, reason);
    worker.host.pass(1_000);
    assert_eq!(
        short(&worker.ask()),
        ["attach", "volumes", "create one/0", "start one/0"]
    );
}

#[test]
fn a_pod_in_the_hosts_network_has_none_of_its_own() {
    let mut worker = Worker::with(RestartPolicy::Always, &["one"], true);
    let expected = ["sandbox 0", "volumes", "create one/0", "start one/0"];
    assert_eq!(short(&worker.ask()), expected);
    worker.settle(2);
    remove(&mut worker, Some(0));
    worker.settle(4);
    let calls = worker.host.take_calls();
    let of_network = |op| matches!(op, Op::AttachNetwork | Op::DetachNetwork);
    assert!(!calls.iter().any(|call| of_network(call.op)));
}

#[test]
fn what_an_earlier_sandbox_left_of_its_network_goes_before_the_next_sandbox() {
    let mut worker = running(RestartPolicy::Always, &["one"]);
    worker.host.break_sandbox(worker.uid());
    break_next(
        &worker,
        Op::DetachNetwork,
        1,
        FailureReason::FailedCreatePodSandBox,
    );
    worker.settle(4);
    worker.host.pass(100);
    let plan = short(&worker.ask());
    let place = |step: &str| plan.iter().position(|one| one == step);
    assert!(
        place("detach") < place("remove sandbox") && place("remove sandbox") < place("sandbox 2"),
        "{plan:?}"
    );
    worker.settle(4);
    assert!(worker.observe().network.addresses().is_some());
    assert_eq!(worker.host.violations(), Vec::<String>::new());
}

#[test]
fn a_network_that_cannot_be_taken_down_keeps_nothing_else_from_going() {
    let mut worker = running(RestartPolicy::Always, &["one"]);
    remove(&mut worker, Some(0));
    break_next(
        &worker,
        Op::DetachNetwork,
        1_000,
        FailureReason::FailedCreatePodSandBox,
    );
    for _ in 0..10 {
        if let Some(wait) = worker.settle(10) {
            worker.host.pass(wait);
        }
    }
    let observed = worker.observe();
    assert_eq!(observed.sandbox, crate::pod::SandboxState::Absent);
    assert!(!observed.volumes_present && !worker.forgotten);
    worker.host.mend();
    while let Some(wait) = worker.settle(10) {
        worker.host.pass(wait);
    }
    assert!(worker.forgotten && worker.host.is_empty_of(worker.uid()));
}
