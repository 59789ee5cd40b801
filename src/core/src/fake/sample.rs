//! Pods and records to test with.

use std::collections::BTreeMap;

use pinnace_api::pod::{
    Container, ContainerSecurity, PodSecurity, PodSpec, PullPolicy, Resources, RestartPolicy,
};
use pinnace_api::{ContainerName, Document, Metadata, Namespace, ObjectName, Pod, PodUid};

use crate::pod::{Origin, PodIdentity};
use crate::time::WallMillis;

/// The `number`-th UID.
pub fn uid(number: u64) -> PodUid {
    checked(PodUid::new(format!("00000000-0000-4000-8000-{number:012x}")))
}

/// A container's name; `text` must be one.
pub fn name(text: &str) -> ContainerName {
    checked(ContainerName::new(text))
}

/// A document; `json` must be the JSON text of an object.
pub fn document(json: &str) -> Document {
    checked(serde_json::from_value(serde_json::Value::String(json.to_owned())))
}

/// A pod of the namespace `default` with containers of these names, 30 s of grace and nothing else.
pub fn pod(pod_name: &str, restart_policy: RestartPolicy, containers: &[&str]) -> Pod {
    Pod {
        meta: Metadata {
            name: checked(ObjectName::new(pod_name)),
            namespace: Namespace::default(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
        },
        spec: PodSpec {
            containers: containers.iter().map(|text| container(text)).collect(),
            volumes: Vec::new(),
            restart_policy,
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
        document: document(&format!(r#"{{"kind":"Pod","metadata":{{"name":"{pod_name}"}}}}"#)),
    }
}

/// A container of the image `example.com/<name>:1` with no limits.
pub fn container(text: &str) -> Container {
    Container {
        name: name(text),
        image: format!("example.com/{text}:1"),
        image_pull_policy: PullPolicy::IfNotPresent,
        command: Vec::new(),
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

/// The identity of a pod from the directory.
pub fn identity(uid: PodUid, pod: &Pod, created_at: WallMillis) -> PodIdentity {
    PodIdentity {
        version: 1,
        uid,
        namespace: pod.meta.namespace.clone(),
        name: pod.meta.name.clone(),
        origin: Origin {
            source: "directory".to_owned(),
            owner: None,
            revision: None,
        },
        document: pod.document.clone(),
        created_at,
        finished: None,
    }
}

#[allow(clippy::panic, reason = "a test that names nonsense is to fail")]
fn checked<T, E: std::fmt::Display>(made: Result<T, E>) -> T {
    match made {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}
