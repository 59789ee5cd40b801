//! Pods for the tests of this crate's arithmetic and admission.

use std::collections::BTreeMap;

use pinnace_api::pod::{
    Container, ContainerPort, ContainerSecurity, PodSecurity, PodSpec, Protocol, PullPolicy, ResourceList,
    Resources, RestartPolicy,
};
use pinnace_api::{Bytes, ContainerName, Document, Metadata, MilliCpu, Namespace, ObjectName, Pod};

pub(crate) fn list(cpu: u64, memory: u64) -> ResourceList {
    ResourceList {
        cpu: (cpu > 0).then_some(MilliCpu(cpu)),
        memory: (memory > 0).then_some(Bytes(memory)),
        ephemeral_storage: None,
    }
}

pub(crate) fn container(name: &str, requests: ResourceList, limits: ResourceList) -> Container {
    Container {
        name: ContainerName::new(name).unwrap(),
        image: "busybox:1.36".to_owned(),
        image_pull_policy: PullPolicy::IfNotPresent,
        command: Vec::new(),
        args: Vec::new(),
        env: Vec::new(),
        working_dir: None,
        ports: Vec::new(),
        resources: Resources { requests, limits },
        volume_mounts: Vec::new(),
        security: ContainerSecurity::default(),
        stdin: false,
        tty: false,
    }
}

pub(crate) fn port(host_port: u16, host_ip: Option<&str>, protocol: Protocol) -> ContainerPort {
    ContainerPort {
        name: None,
        container_port: host_port,
        host_port: Some(host_port),
        host_ip: host_ip.map(|ip| ip.parse().unwrap()),
        protocol,
    }
}

pub(crate) fn spec(containers: Vec<Container>) -> PodSpec {
    PodSpec {
        containers,
        volumes: Vec::new(),
        restart_policy: RestartPolicy::Always,
        termination_grace_period_seconds: 30,
        node_name: None,
        node_selector: BTreeMap::new(),
        required_node_affinity: None,
        tolerations: Vec::new(),
        host_network: false,
        host_pid: false,
        host_ipc: false,
        hostname: None,
        os: None,
        security: PodSecurity::default(),
        service_account_name: None,
    }
}

pub(crate) fn document(text: &str) -> Document {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).unwrap()
}

pub(crate) fn metadata(name: &str) -> Metadata {
    Metadata {
        name: ObjectName::new(name).unwrap(),
        namespace: Namespace::default(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
    }
}

/// A pod of one container that asks for nothing.
pub(crate) fn pod(name: &str) -> Pod {
    Pod {
        meta: metadata(name),
        spec: spec(vec![container("main", list(0, 0), list(0, 0))]),
        document: document("{}"),
    }
}
