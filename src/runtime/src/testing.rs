//! Pods for this crate's tests.

use std::collections::BTreeMap;

use pinnace_api::pod::{
    Container, ContainerSecurity, PodSecurity, PodSpec, PullPolicy, Resources, RestartPolicy,
};
use pinnace_api::{ContainerName, Metadata, ObjectName, Pod};

/// A container that runs `command`.
pub fn container(name: &str, command: &[&str]) -> Container {
    Container {
        name: ContainerName::new(name).expect("a name"),
        image: "busybox".to_owned(),
        image_pull_policy: PullPolicy::Never,
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        args: Vec::new(),
        env: Vec::new(),
        working_dir: None,
        ports: Vec::new(),
        resources: Resources::default(),
        volume_mounts: Vec::new(),
        security: ContainerSecurity::default(),
        stdin: false,
        tty: false,
    }
}

/// A pod of these containers.
pub fn pod(name: &str, containers: Vec<Container>) -> Pod {
    Pod {
        meta: Metadata {
            name: ObjectName::new(name).expect("a name"),
            namespace: pinnace_api::Namespace::default(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
        },
        spec: PodSpec {
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
        },
        document: serde_json::from_str("\"{}\"").expect("a document"),
    }
}
