use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{faults, spec};
use crate::pod::environment::{FieldSelector, ResourceField, ResourceSelector};
use crate::pod::{
    AccessMode, ClaimSpec, ClaimTemplate, DownwardFile, DownwardValue, KeyToPath, ObjectFiles, Projection,
    PullPolicy, RecursiveReadOnly, SubPath, VolumeMount, VolumeSource,
};
use crate::{Bytes, ContainerName, ObjectName};

fn source(kind: &str, fields: Value) -> VolumeSource {
    let mut spec = spec(json!({"volumes": [{"name": "v", kind: fields}]}));
    spec.volumes.remove(0).source
}

fn faults_of(kind: &str, fields: Value) -> Vec<String> {
    let found = faults(json!({"volumes": [{"name": "v", kind: fields}]}));
    let prefix = format!("spec.volumes[0].{kind}");
    found
        .into_iter()
        .map(|fault| fault.replace(&prefix, "-"))
        .collect()
}

fn files(name: &str) -> ObjectFiles {
    ObjectFiles {
        name: ObjectName::new(name).unwrap(),
        items: Vec::new(),
        optional: false,
    }
}

#[test]
fn keys_of_objects_become_files() {
    let plain = VolumeSource::ConfigMap {
        files: files("settings"),
        default_mode: 0o644,
    };
    assert_eq!(source("configMap", json!({"name": "settings"})), plain);
    let items = json!([{"key": "a", "path": "dir/a"}, {"key": "b", "path": "b", "mode": 0o400}]);
    let given = json!({"secretName": "keys", "items": items, "optional": true, "defaultMode": 0o440});
    let item = |key: &str, path: &str, mode| KeyToPath {
        key: key.to_owned(),
        path: path.to_owned(),
        mode,
    };
    let files = ObjectFiles {
        items: vec![item("a", "dir/a", None), item("b", "b", Some(0o400))],
        optional: true,
        ..files("keys")
    };
    let expected = VolumeSource::Secret {
        files,
        default_mode: 0o440,
    };
    assert_eq!(source("secret", given), expected);
}

#[test]
fn wrong_files_of_objects_are_refused_in_kubernetes_words() {
    assert_eq!(
        faults_of(
            "configMap",
            json!({"defaultMode": 0o1000, "items": [
                {"key": "", "path": ""}, {"key": "a", "path": "/a"}, {"key": "a", "path": "a/../b"},
                {"key": "a", "path": "..data"}, {"key": "a", "path": "a", "mode": -1},
            ]})
        ),
        [
            "-.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive",
            "-.name: Required value",
            "-.items[0].key: Required value",
            "-.items[0].path: Required value",
            r#"-.items[1].path: Invalid value: "/a": must be a relative path"#,
            r#"-.items[2].path: Invalid value: "a/../b": must not contain '..'"#,
            r#"-.items[3].path: Invalid value: "..data": must not start with '..'"#,
            "-.items[4].mode: Invalid value: -1: must be a number between 0 and 0777 (octal), both inclusive",
        ]
    );
    assert_eq!(faults_of("secret", json!({})), ["-.secretName: Required value"]);
}

#[test]
fn fields_of_the_pod_become_files() {
    let items = json!([
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "cpu", "mode": 0o400, "resourceFieldRef":
            {"containerName": "c0", "resource": "limits.cpu", "divisor": "1m"}},
    ]);
    let amount = ResourceSelector {
        container: Some(ContainerName::new("c0").unwrap()),
        resource: ResourceField::LimitsCpu,
        divisor: 1,
    };
    let expected = VolumeSource::DownwardApi {
        items: vec![
            DownwardFile {
                path: "labels".to_owned(),
                value: DownwardValue::Field(FieldSelector::Labels),
                mode: None,
            },
            DownwardFile {
                path: "cpu".to_owned(),
                value: DownwardValue::Resource(amount),
                mode: Some(0o400),
            },
        ],
        default_mode: 0o644,
    };
    assert_eq!(source("downwardAPI", json!({"items": items})), expected);
    let field = json!({"fieldPath": "status.podIP"});
    let amount = json!({"resource": "limits.cpu"});
    assert_eq!(
        faults_of(
            "downwardAPI",
            json!({"items": [
                {"path": "a", "fieldRef": field}, {"path": "b", "resourceFieldRef": amount}, {"path": "c"},
                {"path": "d", "fieldRef": field, "resourceFieldRef": amount},
            ]})
        ),
        [
            r#"-.items[0].fieldRef.fieldPath: Unsupported value: "status.podIP": supported values: "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid""#,
            "-.items[1].resourceFieldRef.containerName: Required value",
            "-.items[2]: Required value: one of fieldRef and resourceFieldRef is required",
            r#"-.items[3]: Invalid value: "resource": fieldRef and resourceFieldRef can not be specified simultaneously"#,
        ]
    );
}

#[test]
fn several_sources_are_projected_into_one_directory() {
    let sources = json!([
        {"secret": {"name": "keys"}},
        {"configMap": {"name": "settings", "optional": true}},
        {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        {"serviceAccountToken": {"path": "token", "audience": "vault"}},
    ]);
    let VolumeSource::Projected {
        sources,
        default_mode,
    } = source("projected", json!({"sources": sources, "defaultMode": 0o600}))
    else {
        panic!("not projected");
    };
    assert_eq!(default_mode, 0o600);
    assert_eq!(sources[0], Projection::Secret(files("keys")));
    assert!(matches!(&sources[1], Projection::ConfigMap(files) if files.optional));
    assert!(matches!(&sources[2], Projection::DownwardApi(files) if files[0].path == "name"));
    let token = Projection::ServiceAccountToken {
        path: "token".to_owned(),
        audience: Some("vault".to_owned()),
        expiration_seconds: 3600,
    };
    assert_eq!(sources[3], token);
}

#[test]
fn wrong_projections_are_refused_in_kubernetes_words() {
    let item = json!({"items": [{"key": "a", "path": "same"}], "name": "a"});
    assert_eq!(
        faults_of(
            "projected",
            json!({"sources": [
                {"secret": item, "configMap": item},
                {"secret": item},
                {"configMap": item},
            ]})
        ),
        [
            "-.sources[0]: Forbidden: may not specify more than 1 volume type per source",
            r#"-: Invalid value: "same": conflicting duplicate paths"#,
        ]
    );
}

#[test]
fn tokens_are_good_for_at_least_ten_minutes() {
    assert_eq!(
        faults_of(
            "projected",
            json!({"sources": [
                {"serviceAccountToken": {"path": "", "expirationSeconds": 599}},
                {"serviceAccountToken": {"path": "t", "expirationSeconds": 4294967297u64}},
            ]})
        ),
        [
            "-.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes",
            "-.sources[0].serviceAccountToken.path: Required value",
            "-.sources[1].serviceAccountToken.expirationSeconds: Invalid value: 4294967297: may not specify a duration larger than 2^32 seconds",
        ]
    );
}

#[test]
fn images_are_volumes_with_a_pull_policy() {
    let expected = |reference: &str, pull_policy| VolumeSource::Image {
        reference: reference.to_owned(),
        pull_policy,
    };
    assert_eq!(
        source("image", json!({"reference": "a/b:1"})),
        expected("a/b:1", PullPolicy::IfNotPresent)
    );
    assert_eq!(
        source("image", json!({"reference": "a/b"})),
        expected("a/b", PullPolicy::Always)
    );
    assert_eq!(faults_of("image", json!({})), ["-.reference: Required value"]);
}

#[test]
fn claims_are_named_or_brought_along() {
    let claim = VolumeSource::Claim {
        name: ObjectName::new("data").unwrap(),
        read_only: true,
    };
    let given = json!({"claimName": "data", "readOnly": true});
    assert_eq!(source("persistentVolumeClaim", given), claim);
    assert_eq!(
        faults_of("persistentVolumeClaim", json!({"claimName": ""})),
        ["-.claimName: Required value"]
    );
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {
        "accessModes": ["ReadWriteOnce"], "storageClassName": "", "resources": {"requests": {"storage": "1Gi"}},
    }});
    let expected = ClaimTemplate {
        labels: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        annotations: BTreeMap::new(),
        spec: ClaimSpec {
            access_modes: vec![AccessMode::ReadWriteOnce],
            storage: Bytes(1 << 30),
            storage_class_name: Some(String::new()),
            volume_name: None,
        },
    };
    let ephemeral = source("ephemeral", json!({"volumeClaimTemplate": template}));
    assert_eq!(ephemeral, VolumeSource::Ephemeral(expected));
}

#[test]
fn wrong_claims_are_refused_in_kubernetes_words() {
    assert_eq!(
        faults_of("ephemeral", json!({})),
        ["-.volumeClaimTemplate: Required value"]
    );
    let found = faults_of(
        "ephemeral",
        json!({"volumeClaimTemplate": {"metadata": {"name": "a"}, "spec": {
            "accessModes": ["ReadWriteOnce", "ReadWriteOncePod"], "volumeMode": "Raw",
            "resources": {"requests": {"storage": "0"}},
        }}}),
    );
    assert_eq!(
        found,
        [
            "-.volumeClaimTemplate.metadata.name: Forbidden: cannot be set",
            "-.volumeClaimTemplate.spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes",
            "-.volumeClaimTemplate.spec.resources.requests[storage]: Invalid value: \"0\": must be greater than zero",
            r#"-.volumeClaimTemplate.spec.volumeMode: Unsupported value: "Raw": supported values: "Block", "Filesystem""#,
        ]
    );
    assert_eq!(
        faults_of("ephemeral", json!({"volumeClaimTemplate": {"spec": {}}})),
        [
            "-.volumeClaimTemplate.spec.accessModes: Required value: at least 1 access mode is required",
            "-.volumeClaimTemplate.spec.resources.requests[storage]: Required value",
        ]
    );
}

#[test]
fn a_volume_has_one_source() {
    let volume =
        json!({"name": "v", "emptyDir": {}, "configMap": {"name": "a"}, "image": {"reference": "a:1"}});
    let why = "Forbidden: may not specify more than 1 volume type";
    assert_eq!(
        faults(json!({"volumes": [volume]})),
        [
            format!("spec.volumes[0].configMap: {why}"),
            format!("spec.volumes[0].image: {why}"),
        ]
    );
}

fn mounted(mount: Value) -> Value {
    json!({"volumes": [{"name": "v"}], "containers": [{"volumeMounts": [mount]}]})
}

#[test]
fn a_path_in_a_volume_is_plain_or_an_expression() {
    let mount = json!({"name": "v", "mountPath": "/v", "subPathExpr": "$(POD)/logs", "readOnly": true,
        "recursiveReadOnly": "IfPossible"});
    let mounts = spec(mounted(mount)).containers.remove(0).volume_mounts;
    let VolumeMount {
        sub_path,
        recursive_read_only,
        ..
    } = &mounts[0];
    assert_eq!(*sub_path, Some(SubPath::Expression("$(POD)/logs".to_owned())));
    assert_eq!(*recursive_read_only, RecursiveReadOnly::IfPossible);
    let at = "spec.containers[0].volumeMounts[0]";
    assert_eq!(
        faults(mounted(
            json!({"name": "v", "mountPath": "/v", "subPathExpr": "/$(A)/..", "subPath": "a"})
        )),
        [
            format!(
                "{at}.subPathExpr: Invalid value: \"/$(A)/..\": subPathExpr and subPath are mutually exclusive"
            ),
            format!("{at}.subPathExpr: Invalid value: \"/$(A)/..\": must be a relative path"),
        ]
    );
}

#[test]
fn mounts_beneath_are_read_only_only_where_the_mount_is() {
    let at = "spec.containers[0].volumeMounts[0].recursiveReadOnly";
    let mount = json!({"name": "v", "mountPath": "/v", "recursiveReadOnly": "Enabled",
        "mountPropagation": "HostToContainer"});
    assert_eq!(
        faults(mounted(mount)),
        [
            format!("{at}: Forbidden: may only be specified when readOnly is true"),
            format!("{at}: Forbidden: may only be specified when mountPropagation is None or not specified"),
        ]
    );
    assert_eq!(
        faults(mounted(
            json!({"name": "v", "mountPath": "/v", "recursiveReadOnly": "Yes"})
        )),
        [format!(
            r#"{at}: Unsupported value: "Yes": supported values: "Disabled", "Enabled", "IfPossible""#
        )]
    );
}
