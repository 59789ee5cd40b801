//! Objects for the tests of every crate, read strictly from manifests as short as a test wants them.
//!
//! A manifest is a [`Value`], as YAML in a test would have to be quoted; what it leaves out has the defaults
//! that any other manifest's would. What cannot be read fails the test with the problems found.

#![allow(clippy::panic, reason = "a test that names nonsense is to fail")]

use serde_json::{Value, json};

use crate::pod::Container;
use crate::{
    ConfigMap, ContainerName, DaemonSet, Document, NamespaceObject, NetworkPolicy, Object,
    PersistentVolumeClaim, Pod, PodUid, ReadLimits, Secret, Service, StorageClass, read_documents,
};

/// The pod `name` of the namespace `default`.
///
/// `spec` needs to say only what the test is about: without containers the pod has one, `main`, and a
/// container without an image has `example.com/<its name>:1`.
pub fn pod(name: &str, spec: Value) -> Pod {
    let manifest =
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": filled(spec)});
    match object(&manifest) {
        Object::Pod(pod) => pod,
        other => panic!("not a pod: {other:?}"),
    }
}

/// Containers of these names, as a spec's `containers`.
pub fn containers(names: &[&str]) -> Value {
    names.iter().map(|name| json!({"name": name})).collect()
}

/// A container; `fields` are all but its name.
pub fn container(name: &str, mut fields: Value) -> Container {
    fields["name"] = json!(name);
    let mut pod = pod("any", json!({"containers": [fields]}));
    pod.spec.containers.remove(0)
}

/// The DaemonSet `namespace`/`name` whose pods are labelled `app: <name>`; `spec` is that of its pods.
pub fn daemon_set(namespace: &str, name: &str, spec: Value) -> DaemonSet {
    let manifest = json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": filled(spec)},
        },
    });
    match object(&manifest) {
        Object::DaemonSet(set) => set,
        other => panic!("not a DaemonSet: {other:?}"),
    }
}

/// The Service `namespace`/`name`.
pub fn service(namespace: &str, name: &str, spec: &Value) -> Service {
    let manifest = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    });
    match object(&manifest) {
        Object::Service(service) => service,
        other => panic!("not a Service: {other:?}"),
    }
}

/// The NetworkPolicy `namespace`/`name`.
pub fn network_policy(namespace: &str, name: &str, spec: &Value) -> NetworkPolicy {
    let manifest = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    });
    match object(&manifest) {
        Object::NetworkPolicy(policy) => policy,
        other => panic!("not a NetworkPolicy: {other:?}"),
    }
}

/// The Namespace `name` with these labels.
pub fn namespace(name: &str, labels: &Value) -> NamespaceObject {
    let metadata = json!({"name": name, "labels": labels});
    let manifest = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
    match object(&manifest) {
        Object::Namespace(namespace) => namespace,
        other => panic!("not a Namespace: {other:?}"),
    }
}

/// The ConfigMap `namespace`/`name`; `fields` are all but its metadata.
pub fn config_map(namespace: &str, name: &str, fields: Value) -> ConfigMap {
    match object(&named("v1", "ConfigMap", namespace, name, fields)) {
        Object::ConfigMap(map) => map,
        other => panic!("not a ConfigMap: {other:?}"),
    }
}

/// The Secret `namespace`/`name`; `fields` are all but its metadata.
pub fn secret(namespace: &str, name: &str, fields: Value) -> Secret {
    match object(&named("v1", "Secret", namespace, name, fields)) {
        Object::Secret(secret) => secret,
        other => panic!("not a Secret: {other:?}"),
    }
}

/// The PersistentVolumeClaim `namespace`/`name`.
pub fn claim(namespace: &str, name: &str, spec: &Value) -> PersistentVolumeClaim {
    let fields = json!({"spec": spec});
    match object(&named("v1", "PersistentVolumeClaim", namespace, name, fields)) {
        Object::PersistentVolumeClaim(claim) => claim,
        other => panic!("not a PersistentVolumeClaim: {other:?}"),
    }
}

/// The StorageClass `name`; `fields` are all but its metadata.
pub fn storage_class(name: &str, fields: Value) -> StorageClass {
    match object(&named(
        "storage.k8s.io/v1",
        "StorageClass",
        "default",
        name,
        fields,
    )) {
        Object::StorageClass(class) => class,
        other => panic!("not a StorageClass: {other:?}"),
    }
}

fn named(version: &str, kind: &str, namespace: &str, name: &str, mut fields: Value) -> Value {
    fields["apiVersion"] = json!(version);
    fields["kind"] = json!(kind);
    fields["metadata"] = json!({"name": name, "namespace": namespace});
    fields
}

/// The `number`-th UID.
pub fn uid(number: u64) -> PodUid {
    checked(PodUid::new(format!("00000000-0000-4000-8000-{number:012x}")))
}

/// A container's name.
pub fn name(text: &str) -> ContainerName {
    checked(ContainerName::new(text))
}

/// A document of this text, which a reader might refuse.
pub fn document(text: &str) -> Document {
    checked(serde_json::from_value(json!(text)))
}

fn filled(mut spec: Value) -> Value {
    if spec.get("containers").is_none() {
        spec["containers"] = containers(&["main"]);
    }
    for container in spec["containers"].as_array_mut().into_iter().flatten() {
        if container.get("image").is_none() {
            let name = container["name"].as_str().unwrap_or_default();
            container["image"] = json!(format!("example.com/{name}:1"));
        }
    }
    spec
}

fn object(manifest: &Value) -> Object {
    let text = manifest.to_string();
    let mut reading = read_documents(text.as_bytes(), "a test's manifest", &ReadLimits::default());
    if reading.has_errors() || reading.objects.len() != 1 {
        panic!("{text}: {:#?}", reading.problems);
    }
    reading.objects.remove(0).object
}

fn checked<T, E: std::fmt::Display>(made: Result<T, E>) -> T {
    match made {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}
