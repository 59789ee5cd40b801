//! Canonical documents: what is the same, what is not, and what a DaemonSet makes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use pinnace_api::pod::{EnvValue, SubPath, TaintEffect};
use pinnace_api::{DaemonSet, Document, Object, ObjectName, Pod, ReadLimits, from_document, read_documents};
use proptest::prelude::*;
use serde_json::{Value, json};

fn objects(text: &str) -> Vec<Object> {
    let reading = read_documents(text.as_bytes(), "f.yaml", &ReadLimits::default());
    assert!(!reading.has_errors(), "{:#?}", reading.problems);
    reading
        .objects
        .into_iter()
        .map(|located| located.object)
        .collect()
}

fn pod(text: &str) -> Pod {
    match objects(text).remove(0) {
        Object::Pod(pod) => pod,
        other => panic!("{other:?}"),
    }
}

fn daemon_set(text: &str) -> DaemonSet {
    let sets = objects(text).into_iter().find_map(|object| match object {
        Object::DaemonSet(set) => Some(set),
        _ => None,
    });
    sets.expect("a DaemonSet")
}

fn with_spec(spec: &str) -> Pod {
    pod(&format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec: {spec}\n"
    ))
}

#[test]
fn documents_of_one_meaning_have_one_text() {
    let plain =
        with_spec("{containers: [{name: a, image: b, resources: {limits: {cpu: 100m, memory: 1Gi}}}]}");
    let same = "# other words\nkind: Pod\nspec:\n  containers:\n  - image: \"b\"\n    name: 'a'\n    env: []\n    \
        command: null\n    resources: {limits: {memory: 1024Mi, cpu: 0.1}}\nmetadata:\n  creationTimestamp: null\n  \
        name: a\napiVersion: v1\nstatus: {}\n";
    let same = pod(same);
    assert_eq!(plain, same);
    assert_eq!(plain.document.digest(), same.document.digest());
    let other =
        with_spec("{containers: [{name: a, image: b, resources: {limits: {cpu: 101m, memory: 1Gi}}}]}");
    assert_ne!(plain.document, other.document);
    assert_ne!(plain.document.digest(), other.document.digest());
}

#[test]
fn defaults_are_not_part_of_the_document() {
    let implied = with_spec("{containers: [{name: a, image: b}]}");
    let given = with_spec("{restartPolicy: Always, containers: [{name: a, image: b}]}");
    assert_eq!(implied.spec, given.spec);
    assert_ne!(implied.document, given.document);
    assert!(!implied.document.as_json().contains("restartPolicy"));
}

#[test]
fn an_empty_map_says_something_and_stays() {
    let pod = with_spec("{containers: [{name: a, image: b}], volumes: [{name: v, emptyDir: {}}]}");
    assert!(pod.document.as_json().contains("\"emptyDir\":{}"));
}

#[test]
fn a_digest_is_short_stable_and_fit_for_a_name() {
    let pod = with_spec("{containers: [{name: a, image: b}]}");
    let digest = pod.document.digest();
    assert_eq!(digest, "tfknmp8mh6");
    assert!(ObjectName::new(format!("a-{digest}")).is_ok());
}

fn full_set() -> DaemonSet {
    daemon_set(include_str!("fixtures/full.yaml"))
}

#[test]
fn a_daemon_sets_pod_is_read_again_as_it_is() {
    let sets = [
        full_set(),
        daemon_set(include_str!(
            "../../../config/examples/node-exporter-daemonset.yaml"
        )),
    ];
    for set in sets {
        let pod = set.pod(
            ObjectName::new("agents-x7k2p").unwrap(),
            &set.template_document.digest(),
        );
        assert_eq!(
            from_document(&pod.document, "record"),
            Ok(Object::Pod(pod.clone()))
        );
    }
}

#[test]
fn a_daemon_sets_pod_carries_labels_owner_and_the_controllers_tolerations() {
    let set = full_set();
    let pod = set.pod(ObjectName::new("agents-x7k2p").unwrap(), "rev");
    assert_eq!(pod.meta.labels["app"], "agent");
    assert_eq!(pod.meta.labels["controller-revision-hash"], "rev");
    assert_eq!(pod.meta.labels["pod-template-generation"], "4");
    assert_eq!(pod.meta.annotations["a"], "b");
    let borne = |taint: &str, effect: TaintEffect| {
        pod.spec.tolerations.iter().any(|toleration| {
            toleration.key.as_deref() == Some(taint)
                && toleration.value.is_none()
                && toleration.effect == Some(effect)
                && toleration.toleration_seconds.is_none()
        })
    };
    for taint in ["not-ready", "unreachable"] {
        assert!(
            borne(&format!("node.kubernetes.io/{taint}"), TaintEffect::NoExecute),
            "{taint}"
        );
    }
    let unscheduled = [
        "disk-pressure",
        "memory-pressure",
        "pid-pressure",
        "unschedulable",
        "network-unavailable",
    ];
    for taint in unscheduled {
        assert!(
            borne(&format!("node.kubernetes.io/{taint}"), TaintEffect::NoSchedule),
            "{taint}"
        );
    }
    assert_eq!(
        pod.spec.tolerations.len(),
        7,
        "the template's own toleration of not-ready is made limitless"
    );
    let document: Value = serde_json::from_str(pod.document.as_json()).unwrap();
    assert_eq!(document["metadata"]["ownerReferences"][0]["name"], "agents");
    assert_eq!(document["metadata"]["ownerReferences"][0]["controller"], true);
}

#[test]
fn without_the_hosts_network_its_absence_is_not_borne() {
    let set = daemon_set(include_str!("../../../config/examples/fluentd-daemonset.yaml"));
    let pod = set.pod(ObjectName::new("fluentd-x").unwrap(), "rev");
    assert_eq!(pod.spec.tolerations.len(), 7);
    assert_eq!(pod.meta.labels["pod-template-generation"], "1");
}

#[test]
fn all_that_the_model_holds_is_read() {
    let pod = pod(include_str!("fixtures/full.yaml"));
    let spec = &pod.spec;
    let main = &spec.containers[0];
    assert_eq!(spec.termination_grace_period_seconds, 16);
    assert_eq!(spec.security.supplemental_groups, [5, 0o644]);
    assert!(spec.host_network && spec.host_pid && spec.host_ipc);
    assert_eq!(main.command, ["run", "$(GREETING)"]);
    assert_eq!(main.args, ["$$(GREETING)", "$(MISSING)"]);
    assert_eq!(main.env[1].name, "GREETING");
    assert_eq!(main.env[1].value, EnvValue::Literal("hello $(NAME)".to_owned()));
    assert_eq!(
        main.ports[0].host_port,
        Some(8080),
        "hostNetwork binds the port on the host"
    );
    let (requests, limits) = (main.resources.requests, main.resources.limits);
    assert_eq!(requests.cpu.unwrap().0, 250);
    assert_eq!(limits.cpu.unwrap().0, 500);
    assert_eq!(
        requests.memory, limits.memory,
        "a limit without a request is the request"
    );
    assert_eq!(limits.memory.unwrap().0, 1_000_000);
    assert_eq!(
        main.volume_mounts[0].sub_path,
        Some(SubPath::Plain("a/b".to_owned()))
    );
    assert_eq!(main.volume_mounts[1].mount_path, "/tmp");
    assert_eq!(main.security.capabilities_add, ["NET_ADMIN", "SYS_TIME"]);
    assert!(main.security.no_new_privileges);
    assert_eq!(spec.containers[1].command, main.command, "the merged template's");
    assert_eq!(spec.volumes.len(), 3);
}

#[test]
fn the_pull_policy_follows_the_tag() {
    use pinnace_api::pod::PullPolicy::{Always, IfNotPresent};
    let cases = [
        ("busybox", Always),
        ("busybox:latest", Always),
        ("busybox:1.36", IfNotPresent),
        ("host:5000/busybox", Always),
        ("host:5000/busybox:1", IfNotPresent),
        ("busybox@sha256:00", IfNotPresent),
        ("busybox:latest@sha256:00", Always),
    ];
    for (image, policy) in cases {
        let pod = with_spec(&format!("{{containers: [{{name: a, image: \"{image}\"}}]}}"));
        assert_eq!(pod.spec.containers[0].image_pull_policy, policy, "of {image}");
    }
}

fn any_json(depth: u32) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(depth, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z]{1,6}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn canonicalising_twice_changes_nothing(spec in any_json(4), labels in any_json(1)) {
        let object = json!({ "kind": "Pod", "metadata": { "labels": labels, "uid": "x" }, "spec": spec });
        let once = Document::of_controller(&object);
        let parsed: Value = serde_json::from_str(once.as_json()).unwrap();
        prop_assert_eq!(Document::of_controller(&parsed), once);
    }

    #[test]
    fn values_are_read_again_as_they_were(value in "\\PC{0,40}", name in "[A-Z][A-Z0-9_]{0,8}") {
        let text = serde_json::to_string(&json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": "a" },
            "spec": { "containers": [{ "name": "a", "image": "b", "env": [{ "name": name, "value": value }] }] },
        })).unwrap();
        let pod = pod(&text);
        prop_assert_eq!(from_document(&pod.document, "record"), Ok(Object::Pod(pod.clone())));
        prop_assert_eq!(&pod.spec.containers[0].env[0].value, &EnvValue::Literal(value));
    }
}
