//! Decisions over pods, taints and templates.

use pinnace_api::daemonset::REVISION_LABEL;
use pinnace_api::pod::Toleration;
use pinnace_api::{Bytes, Object, ReadLimits, from_document, read_documents, testing};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::config::NodeConfig;
use crate::node::HostFacts;
use crate::resources::testing::list;

const NOW: BootMillis = BootMillis(1_000_000);

fn node(config: Value) -> Node {
    let config: NodeConfig = serde_json::from_value(config).unwrap();
    let facts = HostFacts {
        hostname: "edge".to_owned(),
        cpus: 1,
        memory: Bytes(1 << 30),
        ..HostFacts::default()
    };
    Node::new(&config, facts).unwrap()
}

fn set() -> DaemonSet {
    testing::daemon_set("monitoring", "exporter", json!({}))
}

fn existing(name: &str, revision: &str, created_at: u64, state: DaemonPodState) -> DaemonPod {
    DaemonPod {
        name: ObjectName::new(name).unwrap(),
        uid: PodUid::new(format!("uid-{name}")).unwrap(),
        revision: Some(revision.to_owned()),
        created_at: WallMillis(created_at),
        state,
    }
}

fn ask(set: &DaemonSet, node: &Node, pods: &[DaemonPod]) -> Decision {
    decide(set, node, pods, FailedBackoff::default(), 7, NOW)
}

fn deleted(decision: &Decision) -> Vec<(&str, WhyDelete)> {
    decision
        .delete
        .iter()
        .map(|deletion| (deletion.name.as_str(), deletion.why))
        .collect()
}

#[test]
fn a_set_that_fits_makes_one_pod_named_after_it() {
    let decision = ask(&set(), &node(json!({})), &[]);
    let pod = decision.create.unwrap();
    assert!(
        pod.meta.name.as_str().starts_with("exporter-"),
        "{}",
        pod.meta.name
    );
    assert_eq!(pod.meta.name.as_str().len(), "exporter-".len() + 5);
    assert_eq!(pod.meta.namespace.as_str(), "monitoring");
    assert_eq!(pod.meta.labels["app"], "exporter");
    assert_eq!(pod.meta.labels[REVISION_LABEL], decision.revision);
    assert_eq!(
        (
            decision.counts.desired_number_scheduled,
            decision.counts.number_unavailable
        ),
        (1, 1)
    );
    assert!(decision.misfit.is_empty() && decision.delete.is_empty());
}

/// The example as a user lays it down.
const EXPORTER: &str = include_str!("../../../../../config/examples/node-exporter-daemonset.yaml");

#[test]
fn a_made_pod_is_read_again_from_its_document_as_the_same() {
    let reading = read_documents(EXPORTER.as_bytes(), "a.yaml", &ReadLimits::default());
    let mut objects = reading.objects.into_iter().map(|located| located.object);
    let Some(Object::DaemonSet(set)) = objects.next() else {
        panic!("no DaemonSet: {:?}", reading.problems);
    };
    let pod = ask(&set, &node(json!({})), &[]).create.unwrap();
    let again = from_document(&pod.document, "record").unwrap();
    assert_eq!(again, Object::Pod(pod));
}

#[test]
fn a_cordoned_node_still_gets_its_daemons() {
    let mut node = node(json!({}));
    node.unschedulable = true;
    let pod = ask(&set(), &node, &[]).create.unwrap();
    let verdict = crate::admission::admit(&pod, &node, &[]);
    assert_eq!(verdict.label(), "admitted");
}

#[test]
fn a_pod_of_the_newest_template_is_kept() {
    let (set, node) = (set(), node(json!({})));
    let revision = ask(&set, &node, &[]).revision;
    let pods = [existing(
        "a",
        &revision,
        1,
        DaemonPodState::Running { ready: true },
    )];
    let decision = ask(&set, &node, &pods);
    assert!(decision.create.is_none() && decision.delete.is_empty() && decision.wake_at.is_none());
    assert_eq!(
        serde_json::to_value(decision.counts).unwrap(),
        json!({
            "desiredNumberScheduled": 1, "currentNumberScheduled": 1, "numberMisscheduled": 0, "numberReady": 1,
            "updatedNumberScheduled": 1, "numberAvailable": 1, "numberUnavailable": 0,
        })
    );
}

#[test]
fn an_older_template_goes_first_and_the_new_pod_comes_when_it_is_gone() {
    let (mut set, node) = (set(), node(json!({})));
    let old = [existing("a", "old", 1, DaemonPodState::Running { ready: true })];
    let decision = ask(&set, &node, &old);
    assert_eq!(deleted(&decision), [("a", WhyDelete::Outdated)]);
    assert!(decision.create.is_none());
    assert_eq!(decision.counts.updated_number_scheduled, 0);
    let going = [existing("a", "old", 1, DaemonPodState::Terminating)];
    let decision = ask(&set, &node, &going);
    assert!(decision.create.is_none() && decision.delete.is_empty());
    assert!(ask(&set, &node, &[]).create.is_some());
    set.update_strategy = UpdateStrategy::OnDelete;
    assert!(ask(&set, &node, &old).delete.is_empty());
}

#[test]
fn a_set_that_does_not_fit_makes_no_pod_and_says_why() {
    let mut set = set();
    set.template_spec.node_selector = [("disk".to_owned(), "ssd".to_owned())].into();
    let tainted = node(json!({"registerWithTaints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]}));
    let decision = ask(&set, &tainted, &[]);
    assert!(decision.create.is_none());
    assert_eq!(
        decision.misfit,
        [
            "nodeSelector: wants disk=ssd, the node has no label disk",
            "untolerated taint {k: v} with effect NoSchedule",
        ]
    );
    assert_eq!(decision.counts.desired_number_scheduled, 0);
    let running = [existing("a", "x", 1, DaemonPodState::Running { ready: true })];
    let decision = ask(&set, &tainted, &running);
    assert_eq!(deleted(&decision), [("a", WhyDelete::Misfit)]);
    assert_eq!(decision.counts.number_misscheduled, 1);
}

#[test]
fn no_schedule_leaves_a_running_pod_and_no_execute_does_not() {
    let tainted = |effect: &str| node(json!({"registerWithTaints": [{"key": "k", "effect": effect}]}));
    let running = [existing("a", "old", 1, DaemonPodState::Running { ready: true })];
    let mut set = set();
    assert!(ask(&set, &tainted("NoSchedule"), &running).delete.is_empty());
    assert_eq!(
        deleted(&ask(&set, &tainted("NoExecute"), &running)),
        [("a", WhyDelete::Misfit)]
    );
    set.template_spec.tolerations = vec![Toleration {
        key: None,
        value: None,
        effect: None,
        toleration_seconds: None,
    }];
    assert!(ask(&set, &tainted("NoExecute"), &[]).create.is_some());
}

#[test]
fn want_of_resources_is_admissions_business() {
    let mut set = set();
    set.template_spec.containers[0].resources.requests = list(64_000, 0);
    assert!(ask(&set, &node(json!({})), &[]).create.is_some());
}

#[test]
fn of_several_pods_the_oldest_running_one_stays() {
    let (set, node) = (set(), node(json!({})));
    let revision = ask(&set, &node, &[]).revision;
    let running = DaemonPodState::Running { ready: false };
    let pods = [
        existing("c", &revision, 3, running),
        existing("a", &revision, 1, DaemonPodState::Pending),
        existing("b", &revision, 2, running),
    ];
    assert_eq!(
        deleted(&ask(&set, &node, &pods)),
        [("c", WhyDelete::Surplus), ("a", WhyDelete::Surplus)]
    );
}

#[test]
fn failed_pods_are_replaced_ever_more_slowly() {
    let (set, node) = (set(), node(json!({})));
    let failed = [existing("a", "x", 1, DaemonPodState::Failed)];
    let mut backoff = FailedBackoff::default();
    let mut now = NOW;
    let mut delays = Vec::new();
    for _ in 0..13 {
        let decision = decide(&set, &node, &failed, backoff, 7, now);
        assert_eq!(deleted(&decision), [("a", WhyDelete::Failed)]);
        backoff = decision.backoff;
        let waiting = decide(&set, &node, &failed, backoff, 7, now);
        assert!(waiting.delete.is_empty() && waiting.create.is_none());
        let until = waiting.wake_at.unwrap();
        delays.push(until.since(now) / 1000);
        now = until;
    }
    assert_eq!(delays, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
    let later = now.after(2 * 15 * 60_000 + 1);
    let decision = decide(&set, &node, &failed, backoff, 7, later);
    assert_eq!(decision.backoff.waits_until(later), Some(later.after(1_000)));
    let succeeded = [existing("a", "x", 1, DaemonPodState::Succeeded)];
    assert_eq!(
        deleted(&ask(&set, &node, &succeeded)),
        [("a", WhyDelete::Succeeded)]
    );
}

fn any_state() -> impl Strategy<Value = DaemonPodState> {
    prop_oneof![
        Just(DaemonPodState::Pending),
        any::<bool>().prop_map(|ready| DaemonPodState::Running { ready }),
        Just(DaemonPodState::Succeeded),
        Just(DaemonPodState::Failed),
        Just(DaemonPodState::Terminating),
    ]
}

proptest! {
    /// Deletions are carried out, terminations end, time passes: the node comes to rest with exactly one pod.
    #[test]
    fn any_start_comes_to_rest_with_one_pod(
        start in proptest::collection::vec((any_state(), 0..5_u64, any::<bool>()), 0..6),
        seed in any::<u64>(),
    ) {
        let (set, node) = (set(), node(json!({})));
        let current = ask(&set, &node, &[]).revision;
        let mut pods: Vec<DaemonPod> = start
            .iter()
            .enumerate()
            .map(|(index, (state, created_at, new))| {
                let revision = if *new { current.as_str() } else { "old" };
                existing(&format!("p{index}"), revision, *created_at, *state)
            })
            .collect();
        let (mut backoff, mut now) = (FailedBackoff::default(), NOW);
        let mut settled = false;
        for step in 0..50_u64 {
            let decision = decide(&set, &node, &pods, backoff, seed.wrapping_add(step), now);
            prop_assert!(decision.create.is_none() || pods.is_empty(), "a second pod beside the first");
            backoff = decision.backoff;
            let ending = pods.iter().any(DaemonPod::is_terminating);
            settled = decision.delete.is_empty() && decision.create.is_none() && decision.wake_at.is_none() && !ending;
            if settled {
                break;
            }
            pods.retain(|pod| !pod.is_terminating());
            for pod in &mut pods {
                if decision.delete.iter().any(|deletion| deletion.uid == pod.uid) {
                    pod.state = DaemonPodState::Terminating;
                }
            }
            if let Some(pod) = decision.create {
                let revision = pod.meta.labels[REVISION_LABEL].clone();
                pods.push(existing(pod.meta.name.as_str(), &revision, 9, DaemonPodState::Running { ready: true }));
            }
            now = decision.wake_at.unwrap_or(now);
        }
        prop_assert!(settled);
        prop_assert_eq!(pods.len(), 1);
        prop_assert_eq!(pods[0].revision.as_ref(), Some(&current));
    }
}
