//! ConfigMaps, Secrets, claims, storage classes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::claim::ReclaimPolicy;
use crate::pod::AccessMode;
use crate::report::Report;
use crate::tree::Node;
use crate::{Bytes, Document, Object, ReadLimits, canonical, convert, from_document, read_documents, typed};

fn read(kind: &str, fields: &Value) -> (Option<Object>, Vec<String>) {
    let mut manifest = fields.clone();
    manifest["apiVersion"] = json!("v1");
    manifest["kind"] = json!(kind);
    if manifest.get("metadata").is_none() {
        manifest["metadata"] = json!({"name": "a"});
    }
    let reading = read_documents(manifest.to_string().as_bytes(), "a.yaml", &ReadLimits::default());
    let problems = reading.problems.into_iter();
    let found = problems.map(|problem| format!("{}: {}", problem.field.unwrap_or_default(), problem.message));
    let object = reading.objects.into_iter().next();
    (object.map(|located| located.object), found.collect())
}

fn faults(kind: &str, fields: Value) -> Vec<String> {
    read(kind, &fields).1
}

#[test]
fn a_config_map_holds_texts_and_bytes() {
    let (object, found) = read(
        "ConfigMap",
        &json!({"data": {"a": "text", "empty": null}, "binaryData": {"b": "AP8=\n"}, "immutable": true}),
    );
    assert_eq!(found, Vec::<String>::new());
    let Some(Object::ConfigMap(map)) = object else {
        panic!("not a ConfigMap");
    };
    assert_eq!(map.get("a"), Some(b"text".as_slice()));
    assert_eq!(map.get("empty"), Some(b"".as_slice()));
    assert_eq!(map.binary_data["b"], [0, 255]);
    assert!(map.immutable);
    let again = from_document(&map.document, "again").unwrap();
    assert_eq!(again, Object::ConfigMap(map));
}

#[test]
fn wrong_config_maps_are_refused_in_kubernetes_words() {
    let found = faults(
        "ConfigMap",
        json!({"data": {"a/b": "", "both": ""}, "binaryData": {"both": ""}}),
    );
    assert!(
        found[0].starts_with(r#"data[a/b]: Invalid value: "a/b": a valid config key must"#),
        "{found:?}"
    );
    assert_eq!(
        found[1..],
        [
            r#"data[both]: Invalid value: "both": duplicate of key present in binaryData"#,
            r#"binaryData[both]: Invalid value: "both": duplicate of key present in data"#,
        ]
    );
    let half = "x".repeat(600 * 1024);
    assert_eq!(
        faults("ConfigMap", json!({"data": {"a": half, "b": half}})),
        [": Too long: may not be more than 1048576 bytes"]
    );
    assert_eq!(
        faults(
            "ConfigMap",
            json!({"binaryData": {"a": "not base64!"}, "data": {"n": 7}})
        ),
        [
            "binaryData.a: illegal base64 data",
            "data.n: cannot unmarshal number 7 into a field of type string",
        ]
    );
}

#[test]
fn a_secrets_texts_take_the_place_of_its_bytes() {
    let (object, found) = read(
        "Secret",
        &json!({"data": {"a": "b2xk\n", "b": "AP8="}, "stringData": {"a": "new"}}),
    );
    assert_eq!(found, Vec::<String>::new());
    let Some(Object::Secret(secret)) = object else {
        panic!("not a Secret");
    };
    let expected = BTreeMap::from([("a".to_owned(), b"new".to_vec()), ("b".to_owned(), vec![0, 255])]);
    assert_eq!(secret.data, expected);
    assert_eq!(secret.kind, "Opaque");
    assert!(!format!("{secret:?}").contains("new"));
    let shown = Value::Object(secret.document.defaulted());
    assert_eq!(shown["data"], json!({"a": "bmV3", "b": "AP8="}));
    assert_eq!(
        (&shown["type"], shown.get("stringData")),
        (&json!("Opaque"), None)
    );
}

#[test]
fn secrets_of_a_type_have_its_keys() {
    let of = |kind: &str, texts: Value| {
        faults(
            "Secret",
            json!({"type": format!("kubernetes.io/{kind}"), "stringData": texts}),
        )
    };
    let required = |key: &str| format!("data[{key}]: Required value");
    assert_eq!(of("tls", json!({"tls.crt": ""})), [required("tls.key")]);
    assert_eq!(
        of("ssh-auth", json!({"ssh-privatekey": ""})),
        [required("ssh-privatekey")]
    );
    assert_eq!(
        of("basic-auth", json!({})),
        [required("username"), required("password")]
    );
    assert_eq!(of("basic-auth", json!({"password": "p"})), Vec::<String>::new());
    assert_eq!(of("dockerconfigjson", json!({})), [required(".dockerconfigjson")]);
    assert_eq!(of("dockercfg", json!({".dockercfg": "{}"})), Vec::<String>::new());
    assert_eq!(
        of("service-account-token", json!({})),
        ["metadata.annotations[kubernetes.io/service-account.name]: Required value"]
    );
    assert_eq!(of("other", json!({})), Vec::<String>::new());
}

#[test]
fn no_finding_shows_what_a_secret_holds() {
    const HIDDEN: &str = "hunter2";
    let wrong = [
        json!({"data": {"a": HIDDEN}}),
        json!({"data": {"a": 1234567}, "stringData": {"b": 1234567}}),
        json!({"stringData": {"a": [HIDDEN], "b": {"c": HIDDEN}, "d": true}}),
        json!({"stringData": HIDDEN, "data": [HIDDEN]}),
        json!({"stringData": {"a/b": HIDDEN}}),
        json!({"stringData": {".dockerconfigjson": HIDDEN}, "type": "kubernetes.io/dockerconfigjson"}),
        json!({"stringdata": {"a": HIDDEN}}),
        json!({"password": HIDDEN}),
    ];
    for fields in wrong {
        let (object, found) = read("Secret", &fields);
        assert_eq!(object, None, "of {fields}");
        let found = found.join("\n");
        assert!(!found.is_empty() && !found.contains("1234567"), "{found}");
        assert!(!found.contains(HIDDEN), "{found}");
    }
    let yaml = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {pin: !!int hunter2}\n";
    let reading = read_documents(yaml.as_bytes(), "a.yaml", &ReadLimits::default());
    assert!(reading.has_errors());
    assert!(!format!("{reading:?}").contains(HIDDEN), "{reading:?}");
}

#[test]
fn a_secret_is_bounded() {
    let big = "x".repeat(1024 * 1024 + 1);
    assert_eq!(
        faults("Secret", json!({"stringData": {"a": big}})),
        ["data: Too long: may not be more than 1048576 bytes"]
    );
}

/// Both by their own: the table may not take them.
fn converted<T>(
    manifest: Value,
    convert: impl FnOnce(&Node, Document, &mut Report<'_>) -> T,
) -> (T, Vec<String>) {
    let root = Node::from_json(manifest);
    let mut report = Report::new(&root, "a.yaml");
    let document = canonical::of_object(root.to_json());
    let converted = convert(&root, document, &mut report);
    let problems = report.into_problems().into_iter();
    let found = problems.map(|problem| format!("{}: {}", problem.field.unwrap_or_default(), problem.message));
    (converted, found.collect())
}

#[test]
fn a_claim_says_what_it_asks_for() {
    let manifest = json!({"metadata": {"name": "data"}, "spec": {
        "accessModes": ["ReadWriteOnce", "ReadOnlyMany"], "resources": {"requests": {"storage": 1048576}},
    }});
    let (claim, found) = converted(manifest, |root, document, report| {
        let claim = typed::claim(root, report)?;
        convert::claim(&claim, document, report)
    });
    assert_eq!(found, Vec::<String>::new());
    let claim = claim.expect("a claim");
    assert_eq!(
        claim.spec.access_modes,
        [AccessMode::ReadWriteOnce, AccessMode::ReadOnlyMany]
    );
    assert_eq!(claim.spec.storage, Bytes(1 << 20));
    assert_eq!(claim.spec.storage_class_name, None);
    assert!(
        claim.document.as_json().contains(r#""storage":"1048576""#),
        "{:?}",
        claim.document
    );
}

#[test]
fn a_storage_class_has_a_provisioner_and_a_reclaim_policy() {
    let class = |manifest: Value| {
        converted(manifest, |root, document, report| {
            let class = typed::storage_class(root, report)?;
            convert::storage_class(&class, document, report)
        })
    };
    let (read, found) = class(json!({"metadata": {"name": "fast"}, "provisioner": "Example.com/disk"}));
    assert_eq!(found, Vec::<String>::new());
    assert_eq!(read.expect("a class").reclaim_policy, ReclaimPolicy::Delete);
    let (read, _) =
        class(json!({"metadata": {"name": "kept"}, "provisioner": "a", "reclaimPolicy": "Retain"}));
    assert_eq!(read.expect("a class").reclaim_policy, ReclaimPolicy::Retain);
    let (_, found) = class(
        json!({"metadata": {"name": "bad"}, "reclaimPolicy": "Recycle", "provisioner": "", "volumeBindingMode": "Late"}),
    );
    assert_eq!(
        found,
        [
            "provisioner: Required value",
            r#"reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain""#,
            r#"volumeBindingMode: Unsupported value: "Late": supported values: "Immediate", "WaitForFirstConsumer""#,
        ]
    );
}

#[test]
fn a_pod_template_is_checked_and_noted() {
    let container = json!({"name": "a", "image": "a:1"});
    let template = |containers: Value| json!({"template": {"spec": {"containers": containers}}});
    let (object, found) = read("PodTemplate", &template(json!([container])));
    assert!(matches!(object, Some(Object::Noted(_))), "{object:?}");
    assert_eq!(
        found,
        [": PodTemplate has no effect here: no controller here makes pods of it"]
    );
    let (object, found) = read("PodTemplate", &template(json!([])));
    assert_eq!(object, None);
    assert!(
        found.contains(&"template.spec.containers: Required value".to_owned()),
        "{found:?}"
    );
}
