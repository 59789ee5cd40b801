use std::collections::BTreeMap;
use std::sync::Arc;

use pinnace_api::pod::EnvVar;
use pinnace_api::pod::environment::{FieldSelector, ResourceField, ResourceSelector};
use pinnace_api::{ConfigMap, Document, Metadata, Namespace, ObjectName, Secret, testing};
use serde_json::json;

use super::*;
use crate::config::NodeConfig;
use crate::node::{HostFacts, Node};

fn meta(name: &str) -> Metadata {
    Metadata {
        name: ObjectName::new(name).unwrap(),
        namespace: Namespace::default(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
    }
}

fn objects() -> ObjectTable {
    let map = ConfigMap {
        meta: meta("settings"),
        data: BTreeMap::from([
            ("LEVEL".to_owned(), "info".to_owned()),
            ("MODE".to_owned(), "fast".to_owned()),
        ]),
        binary_data: BTreeMap::from([("picture".to_owned(), vec![0xff])]),
        immutable: false,
        document: Document::of_controller(&json!({})),
    };
    let secret = Secret {
        meta: meta("key"),
        kind: "Opaque".to_owned(),
        data: BTreeMap::from([
            ("TOKEN".to_owned(), b"hidden".to_vec()),
            ("RAW".to_owned(), vec![0xff]),
        ]),
        immutable: false,
        document: Document::of_controller(&json!({})),
    };
    let name = |name: &str| (Namespace::default(), ObjectName::new(name).unwrap());
    ObjectTable {
        config_maps: BTreeMap::from([(name("settings"), Arc::new(map))]),
        secrets: BTreeMap::from([(name("key"), Arc::new(secret))]),
        complete: true,
    }
}

fn pod() -> Pod {
    let mut pod = testing::pod("web", json!({}));
    pod.meta.labels.insert("app".to_owned(), "a \"b\"\n".to_owned());
    pod.meta.labels.insert("tier".to_owned(), "front".to_owned());
    pod
}

fn variable(name: &str, value: EnvValue) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value,
    }
}

fn literal(name: &str, text: &str) -> EnvVar {
    variable(name, EnvValue::Literal(text.to_owned()))
}

fn key(name: &str, key: &str, optional: bool) -> KeySelector {
    KeySelector {
        name: ObjectName::new(name).unwrap(),
        key: key.to_owned(),
        optional,
    }
}

fn node() -> Node {
    let facts = HostFacts {
        hostname: "edge".to_owned(),
        cpus: 4,
        memory: pinnace_api::Bytes(8 << 30),
        addresses: vec!["192.0.2.7".parse().unwrap()],
        ..HostFacts::default()
    };
    Node::new(&NodeConfig::default(), facts).unwrap()
}

/// What the container is told on a node of 4 CPUs and 8 GiB, beside a Service `db`.
fn told(container: &Container) -> Result<Invocation, EnvironmentError> {
    let (pod, objects) = (pod(), objects());
    let uid = PodUid::new("6f5f2d3e-0000-4000-8000-000000000000").unwrap();
    let addresses: [IpAddr; 2] = ["10.244.0.5".parse().unwrap(), "fd00::5".parse().unwrap()];
    let node = node();
    let services = [("DB_SERVICE_HOST", "10.96.0.7"), ("DB_SERVICE_PORT", "5432")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let facts = Facts {
        pod: &pod,
        uid: &uid,
        pod_ips: &addresses,
        node: &node,
        objects: &objects,
        services: &services,
    };
    invocation(container, &facts)
}

fn container(env: Vec<EnvVar>) -> Container {
    let mut container = pod().spec.containers[0].clone();
    container.env = env;
    container
}

fn value(told: &Invocation, name: &str) -> Option<String> {
    let mut found = told.env.iter().filter(|(known, _)| known == name);
    let value = found.next().map(|(_, value)| value.clone());
    assert!(found.next().is_none(), "{name} is there twice");
    value
}

#[test]
fn a_variable_refers_to_those_before_it_and_to_services_and_the_last_of_a_name_wins() {
    let mut container = container(vec![
        literal("URL", "$(DB_SERVICE_HOST):$(DB_SERVICE_PORT)/$(NAME)"),
        literal("NAME", "a"),
        literal("NAME", "$(NAME)b"),
        literal("DB_SERVICE_PORT", "1"),
        literal("LATER", "$(DB_SERVICE_PORT) $$(NAME)"),
    ]);
    container.command = vec!["$(URL)".to_owned(), "$(NO)".to_owned()];
    container.args = vec!["$(NAME)".to_owned()];
    let told = told(&container).unwrap();
    assert_eq!(value(&told, "URL").unwrap(), "10.96.0.7:5432/$(NAME)");
    assert_eq!(value(&told, "NAME").unwrap(), "ab");
    assert_eq!(value(&told, "LATER").unwrap(), "1 $(NAME)");
    assert_eq!(value(&told, "DB_SERVICE_PORT").unwrap(), "1");
    assert_eq!(value(&told, "DB_SERVICE_HOST").unwrap(), "10.96.0.7");
    assert_eq!(told.command, ["10.96.0.7:5432/$(NAME)", "$(NO)"]);
    assert_eq!(told.args, ["ab"]);
}

#[test]
fn keys_of_objects_become_variables_and_texts_only() {
    let mut container = container(vec![
        variable("LEVEL", EnvValue::ConfigMapKey(key("settings", "LEVEL", false))),
        variable("SECRET", EnvValue::SecretKey(key("key", "TOKEN", false))),
        variable("ABSENT", EnvValue::SecretKey(key("no", "TOKEN", true))),
        variable("NO_KEY", EnvValue::ConfigMapKey(key("settings", "NO", true))),
    ]);
    container.env_from = vec![EnvFrom {
        prefix: "S_".to_owned(),
        source: ObjectSource::ConfigMap(ObjectName::new("settings").unwrap()),
        optional: false,
    }];
    let told = told(&container).unwrap();
    let names: Vec<&str> = told.env.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "S_LEVEL",
        "S_MODE",
        "LEVEL",
        "SECRET",
        "DB_SERVICE_HOST",
        "DB_SERVICE_PORT",
    ];
    assert_eq!(names, expected);
    assert_eq!(value(&told, "SECRET").unwrap(), "hidden");
}

#[test]
fn what_a_container_is_told_is_never_printed() {
    let mut container = container(vec![variable(
        "SECRET",
        EnvValue::SecretKey(key("key", "TOKEN", false)),
    )]);
    container.args = vec!["--token=$(SECRET)".to_owned()];
    let shown = format!("{:?}", told(&container).unwrap());
    assert!(shown.contains("SECRET") && !shown.contains("hidden"), "{shown}");
}

#[test]
fn what_is_missing_is_told_in_the_kubelets_words() {
    let of = |value: EnvValue| {
        told(&container(vec![variable("A", value)]))
            .unwrap_err()
            .to_string()
    };
    let map = |name, at| of(EnvValue::ConfigMapKey(key(name, at, false)));
    let secret = |name, at| of(EnvValue::SecretKey(key(name, at, false)));
    assert_eq!(map("no", "A"), "configmap \"no\" not found");
    assert_eq!(
        map("settings", "A"),
        "couldn't find key A in ConfigMap default/settings"
    );
    assert_eq!(
        map("settings", "picture"),
        "couldn't find key picture in ConfigMap default/settings"
    );
    assert_eq!(secret("no", "A"), "secret \"no\" not found");
    assert_eq!(secret("key", "A"), "couldn't find key A in Secret default/key");
    let not_text = secret("key", "RAW");
    assert!(not_text.contains("key RAW of secret \"key\""), "{not_text}");
}

#[test]
fn what_may_be_missing_is_missing_only_once_all_objects_have_been_read() {
    let (pod, node) = (pod(), node());
    let uid = PodUid::new("6f5f2d3e-0000-4000-8000-000000000000").unwrap();
    let ask = |complete, name, at| {
        let objects = ObjectTable {
            complete,
            ..objects()
        };
        let facts = Facts {
            pod: &pod,
            uid: &uid,
            pod_ips: &[],
            node: &node,
            objects: &objects,
            services: &[],
        };
        let value = EnvValue::ConfigMapKey(key(name, at, true));
        invocation(&container(vec![variable("A", value)]), &facts)
    };
    assert!(ask(true, "no", "A").unwrap().env.is_empty());
    ask(false, "no", "A").unwrap_err();
    assert!(ask(false, "settings", "no").unwrap().env.is_empty());
}

#[test]
fn the_downward_api_tells_fields_and_amounts() {
    let field = |selector| {
        let told = told(&container(vec![variable("A", EnvValue::Field(selector))])).unwrap();
        value(&told, "A").unwrap()
    };
    assert_eq!(field(FieldSelector::Name), "web");
    assert_eq!(field(FieldSelector::Namespace), "default");
    assert_eq!(field(FieldSelector::Label("tier".to_owned())), "front");
    assert_eq!(field(FieldSelector::Label("no".to_owned())), "");
    assert_eq!(
        field(FieldSelector::Labels),
        "app=\"a \\\"b\\\"\\n\"\ntier=\"front\""
    );
    assert_eq!(field(FieldSelector::PodIp), "10.244.0.5");
    assert_eq!(field(FieldSelector::PodIps), "10.244.0.5,fd00::5");
    assert_eq!(field(FieldSelector::ServiceAccountName), "default");
    let mut limited = container(Vec::new());
    limited.resources.limits.memory = Some(pinnace_api::Bytes(100 << 20));
    limited.resources.requests.cpu = Some(pinnace_api::MilliCpu(250));
    let amount = |resource, divisor| {
        let mut container = limited.clone();
        let selector = ResourceSelector {
            container: None,
            resource,
            divisor,
        };
        container.env = vec![variable("A", EnvValue::Resource(selector))];
        value(&told(&container).unwrap(), "A").unwrap()
    };
    assert_eq!(amount(ResourceField::LimitsMemory, 1), "104857600");
    assert_eq!(amount(ResourceField::LimitsMemory, 1 << 30), "1");
    assert_eq!(amount(ResourceField::RequestsCpu, 1), "250");
    assert_eq!(amount(ResourceField::RequestsCpu, 1000), "1");
    assert_eq!(amount(ResourceField::RequestsMemory, 1), "0");
    // Without a limit: what the node can allocate.
    let cpu = node().allocatable.cpu;
    assert_eq!(amount(ResourceField::LimitsCpu, 1), cpu.0.to_string());
}

#[test]
fn texts_that_grow_without_bound_are_refused() {
    let mut env = vec![literal("A0", &"x".repeat(1000))];
    for step in 1..12 {
        let before = step - 1;
        env.push(literal(&format!("A{step}"), &format!("$(A{before})$(A{before})")));
    }
    let error = told(&container(env)).unwrap_err();
    assert!(matches!(error, EnvironmentError::TooLong { .. }), "{error}");
}

#[test]
fn a_sub_path_expression_needs_all_its_variables_and_stays_within() {
    let env = [("POD", "web-0"), ("UP", "../x"), ("ROOT", "/etc")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(sub_path("logs/$(POD)", &env).unwrap(), "logs/web-0");
    let error = |text: &str| sub_path(text, &env).unwrap_err().to_string();
    assert_eq!(error("$(NO)"), "missing value for \"NO\"");
    assert_eq!(
        error("$(ROOT)"),
        "error SubPath `$(ROOT)` must not be an absolute path"
    );
    assert!(error("$(UP)").contains("must not contain '..'"));
}
