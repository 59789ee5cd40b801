//! Verdicts in Kubernetes' words, and what must hold for any pod.

mod affinity;
mod eviction;
mod verdicts;

use std::net::SocketAddr;

use pinnace_api::pod::{Protocol, Toleration};
use pinnace_api::{Bytes, PodUid, testing};

use super::*;
use crate::config::NodeConfig;
use crate::node::{HostFacts, OwnPort};

/// A node `edge` with 2 CPUs and 4 GiB, configured so.
fn node(config: serde_json::Value) -> Node {
    let config: NodeConfig = serde_json::from_value(config).unwrap();
    let facts = HostFacts {
        hostname: "edge".to_owned(),
        machine: "x86_64".to_owned(),
        cpus: 2,
        memory: Bytes(4 << 30),
        ephemeral_storage: Bytes(10 << 30),
        ..HostFacts::default()
    };
    let mut node = Node::new(&config, facts).unwrap();
    node.own_ports = config
        .metrics_listen
        .iter()
        .map(|address: &SocketAddr| OwnPort {
            address: *address,
            protocol: Protocol::Tcp,
            setting: "metricsListen",
        })
        .collect();
    node
}

/// A pod of one container that asks for nothing.
fn pod(name: &str) -> Pod {
    testing::pod(name, serde_json::json!({}))
}

fn tolerate(key: &str, seconds: Option<i64>) -> Toleration {
    Toleration {
        key: Some(key.to_owned()),
        value: None,
        effect: None,
        toleration_seconds: seconds,
    }
}

fn accounted(pod: &Pod) -> Accounted {
    Accounted::of(PodUid::new("11111111-1111").unwrap(), pod)
}

/// Message and details of a pod that waits.
fn waiting(verdict: Verdict) -> (String, Vec<String>) {
    match verdict {
        Verdict::Unschedulable { message, details } => (message, details),
        other => panic!("not waiting: {other:?}"),
    }
}

/// Reason and message of a pod that is refused.
fn refused(verdict: Verdict) -> (&'static str, String) {
    match verdict {
        Verdict::Refused { reason, message, .. } => (reason, message),
        other => panic!("not refused: {other:?}"),
    }
}
