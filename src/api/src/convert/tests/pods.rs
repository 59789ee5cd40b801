use serde_json::json;

use super::{faults, spec};
use crate::report::Report;
use crate::tree::Node;
use crate::{Bytes, MilliCpu, canonical, convert, typed};

#[test]
fn what_a_pod_says_of_itself_is_read() {
    let spec = spec(json!({
        "activeDeadlineSeconds": 60, "readinessGates": [{"conditionType": "example.com/ready"}],
        "shareProcessNamespace": true, "hostUsers": false, "runtimeClassName": "kata",
        "priorityClassName": "system-node-critical", "priority": 2000001000,
        "overhead": {"cpu": "250m", "memory": "120Mi"},
    }));
    assert_eq!(spec.active_deadline_seconds, Some(60));
    assert_eq!(spec.readiness_gates, ["example.com/ready"]);
    assert!(spec.share_process_namespace);
    assert!(!spec.host_users);
    assert_eq!(spec.runtime_class_name.as_deref(), Some("kata"));
    assert_eq!(spec.priority_class_name.as_deref(), Some("system-node-critical"));
    assert_eq!(spec.priority, Some(2_000_001_000));
    assert_eq!(spec.overhead.cpu, Some(MilliCpu(250)));
    assert_eq!(spec.overhead.memory, Some(Bytes(120 << 20)));
}

#[test]
fn what_a_pod_says_wrongly_of_itself_is_refused_in_kubernetes_words() {
    let found = faults(json!({
        "activeDeadlineSeconds": 0, "readinessGates": [{"conditionType": "a b"}, {"conditionType": ""}],
        "runtimeClassName": "Kata", "priorityClassName": "-",
    }));
    let expected = [
        "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
        "spec.runtimeClassName: Invalid value: \"Kata\": a lowercase RFC 1123 subdomain",
        "spec.priorityClassName: Invalid value: \"-\": a lowercase RFC 1123 subdomain",
        "spec.readinessGates[0].conditionType: Invalid value: \"a b\": name part must consist",
        "spec.readinessGates[1].conditionType: Required value",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}");
    }
}

#[test]
fn namespaces_of_the_host_exclude_the_pods_own() {
    assert_eq!(
        faults(json!({"hostPID": true, "shareProcessNamespace": true})),
        [
            "spec.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled"
        ]
    );
    assert_eq!(
        faults(json!({"hostUsers": false, "hostNetwork": true, "hostPID": true, "hostIPC": true})),
        ["hostNetwork", "hostPID", "hostIPC"]
            .map(|field| format!("spec.{field}: Forbidden: when `pod.Spec.HostUsers` is false"))
    );
}

#[test]
fn a_host_name_of_the_pods_own_is_checked_and_goes_with_no_other_way_to_name_it() {
    let spec = spec(json!({"hostnameOverride": "db.example.com"}));
    assert_eq!(spec.hostname_override.as_deref(), Some("db.example.com"));
    let found = faults(json!({"hostnameOverride": "A"}));
    assert!(
        found[0].starts_with("spec.hostnameOverride: Invalid value: \"A\": a lowercase RFC 1123"),
        "{found:?}"
    );
    let long = "a".repeat(65);
    assert_eq!(
        faults(json!({"hostnameOverride": long, "setHostnameAsFQDN": true, "hostNetwork": true})),
        [
            "spec.hostnameOverride: Too long: may not be more than 64 bytes",
            "spec.hostnameOverride: Forbidden: may not be set when `setHostnameAsFQDN` is true",
            "spec.hostnameOverride: Forbidden: may not be set when `hostNetwork` is true",
        ]
    );
}

#[test]
fn what_concerns_windows_goes_with_no_pod_of_linux() {
    let context = json!({"windowsOptions": {"hostProcess": false}});
    let container = json!({"securityContext": context});
    spec(json!({"securityContext": context, "containers": [container]}));
    let why = "Forbidden: windows options cannot be set for a linux pod";
    assert_eq!(
        faults(json!({"os": {"name": "linux"}, "securityContext": context, "containers": [container]})),
        [
            format!("spec.securityContext.windowsOptions: {why}"),
            format!("spec.containers[0].securityContext.windowsOptions: {why}"),
        ]
    );
}

#[test]
fn scheduling_gates_have_names_and_go_with_no_node() {
    let gate = |name: &str| json!({"name": name});
    let spec = spec(json!({"schedulingGates": [gate("example.com/quota"), gate("b")]}));
    assert_eq!(spec.scheduling_gates, ["example.com/quota", "b"]);
    let found = faults(json!({"nodeName": "here", "schedulingGates": [gate("a"), gate("a"), gate("-")]}));
    assert_eq!(found[0], r#"spec.schedulingGates[1].name: Duplicate value: "a""#);
    assert!(
        found[1].starts_with(r#"spec.schedulingGates[2].name: Invalid value: "-": name part"#),
        "{found:?}"
    );
    assert_eq!(
        found[2..],
        ["spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared"]
    );
}

#[test]
fn a_daemon_sets_pods_have_no_deadline() {
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {
        "activeDeadlineSeconds": 60, "containers": [{"name": "a", "image": "a:1"}],
    }});
    let root = Node::from_json(json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "a"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template},
    }));
    let mut report = Report::new(&root, "a.yaml");
    let set = typed::daemon_set(&root, &mut report).expect("a DaemonSet");
    convert::daemon_set(&set, &root, canonical::of_object(root.to_json()), &mut report);
    let found: Vec<String> = report
        .into_problems()
        .into_iter()
        .map(|one| one.message)
        .collect();
    assert_eq!(
        found,
        ["Forbidden: activeDeadlineSeconds in DaemonSet is not Supported"]
    );
}
