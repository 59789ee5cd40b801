//! Which pods are behind a Service, and which of them get traffic.

use pinnace_api::testing::service;
use serde_json::{Value, json};

use super::*;
use crate::network::allocate;
use crate::network::testing::{pod, ranges, with_ports};

fn table(services: &[Service], pods: &[PodOnNetwork]) -> ServiceTable {
    let allocated = allocate(services, &ServiceAllocations::new(), &ranges());
    assert_eq!(allocated.problems, []);
    service_table(services, &allocated.allocations, pods, &ranges())
}

/// The one Service `default/web` of this spec.
fn web(spec: &Value, pods: &[PodOnNetwork]) -> ServiceEntry {
    let mut table = table(&[service("default", "web", spec)], pods);
    table.services.pop_first().unwrap().1
}

/// `address:port`, with a `-` behind those that get no traffic.
fn shown(endpoints: &[Endpoint]) -> Vec<String> {
    let one = |endpoint: &Endpoint| {
        let socket = std::net::SocketAddr::new(endpoint.address, endpoint.port);
        format!("{socket}{}", if endpoint.serving { "" } else { "-" })
    };
    endpoints.iter().map(one).collect()
}

fn plain() -> Value {
    json!({"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]})
}

#[test]
fn pods_of_the_namespace_with_all_labels_are_behind_it() {
    let pods = [
        pod("default/a", "web", &["10.0.0.2"], json!({})),
        pod("default/b", "web", &["10.0.0.1", "fd00::1"], json!({})),
        pod("default/other", "db", &["10.0.0.3"], json!({})),
        pod("shop/elsewhere", "web", &["10.0.0.4"], json!({})),
        pod("default/not-yet", "web", &[], json!({})),
    ];
    let entry = web(&plain(), &pods);
    assert_eq!(
        shown(&entry.ports[0].endpoints),
        ["10.0.0.1:8080", "10.0.0.2:8080"]
    );
    assert_eq!(entry.ports[0].endpoints[1].pod.1.as_str(), "a");
    assert_eq!((entry.form, entry.cluster_ips.len()), (ServiceForm::ClusterIp, 1));
    let mut two_labels = plain();
    two_labels["selector"]["tier"] = json!("front");
    assert_eq!(web(&two_labels, &pods).ports[0].endpoints, []);
    let mut without_selector = plain();
    without_selector["selector"] = json!({});
    assert_eq!(web(&without_selector, &pods).ports[0].endpoints, []);
}

#[test]
fn both_families_where_the_service_has_both() {
    let pods = [pod("default/a", "web", &["10.0.0.2", "fd00::2"], json!({}))];
    let mut spec = plain();
    spec["ipFamilyPolicy"] = json!("PreferDualStack");
    spec["externalIPs"] = json!(["192.0.2.1", "2001:db8::1"]);
    let entry = web(&spec, &pods);
    assert_eq!(entry.cluster_ips.len(), 2);
    assert_eq!(entry.external_ips.len(), 2);
    assert_eq!(
        shown(&entry.ports[0].endpoints),
        ["10.0.0.2:8080", "[fd00::2]:8080"]
    );
    spec["ipFamilyPolicy"] = json!("SingleStack");
    spec["ipFamilies"] = json!(["IPv6"]);
    let entry = web(&spec, &pods);
    assert_eq!(shown(&entry.ports[0].endpoints), ["[fd00::2]:8080"]);
    assert_eq!(entry.external_ips.len(), 1, "of its own family");
}

#[test]
fn a_named_target_is_looked_up_in_each_pod() {
    let pods = [
        pod(
            "default/a",
            "web",
            &["10.0.0.1"],
            with_ports(&json!([{"name": "http", "containerPort": 8080}])),
        ),
        pod(
            "default/b",
            "web",
            &["10.0.0.2"],
            with_ports(&json!([{"name": "http", "containerPort": 9090}])),
        ),
        pod(
            "default/c",
            "web",
            &["10.0.0.3"],
            with_ports(&json!([{"name": "http", "containerPort": 1, "protocol": "UDP"}])),
        ),
        pod("default/d", "web", &["10.0.0.4"], json!({})),
    ];
    let spec = json!({"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]});
    assert_eq!(
        shown(&web(&spec, &pods).ports[0].endpoints),
        ["10.0.0.1:8080", "10.0.0.2:9090"]
    );
}

#[test]
fn only_ready_pods_get_traffic_unless_the_service_publishes_all() {
    let mut pods = [
        pod("default/a", "web", &["10.0.0.1"], json!({})),
        pod("default/b", "web", &["10.0.0.2"], json!({})),
    ];
    pods[0].ready = false;
    let mut spec = plain();
    assert_eq!(
        shown(&web(&spec, &pods).ports[0].endpoints),
        ["10.0.0.1:8080-", "10.0.0.2:8080"]
    );
    spec["publishNotReadyAddresses"] = json!(true);
    assert_eq!(
        shown(&web(&spec, &pods).ports[0].endpoints),
        ["10.0.0.1:8080", "10.0.0.2:8080"]
    );
}

#[test]
fn pods_on_their_way_out_serve_where_nobody_else_does() {
    let mut pods = [
        pod("default/a", "web", &["10.0.0.1"], json!({})),
        pod("default/b", "web", &["10.0.0.2"], json!({})),
        pod("default/c", "web", &["10.0.0.3"], json!({})),
    ];
    pods[0].terminating = true;
    pods[2].terminating = true;
    pods[2].ready = false;
    assert_eq!(
        shown(&web(&plain(), &pods).ports[0].endpoints),
        ["10.0.0.1:8080-", "10.0.0.2:8080", "10.0.0.3:8080-"]
    );
    pods[1].ready = false;
    assert_eq!(
        shown(&web(&plain(), &pods).ports[0].endpoints),
        ["10.0.0.1:8080", "10.0.0.2:8080-", "10.0.0.3:8080-"]
    );
    let mut headless = plain();
    headless["clusterIP"] = json!("None");
    let names = web(&headless, &pods);
    assert_eq!(
        shown(&names.ports[0].endpoints),
        ["10.0.0.1:8080-", "10.0.0.2:8080-", "10.0.0.3:8080-"],
        "a name never leads to a pod that is leaving"
    );
}

#[test]
fn a_headless_service_names_its_pods_by_hostname_and_subdomain() {
    let named = |name: &str, subdomain: &str| json!({"hostname": name, "subdomain": subdomain});
    let pods = [
        pod("default/a", "web", &["10.0.0.1"], named("web-0", "web")),
        pod("default/b", "web", &["10.0.0.2"], named("web-1", "other")),
        pod("default/c", "web", &["10.0.0.3"], json!({"subdomain": "web"})),
    ];
    let entry = web(&json!({"clusterIP": "None", "selector": {"app": "web"}}), &pods);
    assert_eq!(entry.form, ServiceForm::Headless);
    assert_eq!((entry.cluster_ips.len(), entry.ports.len()), (0, 0));
    assert_eq!(shown(&entry.portless), ["10.0.0.1:0", "10.0.0.2:0", "10.0.0.3:0"]);
    let hostnames: Vec<_> = entry.portless.iter().map(|one| one.hostname.as_deref()).collect();
    assert_eq!(hostnames, [Some("web-0"), None, None]);
}

#[test]
fn pods_in_the_hosts_network_answer_on_the_nodes_addresses() {
    let pods = [
        pod("default/a", "web", &["192.0.2.1"], json!({"hostNetwork": true})),
        pod("default/b", "web", &["192.0.2.1"], json!({"hostNetwork": true})),
    ];
    let entry = web(&plain(), &pods);
    assert_eq!(
        shown(&entry.ports[0].endpoints),
        ["192.0.2.1:8080", "192.0.2.1:8080"]
    );
}

#[test]
fn a_node_port_has_its_number_and_another_name_has_nothing() {
    let mut spec = plain();
    spec["type"] = json!("NodePort");
    spec["ports"][0]["nodePort"] = json!(30_080);
    let entry = web(&spec, &[]);
    assert_eq!(
        (entry.form, entry.ports[0].node_port),
        (ServiceForm::NodePort, Some(30_080))
    );
    let alias = web(
        &json!({"type": "ExternalName", "externalName": "example.org"}),
        &[],
    );
    assert_eq!(alias.form, ServiceForm::ExternalName("example.org".to_owned()));
    assert_eq!(alias.cluster_ips, Vec::<IpAddr>::new());
}

#[test]
fn a_service_that_was_given_nothing_is_not_served() {
    let services = [service("default", "web", &plain())];
    let table = service_table(&services, &ServiceAllocations::new(), &[], &ranges());
    assert_eq!(table, ServiceTable::default());
}

#[test]
fn a_thousand_services_over_a_thousand_pods_are_a_matter_of_milliseconds() {
    let service = |number: usize| {
        let spec = json!({"selector": {"app": format!("a{number}")}, "ports": [{"port": 80}]});
        service("default", &format!("s{number}"), &spec)
    };
    let pod = |number: usize| {
        let address = format!("10.0.{}.{}", number / 250, number % 250);
        pod(
            &format!("default/p{number}"),
            &format!("a{number}"),
            &[&address],
            json!({}),
        )
    };
    let services: Vec<_> = (0..1000).map(service).collect();
    let pods: Vec<_> = (0..1000).map(pod).collect();
    let allocated = allocate(&services, &ServiceAllocations::new(), &ranges());
    let before = std::time::Instant::now();
    let table = service_table(&services, &allocated.allocations, &pods, &ranges());
    let took = before.elapsed();
    assert_eq!(table.services.len(), 1000);
    assert!(
        table
            .services
            .values()
            .all(|entry| entry.ports[0].endpoints.len() == 1)
    );
    // Unoptimised, and on a busy machine: a scan of all pairs would take seconds.
    assert!(took.as_millis() < 1000, "{took:?}");
}
