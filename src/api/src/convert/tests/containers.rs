use serde_json::json;

use super::{container, faults, faults_of_container, spec};
use crate::pod::{ResizePolicy, RestartAction, RestartPolicy, RestartRule, TerminationMessage};

#[test]
fn init_containers_are_read_in_order_and_sidecars_told_by_their_policy() {
    let spec = spec(json!({"initContainers": [
        {"name": "first"},
        {"name": "sidecar", "restartPolicy": "Always", "startupProbe": {"tcpSocket": {"port": 80}}},
    ]}));
    let init: Vec<(&str, Option<RestartPolicy>)> = spec
        .init_containers
        .iter()
        .map(|container| (container.name.as_str(), container.restart_policy))
        .collect();
    assert_eq!(init, [("first", None), ("sidecar", Some(RestartPolicy::Always))]);
    assert!(spec.init_containers[1].probes.startup.is_some());
    let names: Vec<&str> = spec.all_containers().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["first", "sidecar", "c0"]);
}

#[test]
fn names_are_unique_over_all_containers() {
    assert_eq!(
        faults(json!({"containers": [{"name": "a"}], "initContainers": [{"name": "a"}, {"name": "b"}]})),
        [r#"spec.initContainers[0].name: Duplicate value: "a""#]
    );
}

#[test]
fn init_containers_have_ports_of_the_host_each_for_itself() {
    let port = json!({"ports": [{"containerPort": 80, "hostPort": 80}]});
    spec(json!({"initContainers": [port, port]}));
    assert_eq!(
        faults(json!({"containers": [port, port]})),
        [r#"spec.containers[1].ports[0].hostPort: Duplicate value: "TCP//80""#]
    );
}

#[test]
fn only_sidecars_among_init_containers_are_watched_over() {
    let probe = json!({"exec": {"command": ["true"]}});
    let watched = json!({"lifecycle": {"preStop": {"exec": {"command": ["true"]}}}, "livenessProbe": probe,
        "readinessProbe": probe, "startupProbe": probe});
    let why = "Forbidden: may not be set for init containers without restartPolicy=Always";
    let expected = ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"]
        .map(|field| format!("spec.initContainers[0].{field}: {why}"));
    assert_eq!(faults(json!({"initContainers": [watched]})), expected);
}

#[test]
fn restart_rules_are_read_beside_a_policy_of_the_containers_own() {
    let rules = json!([
        {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}},
        {"action": "RestartAllContainers", "exitCodes": {"operator": "NotIn", "values": [0]}},
    ]);
    let container = container(json!({"restartPolicy": "Never", "restartPolicyRules": rules}));
    assert_eq!(container.restart_policy, Some(RestartPolicy::Never));
    assert_eq!(
        container.restart_rules,
        [
            RestartRule {
                action: RestartAction::Restart,
                is_in: true,
                values: vec![42]
            },
            RestartRule {
                action: RestartAction::RestartAllContainers,
                is_in: false,
                values: vec![0]
            },
        ]
    );
    assert_eq!(
        faults_of_container(json!({"restartPolicyRules": rules})),
        ["restartPolicy: Required value: must specify restartPolicy when restart rules are used"]
    );
}

#[test]
fn wrong_restart_rules_are_refused_in_kubernetes_words() {
    assert_eq!(
        faults_of_container(json!({"restartPolicy": "Sometimes", "restartPolicyRules": [
            {"action": "Stop", "exitCodes": {"operator": "Equals", "values": [1]}},
            {"action": "Restart"},
            {"action": "Restart", "exitCodes": {"operator": "In", "values": vec![1; 256]}},
        ]})),
        [
            r#"restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "Never", "OnFailure""#,
            r#"restartPolicyRules[0].action: Unsupported value: "Stop": supported values: "Restart", "RestartAllContainers""#,
            r#"restartPolicyRules[0].exitCodes.operator: Unsupported value: "Equals": supported values: "In", "NotIn""#,
            "restartPolicyRules[1].exitCodes: Required value: must be specified",
            "restartPolicyRules[2].exitCodes.values: Too many: 256: must have at most 255 items",
        ]
    );
    let rule = json!({"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}});
    assert_eq!(
        faults_of_container(json!({"restartPolicy": "Never", "restartPolicyRules": vec![rule; 21]})),
        ["restartPolicyRules: Too many: 21: must have at most 20 items"]
    );
}

#[test]
fn termination_messages_have_kubernetes_defaults() {
    assert_eq!(
        container(json!({})).termination_message,
        TerminationMessage::default()
    );
    let given = container(json!({
        "terminationMessagePath": "/tmp/last", "terminationMessagePolicy": "FallbackToLogsOnError",
    }));
    assert_eq!(given.termination_message.path, "/tmp/last");
    assert!(given.termination_message.fall_back_to_logs);
    assert_eq!(
        faults_of_container(json!({"terminationMessagePolicy": "Never"})),
        [
            r#"terminationMessagePolicy: Unsupported value: "Never": supported values: "File", "FallbackToLogsOnError""#
        ]
    );
}

#[test]
fn resize_policies_name_each_resource_once() {
    let policy = |resource: &str, restart: &str| json!({"resourceName": resource, "restartPolicy": restart});
    let container = container(json!({"resizePolicy": [
        policy("cpu", "NotRequired"), policy("memory", "RestartContainer"),
    ]}));
    assert_eq!(
        container.resize_policy,
        ResizePolicy {
            restart_for_cpu: false,
            restart_for_memory: true
        }
    );
    assert_eq!(
        faults_of_container(json!({"resizePolicy": [
            policy("cpu", "NotRequired"), policy("cpu", "Always"), policy("disk", "NotRequired"), {},
        ]})),
        [
            r#"resizePolicy[1]: Duplicate value: "cpu""#,
            r#"resizePolicy[1].restartPolicy: Unsupported value: "Always": supported values: "NotRequired", "RestartContainer""#,
            r#"resizePolicy[2].resourceName: Unsupported value: "disk": supported values: "cpu", "memory""#,
            "resizePolicy[3].restartPolicy: Required value",
        ]
    );
    let restarting = json!({"resizePolicy": [policy("cpu", "RestartContainer")]});
    assert_eq!(
        faults(json!({"restartPolicy": "Never", "containers": [restarting]})),
        [
            "spec.containers[0].resizePolicy[0].restartPolicy: Invalid value: \"RestartContainer\": must be \
             'NotRequired' when `restartPolicy` is 'Never'"
        ]
    );
}
