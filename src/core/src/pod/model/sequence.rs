//! Chosen histories of init containers, sidecars, hooks and probes.

use pinnace_api::pod::{Hook, RestartPolicy};
use serde_json::json;

use super::examples::{exit, remove, short, shorten};
use super::shape::Shape;
use super::worker::Worker;
use crate::fake::sample;
use crate::pod::{Action, Desired, HookState, RowShape, Verdicts, pods_table_row};

fn worker(init: &[(&'static str, bool)], main: &[&'static str], restart_policy: RestartPolicy) -> Worker {
    Worker::shaped(&Shape {
        restart_policy,
        init: init.to_vec(),
        main: main.to_vec(),
        ..Shape::default()
    })
}

/// Rounds until nothing is left to do; all that was done, in short.
fn acts(worker: &mut Worker) -> Vec<String> {
    let mut all = Vec::new();
    for _ in 0..12 {
        let plan = worker.ask();
        all.extend(plan.actions.iter().map(shorten));
        if !worker.round() {
            return all;
        }
    }
    panic!("{all:?}");
}

/// READY, STATUS and RESTARTS.
fn row(worker: &Worker) -> String {
    let status = worker.status(None);
    let pod = worker.desired.pod();
    let terminating = worker.record.progress.terminating.is_some();
    let now = crate::host::Host::now(&worker.host).wall;
    let row = pods_table_row(&status, &RowShape::of(&pod.spec), terminating, now, now);
    [row.ready, row.status, row.restarts].join(" ")
}

fn condition(worker: &Worker, kind: &str) -> serde_json::Value {
    let status = serde_json::to_value(worker.status(None)).unwrap();
    let all = status["conditions"].as_array().unwrap().clone();
    let mut found = all.into_iter().find(|one| one["type"] == kind).unwrap();
    found
        .as_object_mut()
        .unwrap()
        .retain(|key, _| !key.ends_with("Time"));
    found
}

fn find(worker: &mut Worker, name: &str, verdicts: Verdicts) {
    worker.find(&sample::name(name), verdicts);
}

fn end_hook(worker: &mut Worker, name: &str, ends: &HookState) {
    assert!(
        worker.end_hook(&sample::name(name), ends),
        "no hook of {name} is under way"
    );
}

const STARTED: Verdicts = Verdicts {
    startup: Some(true),
    readiness: None,
    liveness: None,
};

#[test]
fn init_containers_run_one_after_another_before_all_others() {
    let mut worker = worker(
        &[("prepare", false), ("migrate", false)],
        &["one", "two"],
        RestartPolicy::Always,
    );
    let first = [
        "sandbox 0",
        "attach",
        "volumes",
        "create prepare/0",
        "start prepare/0",
    ];
    assert_eq!(acts(&mut worker), first);
    assert_eq!(row(&worker), "0/2 Init:0/2 0");
    assert_eq!(
        condition(&worker, "Initialized"),
        json!({"type": "Initialized", "status": "False", "reason": "ContainersNotInitialized",
            "message": "containers with incomplete status: [prepare migrate]"})
    );
    assert_eq!(worker.status(None).phase.as_str(), "Pending");
    exit(&worker, "prepare", 0);
    let second = [
        "note prepare/0 0",
        "save",
        "remove prepare/0",
        "create migrate/0",
        "start migrate/0",
    ];
    assert_eq!(acts(&mut worker), second);
    assert_eq!(row(&worker), "0/2 Init:1/2 0");
    exit(&worker, "migrate", 0);
    let main = [
        "note migrate/0 0",
        "save",
        "remove migrate/0",
        "create one/0",
        "start one/0",
        "create two/0",
        "start two/0",
    ];
    assert_eq!(acts(&mut worker), main);
    assert_eq!(row(&worker), "2/2 Running 0");
    assert_eq!(
        condition(&worker, "Initialized"),
        json!({"type": "Initialized", "status": "True"})
    );
    let status = serde_json::to_value(worker.status(None)).unwrap();
    let init = &status["initContainerStatuses"][0];
    assert_eq!(init["state"]["terminated"]["reason"], "Completed");
    assert_eq!((&init["ready"], &init["started"]), (&json!(true), &json!(false)));
}

#[test]
fn a_failed_init_container_waits_ever_longer_and_then_is_tried_again() {
    let mut worker = worker(&[("prepare", false)], &["one"], RestartPolicy::Always);
    acts(&mut worker);
    exit(&worker, "prepare", 1);
    let again = [
        "note prepare/0 1",
        "save",
        "remove prepare/0",
        "create prepare/1",
        "start prepare/1",
    ];
    assert_eq!(acts(&mut worker), again);
    exit(&worker, "prepare", 1);
    assert_eq!(
        acts(&mut worker),
        ["note prepare/1 1", "save", "remove prepare/1"]
    );
    assert_eq!(
        row(&worker).split(" (").next(),
        Some("0/1 Init:CrashLoopBackOff 1")
    );
    assert_eq!(worker.status(None).phase.as_str(), "Pending");
    assert_eq!(worker.settle(1), Some(10_000));
    worker.host.pass(10_000);
    assert_eq!(acts(&mut worker), ["create prepare/2", "start prepare/2"]);
}

#[test]
fn a_failed_init_container_of_a_pod_that_never_restarts_fails_the_pod() {
    let mut worker = worker(
        &[("proxy", true), ("prepare", false)],
        &["one"],
        RestartPolicy::Never,
    );
    acts(&mut worker);
    exit(&worker, "prepare", 3);
    let acts = acts(&mut worker);
    assert_eq!(
        acts[..5],
        ["note prepare/0 3", "save", "save", "stop proxy/0", "save"]
    );
    assert!(
        acts.contains(&"save failed".to_owned()) && !acts.iter().any(|act| act.contains("one")),
        "{acts:?}"
    );
    assert_eq!(row(&worker), "0/2 Init:Error 0");
}

#[test]
fn init_containers_run_again_in_the_next_sandbox_and_not_after_a_restart_of_others() {
    let mut worker = worker(&[("prepare", false)], &["one"], RestartPolicy::Always);
    acts(&mut worker);
    exit(&worker, "prepare", 0);
    acts(&mut worker);
    exit(&worker, "one", 1);
    let restart = [
        "note one/0 1",
        "save",
        "remove one/0",
        "create one/1",
        "start one/1",
    ];
    assert_eq!(acts(&mut worker), restart);
    worker.host.kill_shim(&worker.uid().clone());
    let acts = acts(&mut worker);
    assert!(
        acts.ends_with(&["create prepare/1".to_owned(), "start prepare/1".to_owned()]),
        "{acts:?}"
    );
    assert_eq!(row(&worker).split(" (").next(), Some("0/1 Init:0/1 1"));
}

#[test]
fn what_follows_a_sidecar_waits_until_it_has_started() {
    let mut worker = Worker::shaped(&Shape {
        init: vec![("proxy", true), ("prepare", false)],
        probed: vec!["proxy"],
        ..Shape::default()
    });
    acts(&mut worker);
    assert_eq!(row(&worker), "0/2 Init:0/2 0");
    find(&mut worker, "proxy", STARTED);
    assert_eq!(acts(&mut worker), ["save", "create prepare/0", "start prepare/0"]);
    assert_eq!(row(&worker), "0/2 Init:1/2 0");
    exit(&worker, "prepare", 0);
    acts(&mut worker);
    assert_eq!(row(&worker), "1/2 Running 0");
    find(
        &mut worker,
        "proxy",
        Verdicts {
            readiness: Some(true),
            ..STARTED
        },
    );
    assert_eq!(acts(&mut worker), ["save"]);
    assert_eq!(row(&worker), "2/2 Running 0");
    exit(&worker, "proxy", 0);
    let acts = acts(&mut worker);
    assert_eq!(
        acts,
        [
            "note proxy/0 0",
            "save",
            "remove proxy/0",
            "create proxy/1",
            "start proxy/1"
        ]
    );
}

#[test]
fn sidecars_end_in_reverse_order_once_the_main_containers_have_ended_for_good() {
    let mut worker = worker(&[("proxy", true), ("log", true)], &["one"], RestartPolicy::Never);
    acts(&mut worker);
    exit(&worker, "one", 0);
    let acts = acts(&mut worker);
    let expected = [
        "note one/0 0",
        "save",
        "save",
        "stop log/0",
        "save",
        "remove one/0",
        "note log/0 143",
        "save",
        "stop proxy/0",
        "save",
        "remove log/0",
        "note proxy/0 143",
        "save",
        "save succeeded",
        "remove proxy/0",
        "detach",
        "remove sandbox",
        "remove volumes",
    ];
    assert_eq!(acts, expected);
    assert_eq!(row(&worker), "0/3 Completed 0");
    assert_eq!(worker.status(None).phase.as_str(), "Succeeded");
}

#[test]
fn a_sidecar_that_had_no_turn_in_the_grace_period_gets_a_moment_for_its_signal() {
    let mut worker = worker(&[("proxy", true)], &["one"], RestartPolicy::Always);
    acts(&mut worker);
    for name in ["one", "proxy"] {
        worker.host.ignore_stop_signal(&sample::name(name), true);
    }
    remove(&mut worker, Some(10));
    assert_eq!(acts(&mut worker), ["save", "stop one/0", "save"]);
    assert_eq!(worker.settle(1), Some(10_000));
    worker.host.pass(10_000);
    let acts_at_end = acts(&mut worker);
    assert!(
        acts_at_end.contains(&"stop proxy/0".to_owned()) && acts_at_end.contains(&"kill one/0".to_owned())
    );
    assert!(
        !acts_at_end.contains(&"kill proxy/0".to_owned()),
        "{acts_at_end:?}"
    );
    worker.host.pass(2_000);
    assert_eq!(acts(&mut worker)[0], "kill proxy/0");
}

#[test]
fn a_container_counts_as_running_once_its_hook_is_done_and_the_next_one_waits_for_that() {
    let mut worker = Worker::shaped(&Shape {
        main: vec!["one", "two"],
        hooked: vec!["one"],
        ..Shape::default()
    });
    let begun = acts(&mut worker);
    assert_eq!(begun[3..], ["create one/0", "start one/0", "PostStart one/0"]);
    assert_eq!(row(&worker), "0/2 ContainerCreating 0");
    end_hook(&mut worker, "one", &HookState::Done);
    assert_eq!(acts(&mut worker), ["save", "create two/0", "start two/0"]);
    assert_eq!(row(&worker), "2/2 Running 0");
}

#[test]
fn a_failed_hook_ends_its_container_which_is_started_again() {
    let mut worker = Worker::shaped(&Shape {
        hooked: vec!["one"],
        ..Shape::default()
    });
    acts(&mut worker);
    end_hook(&mut worker, "one", &HookState::Failed("no such file".to_owned()));
    assert_eq!(row(&worker), "0/1 PostStartHookError 0");
    let stopping = ["note stop one/0 PostStart", "save", "PreStop one/0"];
    assert_eq!(acts(&mut worker), stopping);
    end_hook(&mut worker, "one", &HookState::Done);
    let ended = acts(&mut worker);
    assert_eq!(ended[..3], ["stop one/0", "save", "note one/0 143"]);
    assert!(ended.contains(&"PostStart one/1".to_owned()), "{ended:?}");
}

#[test]
fn the_stop_signal_waits_for_the_hook_within_the_grace_period() {
    let mut worker = Worker::shaped(&Shape {
        main: vec!["one", "two"],
        hooked: vec!["one"],
        ..Shape::default()
    });
    acts(&mut worker);
    end_hook(&mut worker, "one", &HookState::Done);
    acts(&mut worker);
    for name in ["one", "two"] {
        worker.host.ignore_stop_signal(&sample::name(name), true);
    }
    remove(&mut worker, Some(10));
    let plan = worker.ask();
    assert_eq!(short(&plan), ["save", "PreStop one/0", "stop two/0", "save"]);
    let within = plan.actions.iter().find_map(|action| match action {
        Action::RunHook { within_millis, .. } => *within_millis,
        _ => None,
    });
    assert_eq!(within, Some(10_000));
    worker.round();
    // The hook hangs: the signal comes at the end of the period, and a moment is left for it.
    worker.host.pass(10_000);
    let late = acts(&mut worker);
    assert_eq!(late[..3], ["stop one/0", "kill two/0", "save"]);
    assert_eq!(worker.settle(1), Some(2_000));
    worker.host.pass(2_000);
    assert_eq!(acts(&mut worker)[0], "kill one/0");
}

#[test]
fn a_hook_that_takes_the_whole_grace_period_leaves_two_seconds_for_the_signal_and_no_second_period() {
    let mut worker = Worker::shaped(&Shape {
        main: vec!["one"],
        hooked: vec!["one"],
        ..Shape::default()
    });
    acts(&mut worker);
    end_hook(&mut worker, "one", &HookState::Done);
    acts(&mut worker);
    worker.host.ignore_stop_signal(&sample::name("one"), true);
    remove(&mut worker, Some(10));
    assert_eq!(short(&worker.ask()), ["save", "PreStop one/0"]);
    worker.round();
    worker.host.pass(10_000);
    assert_eq!(acts(&mut worker)[0], "stop one/0");
    assert_eq!(worker.settle(1), Some(2_000));
    worker.host.pass(2_000);
    assert_eq!(acts(&mut worker)[0], "kill one/0");
}

#[test]
fn a_hook_that_was_under_way_is_run_again_by_the_next_agent() {
    let mut worker = Worker::shaped(&Shape {
        hooked: vec!["one"],
        ..Shape::default()
    });
    acts(&mut worker);
    worker.start_again();
    assert_eq!(acts(&mut worker), ["PostStart one/0"]);
    end_hook(&mut worker, "one", &HookState::Done);
    acts(&mut worker);
    worker.start_again();
    assert_eq!(acts(&mut worker), Vec::<String>::new());
}

#[test]
fn a_container_whose_liveness_fails_ends_within_its_probes_grace_and_starts_again() {
    let mut pod = Shape {
        probed: vec!["one"],
        ..Shape::default()
    }
    .pod();
    let probes = &mut pod.spec.containers[0].probes;
    probes.liveness.as_mut().unwrap().termination_grace_period_seconds = Some(5);
    let mut worker = Worker::new(pod, Default::default());
    acts(&mut worker);
    worker.host.ignore_stop_signal(&sample::name("one"), true);
    let failing = Verdicts {
        liveness: Some(false),
        ..STARTED
    };
    find(&mut worker, "one", failing);
    let stop = ["note stop one/0 Liveness", "save", "stop one/0", "save"];
    assert_eq!(acts(&mut worker), stop);
    assert_eq!(worker.settle(1), Some(5_000));
    worker.start_again();
    worker.host.pass(5_000);
    let killed = acts(&mut worker);
    assert_eq!(killed[..2], ["kill one/0", "save"]);
    assert!(
        killed.ends_with(&["create one/1".to_owned(), "start one/1".to_owned()]),
        "{killed:?}"
    );
}

#[test]
fn readiness_and_start_outlive_the_agent() {
    let mut worker = Worker::shaped(&Shape {
        probed: vec!["one"],
        ..Shape::default()
    });
    acts(&mut worker);
    assert_eq!(row(&worker), "0/1 Running 0");
    find(
        &mut worker,
        "one",
        Verdicts {
            readiness: Some(true),
            ..STARTED
        },
    );
    assert_eq!(acts(&mut worker), ["save"]);
    let before = worker.status(None);
    worker.host.pass(60_000);
    worker.start_again();
    assert_eq!(
        worker.status(None),
        before,
        "an agent's restart makes no pod unready"
    );
    find(
        &mut worker,
        "one",
        Verdicts {
            readiness: Some(false),
            ..STARTED
        },
    );
    acts(&mut worker);
    assert_eq!(
        condition(&worker, "Ready"),
        json!({"type": "Ready", "status": "False", "reason": "ContainersNotReady",
            "message": "containers with unready status: [one]"})
    );
}

#[test]
fn a_stop_signal_is_not_sent_to_what_has_no_grace() {
    let mut pod = Shape {
        hooked: vec!["one"],
        ..Shape::default()
    }
    .pod();
    pod.spec.containers[0].lifecycle.post_start = None;
    pod.spec.containers[0].lifecycle.pre_stop = Some(Hook::Sleep { seconds: 3 });
    let mut worker = Worker::new(pod, Default::default());
    acts(&mut worker);
    remove(&mut worker, Some(0));
    assert_eq!(acts(&mut worker)[..2], ["save", "kill one/0"]);
}

#[test]
fn a_pod_with_a_gate_that_nobody_opens_is_not_ready_though_its_containers_are() {
    let mut worker = worker(&[], &["one"], RestartPolicy::Always);
    let mut pod = (**worker.desired.pod()).clone();
    pod.spec.readiness_gates = vec!["example.com/load".to_owned()];
    worker.desired = Desired::Run(std::sync::Arc::new(pod));
    acts(&mut worker);
    assert_eq!(condition(&worker, "ContainersReady")["status"], "True");
    assert_eq!(
        condition(&worker, "Ready"),
        json!({"type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady",
            "message": "corresponding condition of pod readiness gate \"example.com/load\" does not exist."})
    );
}
