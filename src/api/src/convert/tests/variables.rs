use serde_json::{Value, json};

use super::{container, faults_of_container};
use crate::pod::environment::{
    EnvFrom, FieldSelector, KeySelector, ObjectSource, ResourceField, ResourceSelector,
};
use crate::pod::{EnvValue, EnvVar};
use crate::{ContainerName, ObjectName};

fn object(name: &str) -> ObjectName {
    ObjectName::new(name).unwrap()
}

fn from(source: Value) -> EnvValue {
    let mut container = container(json!({"env": [{"name": "A", "valueFrom": source}]}));
    container.env.remove(0).value
}

fn faults_of(source: Value) -> Vec<String> {
    let found = faults_of_container(json!({"env": [{"name": "A", "valueFrom": source}]}));
    let found = found.into_iter();
    found
        .map(|fault| fault.replace("env[0].valueFrom", "-"))
        .collect()
}

fn field(path: &str) -> Value {
    json!({"fieldRef": {"fieldPath": path}})
}

fn resource(name: &str, divisor: Value) -> Value {
    json!({"resourceFieldRef": {"resource": name, "divisor": divisor}})
}

#[test]
fn fields_are_known_by_kubernetes_paths() {
    let cases = [
        ("metadata.name", FieldSelector::Name),
        ("metadata.namespace", FieldSelector::Namespace),
        ("metadata.uid", FieldSelector::Uid),
        (
            "metadata.labels['app.kubernetes.io/name']",
            FieldSelector::Label("app.kubernetes.io/name".into()),
        ),
        (
            "metadata.annotations['Team']",
            FieldSelector::Annotation("Team".into()),
        ),
        ("spec.nodeName", FieldSelector::NodeName),
        ("spec.host", FieldSelector::NodeName),
        ("spec.serviceAccountName", FieldSelector::ServiceAccountName),
        ("status.hostIP", FieldSelector::HostIp),
        ("status.hostIPs", FieldSelector::HostIps),
        ("status.podIP", FieldSelector::PodIp),
        ("status.podIPs", FieldSelector::PodIps),
    ];
    for (path, expected) in cases {
        assert_eq!(from(field(path)), EnvValue::Field(expected), "of {path}");
    }
}

#[test]
fn other_fields_are_refused_in_kubernetes_words() {
    let told = r#"supported values: "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs""#;
    let cases = [
        ("", "-.fieldRef.fieldPath: Required value".to_owned()),
        ("metadata.labels", format!(r#"-.fieldRef.fieldPath: Unsupported value: "metadata.labels": {told}"#)),
        ("status.phase", format!(r#"-.fieldRef.fieldPath: Unsupported value: "status.phase": {told}"#)),
        (
            "spec.hostname",
            r#"-.fieldRef.fieldPath: Invalid value: "spec.hostname": error converting fieldPath: field label not supported: spec.hostname"#.to_owned(),
        ),
        (
            "metadata.name['a']",
            r#"-.fieldRef.fieldPath: Invalid value: "metadata.name['a']": error converting fieldPath: field label does not support subscript: metadata.name['a']"#.to_owned(),
        ),
    ];
    for (path, expected) in cases {
        assert_eq!(faults_of(field(path)), [expected], "of {path:?}");
    }
    let found = faults_of(field("metadata.labels['a b']"));
    assert!(
        found[0].starts_with(r#"-.fieldRef: Invalid value: "a b": name part must consist"#),
        "{found:?}"
    );
    assert_eq!(
        faults_of(json!({"fieldRef": {"apiVersion": "v2", "fieldPath": "metadata.name"}})),
        [
            r#"-.fieldRef.fieldPath: Invalid value: "metadata.name": error converting fieldPath: unsupported pod version: v2"#
        ]
    );
}

#[test]
fn amounts_have_the_divisors_that_kubernetes_has() {
    let cases = [
        ("limits.cpu", json!(null), ResourceField::LimitsCpu, 1000),
        ("limits.cpu", json!("1m"), ResourceField::LimitsCpu, 1),
        ("requests.cpu", json!(1), ResourceField::RequestsCpu, 1000),
        ("requests.memory", json!("0"), ResourceField::RequestsMemory, 1),
        (
            "limits.memory",
            json!("1Mi"),
            ResourceField::LimitsMemory,
            1 << 20,
        ),
        (
            "limits.memory",
            json!("1M"),
            ResourceField::LimitsMemory,
            1_000_000,
        ),
        (
            "limits.ephemeral-storage",
            json!("1Gi"),
            ResourceField::LimitsEphemeralStorage,
            1 << 30,
        ),
        (
            "requests.ephemeral-storage",
            json!("1k"),
            ResourceField::RequestsEphemeralStorage,
            1000,
        ),
    ];
    for (name, divisor, expected, number) in cases {
        let expected = ResourceSelector {
            container: None,
            resource: expected,
            divisor: number,
        };
        assert_eq!(
            from(resource(name, divisor)),
            EnvValue::Resource(expected),
            "of {name}"
        );
    }
    let named = json!({"resourceFieldRef": {"containerName": "c0", "resource": "limits.cpu"}});
    let EnvValue::Resource(named) = from(named) else {
        panic!("not an amount");
    };
    assert_eq!(named.container, Some(ContainerName::new("c0").unwrap()));
}

#[test]
fn an_amount_is_of_a_container_of_the_pod() {
    let other = json!({"resourceFieldRef": {"containerName": "other", "resource": "limits.cpu"}});
    assert_eq!(
        faults_of(other),
        [r#"-.resourceFieldRef.containerName: Not found: "other""#]
    );
}

#[test]
fn other_amounts_and_divisors_are_refused_in_kubernetes_words() {
    let known = r#"supported values: "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory""#;
    let bytes = "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the";
    let cases = [
        ("", json!(null), "-.resourceFieldRef.resource: Required value".to_owned()),
        ("pods", json!(null), format!(r#"-.resourceFieldRef.resource: Unsupported value: "pods": {known}"#)),
        (
            "limits.cpu",
            json!("10m"),
            r#"-.resourceFieldRef.divisor: Invalid value: "limits.cpu": only divisor's values 1m and 1 are supported with the cpu resource"#.to_owned(),
        ),
        (
            "limits.memory",
            json!("2Mi"),
            format!(r#"-.resourceFieldRef.divisor: Invalid value: "limits.memory": {bytes} memory resource"#),
        ),
        (
            "requests.ephemeral-storage",
            json!("1m"),
            format!(r#"-.resourceFieldRef.divisor: Invalid value: "requests.ephemeral-storage": {bytes} local ephemeral storage resource"#),
        ),
    ];
    for (name, divisor, expected) in cases {
        assert_eq!(faults_of(resource(name, divisor)), [expected], "of {name:?}");
    }
}

#[test]
fn keys_of_objects_are_read() {
    let key = |optional| KeySelector {
        name: object("settings"),
        key: "log.level".to_owned(),
        optional,
    };
    assert_eq!(
        from(json!({"configMapKeyRef": {"name": "settings", "key": "log.level"}})),
        EnvValue::ConfigMapKey(key(false))
    );
    assert_eq!(
        from(json!({"secretKeyRef": {"name": "settings", "key": "log.level", "optional": true}})),
        EnvValue::SecretKey(key(true))
    );
    let found = faults_of(json!({"secretKeyRef": {"name": "A_B", "key": "a/b"}}));
    assert!(
        found[0].starts_with(r#"-.secretKeyRef.name: Invalid value: "A_B": a lowercase RFC 1123"#),
        "{found:?}"
    );
    assert!(
        found[1].starts_with(r#"-.secretKeyRef.key: Invalid value: "a/b": a valid config key"#),
        "{found:?}"
    );
    assert_eq!(
        faults_of(json!({"configMapKeyRef": {"name": "a", "key": ""}})),
        ["-.configMapKeyRef.key: Required value"]
    );
}

#[test]
fn a_variable_has_one_source() {
    let one_of = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";
    assert_eq!(
        faults_of(json!({})),
        [format!("-: Invalid value: \"\": {one_of}")]
    );
    let mut two = field("metadata.name");
    two["configMapKeyRef"] = json!({"name": "a", "key": "b"});
    assert_eq!(
        faults_of(two),
        ["-: Invalid value: \"\": may not have more than one field specified at a time"]
    );
    assert_eq!(
        faults_of_container(
            json!({"env": [{"name": "A", "value": "b", "valueFrom": field("metadata.name")}]})
        ),
        ["env[0].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty"]
    );
    let both = container(json!({"env": [{"name": "A", "value": "", "valueFrom": field("metadata.name")}]}));
    let expected = EnvVar {
        name: "A".to_owned(),
        value: EnvValue::Field(FieldSelector::Name),
    };
    assert_eq!(both.env, [expected]);
}

#[test]
fn objects_give_variables_for_all_their_keys() {
    let container = container(json!({"envFrom": [
        {"configMapRef": {"name": "settings"}, "prefix": "APP_"},
        {"secretRef": {"name": "keys", "optional": true}},
    ]}));
    assert_eq!(
        container.env_from,
        [
            EnvFrom {
                prefix: "APP_".to_owned(),
                source: ObjectSource::ConfigMap(object("settings")),
                optional: false,
            },
            EnvFrom {
                prefix: String::new(),
                source: ObjectSource::Secret(object("keys")),
                optional: true,
            },
        ]
    );
    let found = faults_of_container(json!({"envFrom": [
        {}, {"configMapRef": {"name": "a"}, "secretRef": {"name": "b"}}, {"secretRef": {}},
        {"prefix": "A=", "secretRef": {"name": "b"}},
    ]}));
    let expected = [
        "envFrom[0]: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`",
        "envFrom[1]: Invalid value: \"\": may not have more than one field specified at a time",
        "envFrom[2].secretRef.name: Required value",
        "envFrom[3].prefix: Invalid value: \"A=\": a valid environment variable name must consist only of \
         printable ASCII characters other than '='",
    ];
    assert_eq!(found, expected);
}
