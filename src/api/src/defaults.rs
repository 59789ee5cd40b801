//! The object as an API server shows it: Kubernetes' defaults laid into a document.
//!
//! Only for those who look: what this node does comes from the typed model, and whether an object changed is
//! asked of the [`Document`] before defaulting. What is given, even `0` or `false`, stays; an empty text counts
//! as absent where Kubernetes takes it so. What admission plugins of a cluster add (priority, service account,
//! tolerations of a node that is lost) is no default and is not added.

mod network;
mod storage;

use serde_json::{Map, Value, json};

use crate::convert::default_pull_policy;
use crate::document::Document;

type Object = Map<String, Value>;

impl Document {
    /// The object with Kubernetes' defaults.
    pub fn defaulted(&self) -> Object {
        // A document is an object's JSON by construction.
        let Ok(Value::Object(mut object)) = serde_json::from_str(&self.0) else {
            return Object::new();
        };
        match object.get("kind").and_then(Value::as_str) {
            Some("Pod") => {
                if let Some(spec) = object_at(&mut object, "spec") {
                    pod_template_spec(spec);
                    pod_spec(spec);
                }
            }
            Some("DaemonSet") => {
                if let Some(spec) = object_at(&mut object, "spec") {
                    daemon_set_spec(spec);
                }
            }
            Some("Service") => within(&mut object, "spec", network::service_spec),
            Some("NetworkPolicy") => within(&mut object, "spec", network::policy_spec),
            Some("Namespace") => network::namespace(&mut object),
            Some("Secret") => storage::secret(&mut object),
            Some("PersistentVolumeClaim") => within(&mut object, "spec", storage::claim_spec),
            Some("StorageClass") => storage::storage_class(&mut object),
            _ => {}
        }
        object
    }
}

fn daemon_set_spec(spec: &mut Object) {
    set(spec, "revisionHistoryLimit", json!(10));
    within(spec, "updateStrategy", update_strategy);
    let template = object_at(spec, "template").and_then(|template| object_at(template, "spec"));
    if let Some(template) = template {
        pod_template_spec(template);
    }
}

fn update_strategy(strategy: &mut Object) {
    set_text(strategy, "type", "RollingUpdate");
    if strategy.get("type").and_then(Value::as_str) == Some("RollingUpdate") {
        within(strategy, "rollingUpdate", |rolling| {
            set(rolling, "maxUnavailable", json!(1));
            set(rolling, "maxSurge", json!(0));
        });
    }
}

/// What a template has as well as a pod.
fn pod_template_spec(spec: &mut Object) {
    set_text(spec, "dnsPolicy", "ClusterFirst");
    set_text(spec, "restartPolicy", "Always");
    set_text(spec, "schedulerName", "default-scheduler");
    set(spec, "securityContext", json!({}));
    set(spec, "terminationGracePeriodSeconds", json!(30));
    for list in ["initContainers", "containers"] {
        objects(spec, list).for_each(container);
    }
    objects(spec, "volumes").for_each(volume);
}

/// What only a pod has.
fn pod_spec(spec: &mut Object) {
    set(spec, "enableServiceLinks", json!(true));
    let host_network = spec.get("hostNetwork") == Some(&Value::Bool(true));
    for list in ["initContainers", "containers"] {
        for container in objects(spec, list) {
            within(container, "resources", requests_from_limits);
            if host_network {
                objects(container, "ports").for_each(host_port);
            }
        }
    }
}

fn requests_from_limits(resources: &mut Object) {
    let Some(Value::Object(limits)) = resources.get("limits").cloned() else {
        return;
    };
    within(resources, "requests", |requests| {
        for (resource, amount) in limits {
            requests.entry(resource).or_insert(amount);
        }
    });
}

/// With the host's network, a container's port is the host's.
fn host_port(port: &mut Object) {
    if let (true, Some(number)) = (is_zero(port.get("hostPort")), port.get("containerPort").cloned()) {
        port.insert("hostPort".to_owned(), number);
    }
}

fn container(container: &mut Object) {
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    let policy = default_pull_policy(image).as_str();
    set_text(container, "imagePullPolicy", policy);
    set(container, "resources", json!({}));
    set_text(container, "terminationMessagePath", "/dev/termination-log");
    set_text(container, "terminationMessagePolicy", "File");
    for port in objects(container, "ports") {
        set_text(port, "protocol", "TCP");
    }
    for variable in objects(container, "env") {
        if let Some(source) = object_at(variable, "valueFrom") {
            downward_source(source);
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(given) = object_at(container, name) {
            probe(given);
        }
    }
    for name in ["postStart", "preStop"] {
        let hook = object_at(container, "lifecycle").and_then(|lifecycle| object_at(lifecycle, name));
        if let Some(get) = hook.and_then(|hook| object_at(hook, "httpGet")) {
            http_get(get);
        }
    }
}

fn probe(probe: &mut Object) {
    let numbers = [
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ];
    for (name, default) in numbers {
        if is_zero(probe.get(name)) {
            probe.insert(name.to_owned(), json!(default));
        }
    }
    if let Some(get) = object_at(probe, "httpGet") {
        http_get(get);
    }
    if let Some(grpc) = object_at(probe, "grpc") {
        set(grpc, "service", json!(""));
    }
}

fn http_get(get: &mut Object) {
    set_text(get, "path", "/");
    set_text(get, "scheme", "HTTP");
}

fn volume(volume: &mut Object) {
    if volume.keys().all(|key| key == "name") {
        volume.insert("emptyDir".to_owned(), json!({}));
    }
    if let Some(host_path) = object_at(volume, "hostPath") {
        set(host_path, "type", json!(""));
    }
    if let Some(image) = object_at(volume, "image") {
        let reference = image.get("reference").and_then(Value::as_str).unwrap_or_default();
        let policy = default_pull_policy(reference).as_str();
        set_text(image, "pullPolicy", policy);
    }
    let template = object_at(volume, "ephemeral").and_then(|source| object_at(source, "volumeClaimTemplate"));
    if let Some(template) = template {
        within(template, "spec", storage::claim_spec);
    }
    for kind in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = object_at(volume, kind) {
            set(source, "defaultMode", json!(0o644));
            // Of the downward API these are the volume's items, of the projected kind its sources.
            objects(source, "items").for_each(downward_source);
            objects(source, "sources").for_each(projection);
        }
    }
}

fn projection(source: &mut Object) {
    if let Some(token) = object_at(source, "serviceAccountToken") {
        set(token, "expirationSeconds", json!(3600));
    }
    if let Some(downward) = object_at(source, "downwardAPI") {
        objects(downward, "items").for_each(downward_source);
    }
}

/// A variable's source, or a file, of the downward API.
fn downward_source(source: &mut Object) {
    if let Some(field) = object_at(source, "fieldRef") {
        set_text(field, "apiVersion", "v1");
    }
    if let Some(resource) = object_at(source, "resourceFieldRef") {
        set(resource, "divisor", json!("0"));
    }
}

fn set(object: &mut Object, name: &str, default: Value) {
    object.entry(name.to_owned()).or_insert(default);
}

/// Where an empty text counts as absent.
fn set_text(object: &mut Object, name: &str, default: &str) {
    let is_given = object
        .get(name)
        .and_then(Value::as_str)
        .is_some_and(|text| !text.is_empty());
    if !is_given {
        object.insert(name.to_owned(), json!(default));
    }
}

fn is_zero(number: Option<&Value>) -> bool {
    number.is_none_or(|number| number.as_i64() == Some(0))
}

fn object_at<'o>(object: &'o mut Object, name: &str) -> Option<&'o mut Object> {
    object.get_mut(name).and_then(Value::as_object_mut)
}

/// Changes the object of this name, which is made where it is not there.
fn within(object: &mut Object, name: &str, change: impl FnOnce(&mut Object)) {
    let member = object.entry(name.to_owned()).or_insert_with(|| json!({}));
    if let Value::Object(inner) = member {
        change(inner);
    }
}

fn objects<'o>(object: &'o mut Object, name: &str) -> impl Iterator<Item = &'o mut Object> {
    let items = object.get_mut(name).and_then(Value::as_array_mut);
    items.into_iter().flatten().filter_map(Value::as_object_mut)
}

#[cfg(test)]
mod tests;
