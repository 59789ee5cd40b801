//! The node for a configuration on a host.

use pinnace_api::pod::{TaintEffect, Toleration};
use pinnace_api::{Bytes, MilliCpu};
use proptest::prelude::*;

use super::*;
use crate::time::WallMillis;

const GI: u64 = 1 << 30;

fn facts() -> HostFacts {
    HostFacts {
        hostname: "Edge-7.Example.org".to_owned(),
        machine: "aarch64".to_owned(),
        kernel_release: "6.12.0".to_owned(),
        os_image: "Debian GNU/Linux 13 (trixie)".to_owned(),
        cpus: 4,
        memory: Bytes(8 * GI),
        ephemeral_storage: Bytes(100 * GI),
        addresses: vec!["192.0.2.7".parse().unwrap()],
        ..HostFacts::default()
    }
}

fn config(json: serde_json::Value) -> NodeConfig {
    serde_json::from_value(json).unwrap()
}

#[test]
fn the_node_is_named_after_the_host_unless_configured() {
    let node = Node::new(&NodeConfig::default(), facts()).unwrap();
    assert_eq!(node.name.as_str(), "edge-7.example.org");
    let node = Node::new(&config(serde_json::json!({"nodeName": "pump-1"})), facts()).unwrap();
    assert_eq!(node.name.as_str(), "pump-1");
    assert_eq!(node.labels["kubernetes.io/hostname"], "pump-1");
    let unnamed = HostFacts {
        hostname: "under_score".to_owned(),
        ..facts()
    };
    let error = Node::new(&NodeConfig::default(), unnamed).unwrap_err();
    assert!(error.to_string().contains("nodeName"), "{error}");
}

#[test]
fn labels_are_kubernetes_own_and_the_configured_ones() {
    let config = config(serde_json::json!({"nodeLabels": {
        "topology.kubernetes.io/zone": "hall-3", "kubernetes.io/hostname": "edge"
    }}));
    let node = Node::new(&config, facts()).unwrap();
    let expected = [
        ("beta.kubernetes.io/arch", "arm64"),
        ("beta.kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", "arm64"),
        ("kubernetes.io/hostname", "edge"),
        ("kubernetes.io/os", "linux"),
        ("topology.kubernetes.io/zone", "hall-3"),
    ];
    let labels: Vec<(&str, &str)> = node
        .labels
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(labels, expected);
}

#[test]
fn architectures_have_gos_names() {
    for (machine, arch) in [
        ("x86_64", "amd64"),
        ("aarch64", "arm64"),
        ("armv7l", "arm"),
        ("i686", "386"),
        ("ppc64le", "ppc64le"),
        ("s390x", "s390x"),
        ("riscv64", "riscv64"),
        ("loongarch64", "loong64"),
    ] {
        assert_eq!(go_arch(machine), arch);
    }
}

#[test]
fn allocatable_is_capacity_without_what_is_reserved() {
    let mut node = Node::new(&NodeConfig::default(), facts()).unwrap();
    assert_eq!(node.allocatable, node.capacity);
    assert_eq!(node.capacity.pods, 110);
    node.apply(&config(serde_json::json!({
        "systemReserved": {"cpu": "500m", "memory": "1Gi", "ephemeral-storage": "10Gi"},
        "kubeReserved": {"cpu": 1, "memory": "512Mi"},
        "podsPerCore": 10,
    })));
    assert_eq!(
        node.allocatable,
        NodeResources {
            cpu: MilliCpu(2500),
            memory: Bytes(13 * GI / 2),
            ephemeral_storage: Bytes(90 * GI),
            pods: 40,
        }
    );
    node.apply(&config(serde_json::json!({"systemReserved": {"cpu": 64}})));
    assert_eq!(node.allocatable.cpu, MilliCpu(0));
}

#[test]
fn a_node_is_shown_in_the_shape_of_core_v1() {
    let config = config(serde_json::json!({
        "nodeName": "edge", "registerWithTaints": [{"key": "k", "effect": "NoExecute"}],
        "systemReserved": {"cpu": "1500m"},
    }));
    let node = Node::new(&config, facts()).unwrap();
    let state = NodeState {
        not_ready: None,
        ready_since: WallMillis(0),
        created_at: WallMillis(0),
        now: WallMillis(1_709_251_199_000),
        agent_version: "0.1.0".to_owned(),
    };
    let object = node.to_object(&state);
    assert_eq!(
        object["spec"],
        serde_json::json!({"taints": [{"key": "k", "effect": "NoExecute"}]})
    );
    assert_eq!(
        object["status"]["allocatable"],
        serde_json::json!({
            "cpu": "2500m", "memory": "8388608Ki", "ephemeral-storage": "104857600Ki", "pods": "110"
        })
    );
    assert_eq!(object["status"]["conditions"][0]["status"], "True");
    assert_eq!(
        object["status"]["conditions"][0]["lastHeartbeatTime"],
        "2024-02-29T23:59:59Z"
    );
    assert_eq!(
        object["status"]["addresses"],
        serde_json::json!([
            {"type": "InternalIP", "address": "192.0.2.7"}, {"type": "Hostname", "address": "edge"}
        ])
    );
    assert_eq!(object["status"]["nodeInfo"]["architecture"], "arm64");
}

fn toleration(key: Option<&str>, value: Option<&str>, effect: Option<TaintEffect>) -> Toleration {
    Toleration {
        key: key.map(str::to_owned),
        value: value.map(str::to_owned),
        effect,
        toleration_seconds: None,
    }
}

#[test]
fn tolerations_of_all_forms_bear_the_taints_that_they_name() {
    use TaintEffect::{NoExecute, NoSchedule};
    let taint = Taint {
        key: "dedicated".to_owned(),
        value: "gpu".to_owned(),
        effect: NoSchedule,
    };
    let key = Some("dedicated");
    for (toleration, bears) in [
        (toleration(key, Some("gpu"), Some(NoSchedule)), true),
        (toleration(key, Some("gpu"), None), true),
        (toleration(key, Some("cpu"), Some(NoSchedule)), false),
        (toleration(key, Some(""), Some(NoSchedule)), false),
        (toleration(key, Some("gpu"), Some(NoExecute)), false),
        (toleration(key, None, Some(NoSchedule)), true),
        (toleration(key, None, None), true),
        (toleration(None, None, None), true),
        (toleration(None, None, Some(NoSchedule)), true),
        (toleration(None, None, Some(NoExecute)), false),
        (toleration(Some("other"), None, None), false),
    ] {
        assert_eq!(taint.is_borne_by(&toleration), bears, "{toleration:?}");
    }
    assert_eq!(taint.to_string(), "dedicated=gpu:NoSchedule");
    assert_eq!(Taint::new("k", NoExecute).to_string(), "k:NoExecute");
}

proptest! {
    #[test]
    fn allocatable_is_never_more_than_capacity(
        cpus in 0..1024_u32, memory in any::<u64>(), reserved in 0..i64::MAX as u64, per_core in 0..1000_u32,
    ) {
        let config = config(serde_json::json!({
            "systemReserved": {"cpu": reserved / 1000, "memory": reserved}, "podsPerCore": per_core,
        }));
        let facts = HostFacts { cpus, memory: Bytes(memory), ..facts() };
        let node = Node::new(&config, facts).unwrap();
        prop_assert!(node.allocatable.cpu <= node.capacity.cpu);
        prop_assert_eq!(node.allocatable.memory.0, memory.saturating_sub(reserved));
        prop_assert!(node.allocatable.pods <= config.max_pods);
    }
}
