use serde_json::json;

use super::{faults, spec};
use crate::{Bytes, MilliCpu};

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
