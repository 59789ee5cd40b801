//! Tables of verdicts.

use pinnace_api::NodeName;
use pinnace_api::pod::{Protocol, TaintEffect};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::node::Taint;
use crate::resources::testing::list;

const NOT_HELPFUL: &str = "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";
const NO_VICTIMS: &str =
    "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.";

fn asking(cpu: u64, memory: u64) -> Pod {
    let mut pod = pod("web");
    pod.spec.containers[0].resources.requests = list(cpu, memory);
    pod
}

fn with_port(name: &str, number: u16, ip: Option<&str>) -> Pod {
    let port = json!({"containerPort": number, "hostPort": number, "hostIP": ip});
    testing::pod(name, json!({"containers": [{"name": "main", "ports": [port]}]}))
}

fn bound(mut pod: Pod) -> Pod {
    pod.spec.node_name = Some(NodeName::new("edge").unwrap());
    pod
}

#[test]
fn a_pod_that_fits_is_admitted() {
    let verdict = admit(&asking(2000, 4 << 30), &node(json!({})), &[]);
    assert_eq!(verdict, Verdict::Admitted { notes: Vec::new() });
}

#[test]
fn an_untolerated_taint_is_named_and_the_first_filter_gives_the_words() {
    let node = node(json!({"registerWithTaints": [
        {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"},
        {"key": "soft", "effect": "PreferNoSchedule"},
    ]}));
    let mut pod = asking(9000, 0);
    let (message, details) = waiting(admit(&pod, &node, &[]));
    assert_eq!(
        message,
        format!("0/1 nodes are available: 1 node(s) had untolerated taint(s). {NOT_HELPFUL}")
    );
    assert_eq!(
        details,
        [
            "untolerated taint {dedicated: gpu} with effect NoSchedule",
            "cpu: asks for 9, of 2 allocatable 0 are taken by other pods",
        ]
    );
    pod.spec.tolerations = vec![tolerate("dedicated", None)];
    let (message, _) = waiting(admit(&pod, &node, &[]));
    assert_eq!(
        message,
        format!("0/1 nodes are available: 1 Insufficient cpu. {NOT_HELPFUL}")
    );
    pod.spec.containers[0].resources.requests = list(0, 0);
    let Verdict::Admitted { notes } = admit(&pod, &node, &[]) else {
        panic!("a tolerated taint lets the pod in");
    };
    assert_eq!(notes.len(), 1);
    assert!(notes[0].contains("soft:PreferNoSchedule"), "{notes:?}");
}

#[test]
fn what_is_short_is_listed_in_the_schedulers_order() {
    let node = node(json!({"maxPods": 1, "systemReserved": {"memory": "1Gi"}}));
    let other = asking(1500, 2 << 30);
    let running = [accounted(&other)];
    let (message, details) = waiting(admit(&asking(600, 2 << 30), &node, &running));
    assert_eq!(
        message,
        format!(
            "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory, 1 Too many pods. {NO_VICTIMS}"
        )
    );
    assert_eq!(
        details[2],
        "memory: asks for 2Gi, of 3Gi allocatable 2Gi are taken by other pods"
    );
    let (message, _) = waiting(admit(&asking(0, 0), &node, &running));
    assert_eq!(
        message,
        format!("0/1 nodes are available: 1 Too many pods. {NO_VICTIMS}")
    );
}

#[test]
fn a_pod_that_asks_for_nothing_fits_an_overcommitted_node() {
    let node = node(json!({"systemReserved": {"cpu": 2}}));
    assert_eq!(admit(&asking(0, 1), &node, &[]).label(), "admitted");
    assert_eq!(admit(&asking(1, 0), &node, &[]).label(), "unschedulable");
}

#[test]
fn a_selector_that_does_not_match_says_which_label() {
    let mut pod = pod("web");
    pod.spec.node_selector = [("disk".to_owned(), "ssd".to_owned())].into();
    let (message, details) = waiting(admit(&pod, &node(json!({"nodeLabels": {"disk": "hdd"}})), &[]));
    assert_eq!(
        message,
        format!(
            "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. {NOT_HELPFUL}"
        )
    );
    assert_eq!(details, ["nodeSelector: wants disk=ssd, the node has disk=hdd"]);
    let admitted = admit(&pod, &node(json!({"nodeLabels": {"disk": "ssd"}})), &[]);
    assert_eq!(admitted.label(), "admitted");
}

#[test]
fn a_pod_for_another_node_waits() {
    let mut pod = pod("web");
    pod.spec.node_name = Some(NodeName::new("other").unwrap());
    let (message, details) = waiting(admit(&pod, &node(json!({})), &[]));
    assert_eq!(
        message,
        format!("0/1 nodes are available: 1 node(s) didn't match the requested node name. {NOT_HELPFUL}")
    );
    assert_eq!(details, ["nodeName: wants other, this node is edge"]);
}

#[test]
fn a_cordoned_node_takes_only_what_tolerates_it() {
    let mut node = node(json!({}));
    node.unschedulable = true;
    let mut pod = pod("web");
    let (message, _) = waiting(admit(&pod, &node, &[]));
    assert!(
        message.starts_with("0/1 nodes are available: 1 node(s) were unschedulable."),
        "{message}"
    );
    pod.spec.tolerations = vec![tolerate("node.kubernetes.io/unschedulable", None)];
    assert_eq!(admit(&pod, &node, &[]).label(), "admitted");
}

#[test]
fn host_ports_conflict_where_number_transport_and_address_meet() {
    let holder = accounted(&with_port("a", 80, Some("192.0.2.1")));
    let node = node(json!({}));
    for (ip, number, label) in [
        (Some("192.0.2.1"), 80, "unschedulable"),
        (Some("0.0.0.0"), 80, "unschedulable"),
        (Some("::"), 80, "unschedulable"),
        (None, 80, "unschedulable"),
        (Some("192.0.2.2"), 80, "admitted"),
        (None, 81, "admitted"),
    ] {
        let verdict = admit(&with_port("b", number, ip), &node, std::slice::from_ref(&holder));
        assert_eq!(verdict.label(), label, "{ip:?} {number}");
    }
    let mut udp = with_port("b", 80, None);
    udp.spec.containers[0].ports[0].protocol = Protocol::Udp;
    assert_eq!(
        admit(&udp, &node, std::slice::from_ref(&holder)).label(),
        "admitted"
    );
    let (message, details) = waiting(admit(&with_port("b", 80, None), &node, &[holder]));
    assert_eq!(
        message,
        format!(
            "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports. {NO_VICTIMS} \
             host port TCP 80 is held by Pod default/a"
        )
    );
    assert_eq!(details, Vec::<String>::new());
}

#[test]
fn the_agents_own_port_is_held_only_while_it_listens_there() {
    let exporter = with_port("node-exporter", 9100, None);
    let (message, _) = waiting(admit(&exporter, &node(json!({})), &[]));
    assert!(
        message.contains("held by the agent itself, which listens on 0.0.0.0:9100"),
        "{message}"
    );
    assert!(
        message.contains("set metricsListen to another address"),
        "{message}"
    );
    let elsewhere = node(json!({"metricsListen": ["127.0.0.1:9180"]}));
    assert_eq!(
        admit(&exporter, &elsewhere, &[]),
        Verdict::Admitted { notes: Vec::new() }
    );
    let without_network = json!({"metricsListen": ["127.0.0.1:9180"], "podNetwork": "none"});
    let Verdict::Admitted { notes } = admit(&exporter, &node(without_network), &[]) else {
        panic!("the port is free");
    };
    assert!(notes[0].contains("host port TCP 9100"), "{notes:?}");
    let loopback = node(json!({"metricsListen": ["127.0.0.1:9100"]}));
    let on_lan = with_port("node-exporter", 9100, Some("192.0.2.1"));
    assert_eq!(admit(&on_lan, &loopback, &[]).label(), "admitted");
}

#[test]
fn another_operating_system_is_refused_after_scheduling() {
    let mut windows = pod("web");
    windows.spec.os = Some("windows".to_owned());
    assert_eq!(
        refused(admit(&windows, &node(json!({})), &[])),
        (
            "PodOSNotSupported",
            "Failed to admit pod as the OS field doesn't match node OS".to_owned()
        )
    );
    windows.spec.containers[0].resources.requests = list(9000, 0);
    assert_eq!(admit(&windows, &node(json!({})), &[]).label(), "unschedulable");
    let mut labelled = pod("web");
    labelled
        .meta
        .labels
        .insert("kubernetes.io/os".to_owned(), "windows".to_owned());
    assert_eq!(
        refused(admit(&labelled, &node(json!({})), &[])).0,
        "PodOSSelectorNodeLabelDoesNotMatch"
    );
}

#[test]
fn a_pod_placed_here_by_name_is_refused_in_the_kubelets_words() {
    let other = asking(1500, 0);
    let running = [accounted(&other)];
    assert_eq!(
        refused(admit(&bound(asking(600, 5 << 30)), &node(json!({})), &running)),
        (
            "OutOfcpu",
            "Node didn't have enough resource: cpu, requested: 600, used: 1500, capacity: 2000".to_owned()
        )
    );
    assert_eq!(
        refused(admit(&bound(asking(0, 5 << 30)), &node(json!({})), &running)).0,
        "OutOfmemory"
    );
    assert_eq!(
        refused(admit(
            &bound(asking(9000, 0)),
            &node(json!({"maxPods": 1})),
            &running
        )),
        (
            "OutOfpods",
            "Node didn't have enough resource: pods, requested: 1, used: 1, capacity: 1".to_owned()
        )
    );
    let mut selecting = bound(pod("web"));
    selecting.spec.node_selector = [("disk".to_owned(), "ssd".to_owned())].into();
    assert_eq!(
        refused(admit(&selecting, &node(json!({})), &[])),
        (
            "NodeAffinity",
            "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector".to_owned()
        )
    );
    assert_eq!(
        refused(admit(&bound(with_port("b", 9100, None)), &node(json!({})), &[])).0,
        "NodePorts"
    );
}

#[test]
fn a_pod_placed_here_by_name_heeds_no_execute_but_not_no_schedule() {
    let tainted = |effect: &str| node(json!({"registerWithTaints": [{"key": "k", "effect": effect}]}));
    assert_eq!(
        admit(&bound(pod("web")), &tainted("NoSchedule"), &[]).label(),
        "admitted"
    );
    assert_eq!(
        refused(admit(&bound(pod("web")), &tainted("NoExecute"), &[])),
        (
            "TaintToleration",
            "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate".to_owned()
        )
    );
}

proptest! {
    #[test]
    fn what_is_admitted_never_exceeds_the_node(
        asks in proptest::collection::vec((0..3000_u64, 0..6_u64 << 30, any::<bool>()), 0..30),
        max_pods in 0..20_u32,
    ) {
        let node = node(json!({"maxPods": max_pods}));
        let mut running = Vec::new();
        for (cpu, memory, by_name) in asks {
            let mut pod = asking(cpu, memory);
            if by_name {
                pod = bound(pod);
            }
            if admit(&pod, &node, &running).label() == "admitted" {
                running.push(accounted(&pod));
            }
        }
        let used = running.iter().map(|pod| pod.requests).fold(Requests::default(), Requests::plus);
        prop_assert!(used.cpu <= node.allocatable.cpu);
        prop_assert!(used.memory <= node.allocatable.memory);
        prop_assert!(running.len() <= max_pods as usize);
    }

    #[test]
    fn tolerating_everything_bears_any_taints(keys in proptest::collection::vec("[a-z]{1,8}", 0..10)) {
        let mut node = node(json!({}));
        node.taints = keys.iter().map(|key| Taint::new(key.clone(), TaintEffect::NoExecute)).collect();
        let mut pod = pod("web");
        let expected = if keys.is_empty() { "admitted" } else { "unschedulable" };
        prop_assert_eq!(admit(&pod, &node, &[]).label(), expected);
        pod.spec.tolerations = vec![Toleration { key: None, ..tolerate("", None) }];
        prop_assert_eq!(admit(&pod, &node, &[]).label(), "admitted");
    }
}

#[test]
fn a_pod_with_gates_is_asked_nothing_and_waits() {
    let gates = json!([{"name": "example.com/quota"}]);
    let gated = testing::pod("web", json!({"schedulingGates": gates}));
    assert_eq!(admit(&gated, &node(json!({})), &[]), Verdict::Gated);
    let elsewhere = json!({"schedulingGates": gates, "nodeSelector": {"a": "b"}});
    let elsewhere = testing::pod("web", elsewhere);
    assert_eq!(admit(&elsewhere, &node(json!({})), &[]), Verdict::Gated);
}
