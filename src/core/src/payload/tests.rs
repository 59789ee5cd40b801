use std::collections::BTreeMap;
use std::sync::Arc;

use pinnace_api::pod::environment::{FieldSelector, ResourceField, ResourceSelector};
use pinnace_api::pod::{
    DownwardFile, DownwardValue, KeyToPath, ObjectFiles, Projection, Volume, VolumeSource,
};
use pinnace_api::{ConfigMap, Document, Metadata, Namespace, ObjectName, Pod, PodUid, Secret, testing};
use serde_json::json;

use super::*;
use crate::config::NodeConfig;
use crate::node::{HostFacts, Node};
use crate::objects::ObjectTable;

fn object_name(name: &str) -> ObjectName {
    ObjectName::new(name).unwrap()
}

fn meta(name: &str) -> Metadata {
    Metadata {
        name: object_name(name),
        namespace: Namespace::default(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
    }
}

fn objects() -> ObjectTable {
    let map = ConfigMap {
        meta: meta("settings"),
        data: BTreeMap::from([
            ("a".to_owned(), "one".to_owned()),
            ("b".to_owned(), "two".to_owned()),
        ]),
        binary_data: BTreeMap::from([("raw".to_owned(), vec![0, 0xff])]),
        immutable: false,
        document: Document::of_controller(&json!({})),
    };
    let secret = Secret {
        meta: meta("key"),
        kind: "Opaque".to_owned(),
        data: BTreeMap::from([("token".to_owned(), b"hidden".to_vec())]),
        immutable: false,
        document: Document::of_controller(&json!({})),
    };
    let name = |name: &str| (Namespace::default(), object_name(name));
    ObjectTable {
        config_maps: BTreeMap::from([(name("settings"), Arc::new(map))]),
        secrets: BTreeMap::from([(name("key"), Arc::new(secret))]),
        complete: true,
    }
}

fn files_of(name: &str, items: &[(&str, &str, Option<u16>)], optional: bool) -> ObjectFiles {
    let item = |(key, path, mode): &(&str, &str, Option<u16>)| KeyToPath {
        key: (*key).to_owned(),
        path: (*path).to_owned(),
        mode: *mode,
    };
    ObjectFiles {
        name: object_name(name),
        items: items.iter().map(item).collect(),
        optional,
    }
}

fn config_map(files: ObjectFiles) -> VolumeSource {
    VolumeSource::ConfigMap {
        files,
        default_mode: 0o644,
    }
}

fn secret(files: ObjectFiles) -> VolumeSource {
    VolumeSource::Secret {
        files,
        default_mode: 0o400,
    }
}

fn projected(sources: Vec<Projection>) -> VolumeSource {
    VolumeSource::Projected {
        sources,
        default_mode: 0o644,
    }
}

fn of(pod: &Pod) -> Result<Payloads, PayloadError> {
    let objects = objects();
    let uid = PodUid::new("6f5f2d3e-0000-4000-8000-000000000000").unwrap();
    let facts = HostFacts {
        hostname: "edge".to_owned(),
        cpus: 4,
        memory: pinnace_api::Bytes(8 << 30),
        ..HostFacts::default()
    };
    let node = Node::new(&NodeConfig::default(), facts).unwrap();
    let (payloads, failed) = payloads(&Facts {
        pod,
        uid: &uid,
        pod_ips: &[],
        node: &node,
        objects: &objects,
        services: &[],
    });
    failed.map_or(Ok(payloads), Err)
}

fn with(source: VolumeSource) -> Pod {
    let mut pod = testing::pod("web", json!({}));
    pod.meta.labels.insert("tier".to_owned(), "front".to_owned());
    let name = pinnace_api::ContainerName::new("v").unwrap();
    pod.spec.volumes = vec![Volume { name, source }];
    pod
}

fn only(source: VolumeSource) -> Payload {
    of(&with(source)).unwrap().into_values().next().unwrap()
}

fn texts(payload: &Payload) -> Vec<(&str, &[u8], u16)> {
    let files = payload.files.iter();
    files
        .map(|(path, file)| (path.as_str(), file.bytes.as_slice(), file.mode))
        .collect()
}

fn refusal(source: VolumeSource) -> String {
    crate::ports::chain(&of(&with(source)).unwrap_err())
}

#[test]
fn without_items_every_key_is_a_file_and_with_items_only_those() {
    assert_eq!(
        texts(&only(config_map(files_of("settings", &[], false)))),
        [
            ("a", &b"one"[..], 0o644),
            ("b", &b"two"[..], 0o644),
            ("raw", &[0, 0xff][..], 0o644)
        ]
    );
    let items = [("b", "deep//./er/b", Some(0o600)), ("a", "x", None)];
    assert_eq!(
        texts(&only(config_map(files_of("settings", &items, false)))),
        [("deep/er/b", &b"two"[..], 0o600), ("x", &b"one"[..], 0o644)]
    );
}

#[test]
fn what_is_missing_is_told_in_the_kubelets_words_unless_it_is_optional() {
    let map = |name: &str, key: &str| config_map(files_of(name, &[(key, "f", None)], false));
    assert_eq!(
        refusal(map("no", "a")),
        "MountVolume.SetUp failed for volume \"v\" : configmap \"no\" not found"
    );
    assert_eq!(
        refusal(map("settings", "no")),
        "MountVolume.SetUp failed for volume \"v\" : configmap references non-existent config key: no"
    );
    assert_eq!(
        refusal(secret(files_of("key", &[("no", "f", None)], false))),
        "MountVolume.SetUp failed for volume \"v\" : references non-existent secret key: no"
    );
    let both = projected(vec![
        Projection::ConfigMap(files_of("no", &[], false)),
        Projection::Secret(files_of("none", &[], false)),
    ]);
    assert_eq!(
        refusal(both),
        "MountVolume.SetUp failed for volume \"v\" : [configmap \"no\" not found, secret \"none\" not found]"
    );
    let absent = only(config_map(files_of("no", &[("a", "f", None)], true)));
    assert!(absent.files.is_empty());
    let items = [("no", "f", None), ("token", "t", None)];
    let some = only(secret(files_of("key", &items, true)));
    assert_eq!(texts(&some), [("t", &b"hidden"[..], 0o400)]);
}

#[test]
fn of_two_sources_for_one_path_the_later_is_there_and_a_token_is_no_file() {
    let field = DownwardFile {
        path: "a".to_owned(),
        value: DownwardValue::Field(FieldSelector::Labels),
        mode: Some(0o440),
    };
    let payload = only(projected(vec![
        Projection::ConfigMap(files_of("settings", &[("a", "a", None), ("b", "b", None)], false)),
        Projection::ServiceAccountToken {
            path: "token".to_owned(),
            audience: None,
            expiration_seconds: 3600,
        },
        Projection::DownwardApi(vec![field]),
    ]));
    assert_eq!(
        texts(&payload),
        [("a", &b"tier=\"front\""[..], 0o440), ("b", &b"two"[..], 0o644)]
    );
}

#[test]
fn a_volume_is_told_what_a_container_may_use() {
    let limit = |container: &str| DownwardFile {
        path: container.to_owned(),
        value: DownwardValue::Resource(ResourceSelector {
            container: Some(pinnace_api::ContainerName::new(container).unwrap()),
            resource: ResourceField::LimitsMemory,
            divisor: 1 << 20,
        }),
        mode: None,
    };
    let mut pod = with(VolumeSource::DownwardApi {
        items: vec![limit("one")],
        default_mode: 0o644,
    });
    pod.spec.containers[0].name = pinnace_api::ContainerName::new("one").unwrap();
    pod.spec.containers[0].resources.limits.memory = Some(pinnace_api::Bytes(64 << 20));
    let payloads = of(&pod).unwrap();
    assert_eq!(
        texts(payloads.values().next().unwrap()),
        [("one", &b"64"[..], 0o644)]
    );
}

#[test]
fn no_path_leads_out_of_the_volume_or_takes_its_own_names() {
    for path in [
        "../x",
        "a/../../x",
        "/etc/passwd",
        "",
        ".",
        "..data",
        "..x/y",
        "a\0b",
    ] {
        let items = [("a", path, None)];
        let told = refusal(config_map(files_of("settings", &items, false)));
        assert!(told.contains("invalid path: must "), "{path:?}: {told}");
    }
    let long = "x".repeat(256);
    let told = refusal(config_map(files_of(
        "settings",
        &[("a", long.as_str(), None)],
        false,
    )));
    assert!(told.contains("less than or equal to 255 characters"), "{told}");
}

#[test]
fn no_file_lies_beneath_another() {
    let items = [("a", "x", None), ("b", "x-y", None), ("raw", "x/y/z", None)];
    let told = refusal(config_map(files_of("settings", &items, false)));
    assert!(told.ends_with("the path x/y/z goes through the file x"), "{told}");
}

#[test]
fn the_pods_group_may_read_all_files() {
    let mut pod = with(secret(files_of("key", &[], false)));
    pod.spec.security.fs_group = Some(2000);
    let payloads = of(&pod).unwrap();
    let payload = payloads.values().next().unwrap();
    assert_eq!(payload.group, Some(2000));
    assert_eq!(texts(payload), [("token", &b"hidden"[..], 0o440)]);
}

#[test]
fn what_a_file_holds_is_never_printed() {
    let payload = only(secret(files_of("key", &[], false)));
    let shown = format!("{payload:?}");
    assert!(
        shown.contains("token") && !shown.contains("hidden") && !shown.contains("104"),
        "{shown}"
    );
}

#[test]
fn all_objects_that_a_pod_takes_from_are_known() {
    use pinnace_api::pod::environment::KeySelector;
    use pinnace_api::pod::{EnvFrom, EnvVar};
    let mut pod = with(projected(vec![
        Projection::ConfigMap(files_of("one", &[], false)),
        Projection::Secret(files_of("two", &[], true)),
    ]));
    let container = &mut pod.spec.containers[0];
    container.env_from = vec![EnvFrom {
        prefix: String::new(),
        source: ObjectSource::Secret(object_name("three")),
        optional: false,
    }];
    let key = KeySelector {
        name: object_name("four"),
        key: "k".to_owned(),
        optional: false,
    };
    container.env = vec![EnvVar {
        name: "A".to_owned(),
        value: EnvValue::ConfigMapKey(key),
    }];
    let expected = [
        ObjectSource::ConfigMap(object_name("four")),
        ObjectSource::ConfigMap(object_name("one")),
        ObjectSource::Secret(object_name("three")),
        ObjectSource::Secret(object_name("two")),
    ];
    assert_eq!(sources_of(&pod.spec).into_iter().collect::<Vec<_>>(), expected);
}
