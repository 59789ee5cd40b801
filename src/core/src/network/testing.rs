//! Pods, ranges and tables for this module's tests.

use std::sync::Arc;

use pinnace_api::testing;
use serde_json::{Value, json};

use super::inputs::{PodOnNetwork, ServiceRanges};

/// A ready pod `namespace/name` with labels `app: …` and these addresses.
pub(super) fn pod(place: &str, app: &str, addresses: &[&str], spec: Value) -> PodOnNetwork {
    let (namespace, name) = place.split_once('/').unwrap();
    let mut pod = testing::pod(name, spec);
    pod.meta.namespace = namespace.to_owned().try_into().unwrap();
    pod.meta.labels.insert("app".to_owned(), app.to_owned());
    PodOnNetwork {
        pod: Arc::new(pod),
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        ready: true,
        terminating: false,
    }
}

/// A pod whose one container has these ports.
pub(super) fn with_ports(ports: &Value) -> Value {
    json!({"containers": [{"name": "main", "ports": ports}]})
}

/// A node of both families.
pub(super) fn ranges() -> ServiceRanges {
    ServiceRanges {
        cluster: vec!["10.96.0.0/16".parse().unwrap(), "fd00:96::/112".parse().unwrap()],
        node_ports: 30_000..=32_767,
        reserved: vec!["10.96.0.10".parse().unwrap()],
        reserved_node_ports: vec![31_000],
    }
}
