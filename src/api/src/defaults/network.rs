//! Defaults of Services and NetworkPolicies.

use serde_json::json;

use super::{Object, is_zero, object_at, objects, set, set_text, within};

pub(super) fn service_spec(spec: &mut Object) {
    set_text(spec, "type", "ClusterIP");
    set_text(spec, "sessionAffinity", "None");
    let is = |spec: &Object, field: &str, word: &str| spec.get(field).is_some_and(|given| given == word);
    if is(spec, "sessionAffinity", "ClientIP") {
        within(spec, "sessionAffinityConfig", |config| {
            within(config, "clientIP", |config| {
                set(config, "timeoutSeconds", json!(10_800))
            });
        });
    } else if is(spec, "sessionAffinity", "None") {
        spec.remove("sessionAffinityConfig");
    }
    for port in objects(spec, "ports") {
        set_text(port, "protocol", "TCP");
        let target = port.get("targetPort");
        let is_absent = target.is_none_or(|target| *target == 0 || *target == "");
        if let (true, Some(number)) = (is_absent, port.get("port").cloned()) {
            port.insert("targetPort".to_owned(), number);
        }
        if port.contains_key("nodePort") && is_zero(port.get("nodePort")) {
            port.remove("nodePort");
        }
    }
    let is_balancer = is(spec, "type", "LoadBalancer");
    let is_cluster = is(spec, "type", "ClusterIP");
    let has_external_ips = spec
        .get("externalIPs")
        .and_then(|list| list.as_array())
        .is_some_and(|list| !list.is_empty());
    if is_balancer || is(spec, "type", "NodePort") || is_cluster && has_external_ips {
        set_text(spec, "externalTrafficPolicy", "Cluster");
    }
    if !is(spec, "type", "ExternalName") {
        set_text(spec, "internalTrafficPolicy", "Cluster");
    }
    if is_balancer {
        set(spec, "allocateLoadBalancerNodePorts", json!(true));
    }
}

pub(super) fn policy_spec(spec: &mut Object) {
    for list in ["ingress", "egress"] {
        for rule in objects(spec, list) {
            for port in objects(rule, "ports") {
                set_text(port, "protocol", "TCP");
            }
        }
    }
    let has_types = spec
        .get("policyTypes")
        .and_then(|list| list.as_array())
        .is_some_and(|list| !list.is_empty());
    if !has_types {
        let has_egress = objects(spec, "egress").next().is_some();
        let types = if has_egress {
            json!(["Ingress", "Egress"])
        } else {
            json!(["Ingress"])
        };
        spec.insert("policyTypes".to_owned(), types);
    }
}

/// The label that every namespace has of its own accord, and what an API server gives it.
pub(super) fn namespace(object: &mut Object) {
    within(object, "metadata", |meta| {
        let name = meta.get("name").cloned();
        meta.remove("namespace");
        within(meta, "labels", |labels| {
            if let Some(name) = name {
                labels.insert(crate::namespace::NAME_LABEL.to_owned(), name);
            }
        });
    });
    within(object, "spec", |spec| {
        set(spec, "finalizers", json!(["kubernetes"]))
    });
    if object_at(object, "status").is_none() {
        object.insert("status".to_owned(), json!({"phase": "Active"}));
    }
}
