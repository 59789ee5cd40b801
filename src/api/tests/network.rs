//! What Services, policies and pods' names mean once they are read.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::time::Duration;

use pinnace_api::label_selector::LabelOperator;
use pinnace_api::network_policy::{PolicyPeer, PolicyPort, PolicyPortNumber};
use pinnace_api::pod::{DnsPolicy, Protocol};
use pinnace_api::service::{IpFamily, IpFamilyPolicy, ServiceKind, TargetPort};
use pinnace_api::{NetworkPolicy, Object, Pod, ReadLimits, Service, read_documents};

fn objects(text: &str) -> Vec<Object> {
    let reading = read_documents(text.as_bytes(), "f.yaml", &ReadLimits::default());
    assert!(!reading.has_errors(), "{:#?}", reading.problems);
    let objects = reading.objects.into_iter();
    objects.map(|located| located.object).collect()
}

fn all() -> Vec<Object> {
    objects(include_str!("fixtures/network.yaml"))
}

fn service(name: &str) -> Service {
    let found = all().into_iter().find_map(|object| match object {
        Object::Service(service) if service.meta.name.as_str() == name => Some(service),
        _ => None,
    });
    found.expect("a Service of the fixture")
}

fn policy(name: &str) -> NetworkPolicy {
    let found = all().into_iter().find_map(|object| match object {
        Object::NetworkPolicy(policy) if policy.meta.name.as_str() == name => Some(policy),
        _ => None,
    });
    found.expect("a NetworkPolicy of the fixture")
}

fn pod() -> Pod {
    let found = all().into_iter().find_map(|object| match object {
        Object::Pod(pod) => Some(pod),
        _ => None,
    });
    found.expect("the fixture's pod")
}

#[test]
fn a_service_has_its_addresses_ports_and_affinity() {
    let spec = service("postgres").spec;
    let addresses = ["10.96.0.20", "fd00:96::20"].map(|text| text.parse().unwrap());
    assert_eq!(
        spec.kind,
        ServiceKind::ClusterIp {
            addresses: addresses.to_vec()
        }
    );
    assert_eq!(
        spec.ip_families,
        [IpFamily::Ipv4, IpFamily::Ipv6],
        "told by the addresses"
    );
    assert_eq!(spec.ip_family_policy, IpFamilyPolicy::RequireDualStack);
    assert_eq!(spec.client_ip_affinity, Some(Duration::from_secs(60)));
    assert_eq!(spec.selector["app"], "postgres");
    assert_eq!(spec.ports[0].target, TargetPort::Name("pg".to_owned()));
    assert_eq!(
        spec.ports[1].target,
        TargetPort::Number(9187),
        "the port's own number"
    );
    assert_eq!(spec.ports[1].protocol, Protocol::Udp);
    assert_eq!(spec.external_ips.len(), 1);
    assert!(!spec.publish_not_ready_addresses);
}

#[test]
fn a_service_is_headless_on_the_nodes_ports_or_another_name() {
    let headless = service("postgres-headless").spec;
    assert_eq!(headless.kind, ServiceKind::Headless);
    assert!(headless.publish_not_ready_addresses && headless.ports.is_empty());
    let web = service("web").spec;
    assert_eq!(
        web.kind,
        ServiceKind::NodePort {
            addresses: Vec::new()
        }
    );
    assert_eq!(web.ports[0].node_port, Some(30_080));
    assert_eq!(web.ip_families, [IpFamily::Ipv6, IpFamily::Ipv4]);
    let outside = service("outside").spec;
    assert_eq!(
        outside.kind,
        ServiceKind::ExternalName("db.example.org".to_owned())
    );
    assert_eq!(outside.ip_family_policy, IpFamilyPolicy::SingleStack);
}

#[test]
fn a_load_balancer_is_a_node_port_unless_it_wants_no_ports_of_the_node() {
    let balancer = |more: &str| {
        let text = format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: a}}\nspec: {{type: LoadBalancer, ports: [{{port: 80}}]{more}}}\n"
        );
        match objects(&text).remove(0) {
            Object::Service(service) => service.spec.kind,
            other => panic!("{other:?}"),
        }
    };
    let addresses = Vec::new();
    assert_eq!(
        balancer(""),
        ServiceKind::NodePort {
            addresses: addresses.clone()
        }
    );
    let without = balancer(", allocateLoadBalancerNodePorts: false");
    assert_eq!(without, ServiceKind::ClusterIp { addresses });
}

#[test]
fn a_policy_has_its_selectors_peers_and_ports() {
    let policy = policy("postgres");
    assert_eq!(policy.pod_selector.requirements.len(), 1);
    assert_eq!(
        policy.egress,
        Some(Vec::new()),
        "isolated, and nothing is allowed"
    );
    let rules = policy.ingress.unwrap();
    assert_eq!(rules.len(), 2);
    assert!(
        rules[1].peers.is_empty() && rules[1].ports.is_empty(),
        "everything"
    );
    let PolicyPeer::Pods { namespaces, pods } = &rules[0].peers[0] else {
        panic!("{:?}", rules[0].peers);
    };
    assert_eq!(namespaces.as_ref().unwrap().requirements[0].key, "team");
    assert!(matches!(&pods.requirements[0].operator, LabelOperator::In(values) if values.len() == 2));
    let PolicyPeer::IpBlock { cidr, except } = &rules[0].peers[1] else {
        panic!("{:?}", rules[0].peers);
    };
    assert_eq!((cidr.to_string(), except.len()), ("192.0.2.0/24".to_owned(), 1));
    let ports = [
        PolicyPort {
            protocol: Protocol::Tcp,
            port: Some(PolicyPortNumber::Name("pg".to_owned())),
        },
        PolicyPort {
            protocol: Protocol::Udp,
            port: Some(PolicyPortNumber::Range(9000..=9100)),
        },
    ];
    assert_eq!(rules[0].ports, ports);
}

#[test]
fn a_policy_without_types_isolates_ingress_and_egress_where_it_has_rules_for_it() {
    let policy = policy("egress-implied");
    assert_eq!(policy.ingress, Some(Vec::new()));
    let egress = policy.egress.unwrap();
    assert_eq!(
        egress[0].peers,
        [PolicyPeer::Pods {
            namespaces: Some(Default::default()),
            pods: Default::default()
        }]
    );
    assert_eq!(egress[0].ports[0].port, None);
}

#[test]
fn a_pod_has_its_names_and_resolver() {
    let spec = pod().spec;
    assert_eq!(spec.subdomain.as_deref(), Some("postgres-headless"));
    assert!(spec.set_hostname_as_fqdn && !spec.enable_service_links);
    assert_eq!(spec.dns_policy, DnsPolicy::None);
    assert_eq!(spec.dns_config.nameservers.len(), 2);
    assert_eq!(
        spec.dns_config.searches,
        ["example.com.", "_zone.example.org", "."]
    );
    assert_eq!(spec.dns_config.options[0].value.as_deref(), Some("2"));
    assert_eq!(spec.dns_config.options[1].value, None);
    assert_eq!(spec.host_aliases[0].hostnames, ["foo.local", "bar.local"]);
    assert_eq!(spec.host_aliases.len(), 2);
}

#[test]
fn a_namespace_has_its_name_among_its_labels_and_is_in_no_namespace() {
    let Object::Namespace(namespace) = all().remove(0) else {
        panic!("the fixture begins with a Namespace");
    };
    assert_eq!(namespace.name.as_str(), "shop");
    assert_eq!(namespace.meta.namespace.as_str(), "default");
    let labels = namespace.labels();
    assert_eq!(labels["team"], "red");
    assert_eq!(labels["kubernetes.io/metadata.name"], "shop");
}
