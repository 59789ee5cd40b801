//! Statuses as Kubernetes' JSON, and as kubectl's table.

use std::sync::Arc;

use pinnace_api::pod::RestartPolicy;
use pinnace_api::{ContainerName, PodUid};
use serde_json::{Value, json};

use super::{ConditionStatus, ConditionType, PodPhase, PodStatus, RowShape, Timestamp, pods_table_row};
use crate::fake::{Break, Extent, FakeHost, Op, sample};
use crate::host::Host;
use crate::pod::model::worker::Worker;
use crate::pod::{Desired, FailureReason};
use crate::ports::ImageHandle;
use crate::resources::QosClass;
use crate::time::WallMillis;

const DIGEST: &str = "sha256:6d9ac9237a84afe1516540f40a0fafdc86859b2141954b4d643af7066d598b74";

fn worker(policy: RestartPolicy, containers: &[&str]) -> Worker {
    Worker::of(policy, containers)
}

fn json_of(status: &PodStatus) -> Value {
    serde_json::to_value(status).unwrap()
}

fn exit(worker: &Worker, container: &str, code: i32) {
    assert!(worker.host.exit(worker.uid(), &sample::name(container), code));
}

fn break_next(host: &FakeHost, op: Op, times: u32, reason: FailureReason) {
    host.break_next(Break {
        op: Some(op),
        times,
        extent: Extent::Nothing,
        reason,
    });
}

/// A pod of so many main containers.
fn of(containers: usize) -> RowShape {
    RowShape {
        containers,
        ..RowShape::default()
    }
}

/// READY, STATUS, RESTARTS and AGE as one line.
fn row(worker: &Worker) -> String {
    let status = worker.status(None);
    let shape = RowShape::of(&worker.desired.pod().spec);
    let terminating = worker.record.progress.terminating.is_some();
    let created = worker.record.identity.created_at;
    let row = pods_table_row(&status, &shape, terminating, created, worker.host.now().wall);
    [row.ready, row.status, row.restarts, row.age].join(" | ")
}

fn condition(status: &PodStatus, kind: ConditionType) -> (ConditionStatus, Timestamp) {
    let found = status.conditions.iter().find(|one| one.kind == kind).unwrap();
    (found.status, found.last_transition_time)
}

#[test]
fn a_running_pod_is_shown_as_the_kubelet_shows_it() {
    let mut worker = worker(RestartPolicy::Always, &["one"]);
    let image = ImageHandle {
        id: "sha256:0".to_owned(),
        manifest_digest: DIGEST.to_owned(),
        reference: "example.com:5000/team/one:1".to_owned(),
    };
    worker.images.insert(sample::name("one"), image);
    worker.host.pass(3_000);
    worker.settle(2);
    let (created, started) = ("2023-11-14T22:13:20Z", "2023-11-14T22:13:23Z");
    let condition = |kind: &str, since: &str| json!({"type": kind, "status": "True", "lastProbeTime": null, "lastTransitionTime": since});
    let expected = json!({
        "phase": "Running",
        "conditions": [
            condition("PodReadyToStartContainers", created),
            condition("Initialized", created),
            condition("Ready", started),
            condition("ContainersReady", started),
            condition("PodScheduled", created),
        ],
        "hostIP": "192.0.2.7",
        "hostIPs": [{"ip": "192.0.2.7"}],
        "startTime": created,
        "containerStatuses": [{
            "name": "one",
            "state": {"running": {"startedAt": started}},
            "lastState": {},
            "ready": true,
            "restartCount": 0,
            "image": "example.com:5000/team/one:1",
            "imageID": format!("example.com:5000/team/one@{DIGEST}"),
            "containerID": format!("pinnace://{}", crate::pod::container_id(
                &PodUid::new("00000000-0000-4000-8000-000000000001").unwrap(),
                &ContainerName::new("one").unwrap(),
                0
            )),
            "started": true,
        }],
        "qosClass": "BestEffort",
    });
    assert_eq!(json_of(&worker.status(None)), expected);
    assert_eq!(row(&worker), "1/1 | Running | 0 | 3s");
}

#[test]
fn a_status_is_read_back_as_it_was_written() {
    let mut worker = worker(RestartPolicy::Always, &["one", "two"]);
    worker.settle(2);
    for _ in 0..2 {
        exit(&worker, "two", 1);
        worker.settle(2);
    }
    let status = worker.status(None);
    let text = serde_json::to_string(&status).unwrap();
    let read: PodStatus = serde_json::from_str(&text).unwrap();
    assert_eq!(read, status);
}

#[test]
fn a_fresh_pod_waits_for_its_containers() {
    let worker = worker(RestartPolicy::Always, &["one", "two"]);
    let status = json_of(&worker.status(None));
    assert_eq!(status["phase"], "Pending");
    assert_eq!(
        status["containerStatuses"][0]["state"],
        json!({"waiting": {"reason": "ContainerCreating"}})
    );
    assert_eq!(status["containerStatuses"][0]["imageID"], "");
    assert_eq!(status["containerStatuses"][0].get("containerID"), None);
    assert_eq!(status["conditions"][2]["reason"], "ContainersNotReady");
    assert_eq!(
        status["conditions"][2]["message"],
        "containers with unready status: [one two]"
    );
    assert_eq!(row(&worker), "0/2 | ContainerCreating | 0 | 0s");
}

#[test]
fn a_crash_loop_is_told_in_the_kubelets_words() {
    let mut worker = worker(RestartPolicy::Always, &["one"]);
    worker.settle(2);
    exit(&worker, "one", 1);
    worker.settle(2);
    exit(&worker, "one", 1);
    worker.settle(2);
    worker.host.pass(5_000);
    let status = json_of(&worker.status(None));
    let container = &status["containerStatuses"][0];
    let message = "back-off 10s restarting failed container=one \
        pod=web_default(00000000-0000-4000-8000-000000000001)";
    assert_eq!(
        container["state"],
        json!({"waiting": {"reason": "CrashLoopBackOff", "message": message}})
    );
    assert_eq!(container["lastState"]["terminated"]["exitCode"], 1);
    assert_eq!(container["lastState"]["terminated"]["reason"], "Error");
    assert_eq!(container["restartCount"], 1);
    assert_eq!(
        (status["phase"].clone(), row(&worker).as_str()),
        (json!("Running"), "0/1 | CrashLoopBackOff | 1 (5s ago) | 5s")
    );
}

#[test]
fn a_missing_image_is_told_first_as_a_failure_and_then_as_a_wait() {
    let mut worker = worker(RestartPolicy::Always, &["one"]);
    break_next(&worker.host, Op::CreateContainer, 2, FailureReason::ErrImagePull);
    worker.settle(2);
    assert_eq!(row(&worker), "0/1 | ErrImagePull | 0 | 0s");
    worker.host.pass(10_000);
    worker.settle(2);
    assert_eq!(row(&worker), "0/1 | ImagePullBackOff | 0 | 10s");
    let status = json_of(&worker.status(None));
    let message = status["containerStatuses"][0]["state"]["waiting"]["message"]
        .as_str()
        .unwrap();
    assert!(
        message.starts_with("Back-off pulling image \"example.com/one:1\": ErrImagePull: "),
        "{message}"
    );
}

#[test]
fn each_reason_to_wait_is_kubernetes_own() {
    for (reason, word) in [
        (FailureReason::ErrImageNeverPull, "ErrImageNeverPull"),
        (FailureReason::InvalidImageName, "InvalidImageName"),
        (FailureReason::ImageInspectError, "ImageInspectError"),
        (
            FailureReason::CreateContainerConfigError,
            "CreateContainerConfigError",
        ),
        (FailureReason::CreateContainerError, "CreateContainerError"),
        (FailureReason::FailedMount, "ContainerCreating"),
    ] {
        let mut worker = worker(RestartPolicy::Always, &["one"]);
        break_next(&worker.host, Op::CreateContainer, 1, reason);
        worker.settle(2);
        assert_eq!(row(&worker), format!("0/1 | {word} | 0 | 0s"));
    }
}

#[test]
fn a_pod_that_lacks_a_volume_says_why() {
    let mut worker = worker(RestartPolicy::Always, &["one"]);
    break_next(&worker.host, Op::PrepareVolumes, 1, FailureReason::FailedMount);
    worker.settle(2);
    let status = json_of(&worker.status(None));
    let waiting = &status["containerStatuses"][0]["state"]["waiting"];
    assert_eq!(waiting["reason"], "ContainerCreating");
    assert!(
        waiting["message"]
            .as_str()
            .unwrap()
            .starts_with("prepare the volumes of ")
    );
}

#[test]
fn a_program_that_cannot_be_started_is_told_and_then_loops() {
    let mut worker = worker(RestartPolicy::Always, &["one"]);
    break_next(
        &worker.host,
        Op::StartContainer,
        2,
        FailureReason::RunContainerError,
    );
    worker.round();
    assert_eq!(row(&worker), "0/1 | StartError | 0 | 0s");
    worker.settle(4);
    assert_eq!(row(&worker), "0/1 | CrashLoopBackOff | 1 (0s ago) | 0s");
}

#[test]
fn a_pod_with_one_container_gone_for_good_is_not_ready() {
    let mut worker = worker(RestartPolicy::Never, &["one", "two"]);
    worker.settle(2);
    exit(&worker, "one", 0);
    worker.settle(2);
    assert_eq!(row(&worker), "1/2 | NotReady | 0 | 0s");
    assert_eq!(worker.status(None).phase, PodPhase::Running);
}

#[test]
fn a_finished_pod_keeps_its_exits() {
    for (codes, phase, word, reason) in [
        ([0, 0], "Succeeded", "Completed", "PodCompleted"),
        ([0, 2], "Failed", "Error", "PodFailed"),
    ] {
        let mut worker = worker(RestartPolicy::Never, &["one", "two"]);
        worker.settle(2);
        exit(&worker, "one", codes[0]);
        exit(&worker, "two", codes[1]);
        worker.settle(2);
        for restarted in [false, true] {
            if restarted {
                worker.host.reboot(false);
                worker.start_again();
                worker.settle(2);
            }
            let status = json_of(&worker.status(None));
            assert_eq!(status["phase"], phase);
            assert_eq!(status["conditions"][2]["reason"], reason);
            assert_eq!(
                status["containerStatuses"][1]["state"]["terminated"]["exitCode"],
                codes[1]
            );
            assert_eq!(status["containerStatuses"][1]["lastState"], json!({}));
        }
        assert!(
            row(&worker).starts_with(&format!("0/2 | {word} | 0 | ")),
            "{}",
            row(&worker)
        );
    }
}

#[test]
fn an_end_that_nobody_saw_is_told_as_unknown() {
    let mut worker = worker(RestartPolicy::Never, &["one"]);
    worker.settle(2);
    worker.host.kill_shim(&worker.uid().clone());
    worker.settle(3);
    assert_eq!(row(&worker), "0/1 | ContainerStatusUnknown | 0 | 0s");
}

#[test]
fn an_evicted_pod_is_terminating_and_then_failed() {
    let mut worker = worker(RestartPolicy::Always, &["one"]);
    worker.settle(2);
    worker.host.ignore_stop_signal(&sample::name("one"), true);
    worker.desired = Desired::Evict {
        pod: Arc::clone(worker.desired.pod()),
        reason: "Evicted".to_owned(),
        message: "The node was low on resource: memory.".to_owned(),
    };
    worker.settle(2);
    assert_eq!(row(&worker), "1/1 | Terminating | 0 | 0s");
    exit(&worker, "one", 0);
    worker.settle(2);
    let status = json_of(&worker.status(None));
    assert_eq!(
        (&status["phase"], &status["reason"]),
        (&json!("Failed"), &json!("Evicted"))
    );
    assert_eq!(status["message"], "The node was low on resource: memory.");
}

#[test]
fn a_condition_keeps_its_time_until_it_changes() {
    let mut worker = worker(RestartPolicy::Always, &["one"]);
    let fresh = worker.status(None);
    worker.host.pass(2_000);
    let still = worker.status(Some(&fresh));
    assert_eq!(still, fresh);
    worker.settle(2);
    let running = worker.status(Some(&still));
    let now = Timestamp(worker.host.now().wall);
    assert_eq!(
        condition(&running, ConditionType::Ready),
        (ConditionStatus::True, now)
    );
    let scheduled = |status: &PodStatus| condition(status, ConditionType::PodScheduled);
    assert_eq!(scheduled(&running), scheduled(&fresh));
    worker.host.pass(60_000);
    assert_eq!(worker.status(Some(&running)), running);
    assert_eq!(
        worker.status(None),
        worker.status(Some(&worker.status(None))),
        "a new agent tells the same"
    );
}

#[test]
fn a_pod_that_does_not_fit_is_pending_and_keeps_waiting() {
    let at = WallMillis(1_700_000_000_000);
    let message = "0/1 nodes are available: 1 node(s) had untolerated taint {dedicated: gpu}.";
    let first = PodStatus::unschedulable(message.to_owned(), QosClass::Burstable, None, at);
    let later = WallMillis(at.0 + 9_000);
    let again = PodStatus::unschedulable(message.to_owned(), QosClass::Burstable, Some(&first), later);
    assert_eq!(again, first);
    let expected = json!({
        "phase": "Pending",
        "conditions": [{
            "type": "PodScheduled",
            "status": "False",
            "lastProbeTime": null,
            "lastTransitionTime": "2023-11-14T22:13:20Z",
            "reason": "Unschedulable",
            "message": message,
        }],
        "qosClass": "Burstable",
    });
    assert_eq!(json_of(&first), expected);
    assert_eq!(pods_table_row(&first, &of(2), false, at, later).status, "Pending");
}

#[test]
fn a_refused_pod_has_failed_with_the_reason() {
    let at = WallMillis(1_700_000_000_000);
    let status = PodStatus::rejected(
        "OutOfcpu".to_owned(),
        "Pod was rejected: Node didn't have enough resource: cpu".to_owned(),
        QosClass::Burstable,
        at,
    );
    assert_eq!(json_of(&status)["phase"], "Failed");
    assert_eq!(pods_table_row(&status, &of(1), false, at, at).status, "OutOfcpu");
}

#[test]
fn a_table_of_a_container_killed_for_memory_says_so() {
    let mut worker = worker(RestartPolicy::Never, &["one"]);
    worker.settle(2);
    exit(&worker, "one", 137);
    worker.settle(2);
    let mut finished = worker.record.identity.finished.clone().unwrap();
    finished.exits.get_mut(&sample::name("one")).unwrap().reason = "OOMKilled".to_owned();
    let progress = &mut worker.record.progress;
    progress
        .containers
        .get_mut(&sample::name("one"))
        .unwrap()
        .last_exit = Some((0, finished.exits[&sample::name("one")].clone()));
    assert_eq!(row(&worker), "0/1 | OOMKilled | 0 | 0s");
}
