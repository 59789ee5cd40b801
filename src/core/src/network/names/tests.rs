use std::time::Duration;

use pinnace_api::{Namespace, ObjectName};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::network::testing;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn namespace(text: &str) -> Namespace {
    Namespace::new(text).unwrap()
}

fn endpoint(address: &str, port: u16, hostname: Option<&str>) -> Endpoint {
    Endpoint {
        address: ip(address),
        port,
        serving: true,
        pod: (namespace("default"), ObjectName::new("p").unwrap()),
        hostname: hostname.map(str::to_owned),
    }
}

fn port(name: Option<&str>, protocol: Protocol, number: u16, endpoints: Vec<Endpoint>) -> PortEntry {
    PortEntry {
        name: name.map(str::to_owned),
        protocol,
        port: number,
        node_port: None,
        endpoints,
    }
}

fn service(form: ServiceForm, cluster_ips: &[&str], ports: Vec<PortEntry>) -> ServiceEntry {
    ServiceEntry {
        form,
        cluster_ips: cluster_ips.iter().map(|text| ip(text)).collect(),
        external_ips: Vec::new(),
        client_ip_affinity: Some(Duration::from_secs(1)),
        ports,
        portless: Vec::new(),
    }
}

fn table(name: &str, entry: ServiceEntry) -> NameTable {
    let key = (namespace("default"), ObjectName::new(name).unwrap());
    let services = ServiceTable {
        services: BTreeMap::from([(key, entry)]),
    };
    name_table("Cluster.Local.", &[], &services, &[])
}

fn records<'a>(table: &'a NameTable, name: &str) -> &'a [NameRecord] {
    table.names.get(name).map_or(&[], Vec::as_slice)
}

fn srv(weight: u16, port: u16, target: &str) -> NameRecord {
    NameRecord::Service {
        weight,
        port,
        target: target.to_owned(),
    }
}

#[test]
fn a_service_has_its_addresses_ports_and_pointers() {
    let ports = vec![
        port(
            Some("http"),
            Protocol::Tcp,
            80,
            vec![endpoint("10.244.0.5", 8080, None)],
        ),
        port(Some("dns"), Protocol::Udp, 53, vec![]),
    ];
    let table = table(
        "web",
        service(ServiceForm::ClusterIp, &["10.96.0.7", "fd00::7"], ports),
    );
    let name = "web.default.svc.cluster.local";
    assert_eq!(
        records(&table, name),
        [
            NameRecord::Address(ip("10.96.0.7")),
            NameRecord::Address(ip("fd00::7")),
            srv(50, 53, name),
            srv(50, 80, name),
        ]
    );
    assert_eq!(
        records(&table, &format!("_http._tcp.{name}")),
        [srv(100, 80, name)]
    );
    assert_eq!(
        records(&table, &format!("_dns._udp.{name}")),
        [srv(100, 53, name)]
    );
    let pointer = [NameRecord::Pointer(name.to_owned())];
    assert_eq!(records(&table, "7.0.96.10.in-addr.arpa"), pointer);
    let sixes = "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa";
    assert_eq!(records(&table, sixes), pointer);
    // Endpoints have names under headless Services only.
    assert!(table.names.keys().all(|name| !name.starts_with("10-244-0-5")));
}

#[test]
fn a_headless_service_has_a_name_for_each_endpoint_that_serves() {
    let mut starting = endpoint("10.244.0.9", 5432, Some("postgres-2"));
    starting.serving = false;
    let endpoints = vec![
        endpoint("10.244.0.5", 5432, Some("postgres-0")),
        endpoint("fd00::5", 5432, Some("postgres-0")),
        endpoint("10.244.0.6", 5433, None),
        starting,
    ];
    let ports = vec![port(Some("sql"), Protocol::Tcp, 1, endpoints)];
    let table = table("db", service(ServiceForm::Headless, &[], ports));
    let name = "db.default.svc.cluster.local";
    let first = format!("postgres-0.{name}");
    assert_eq!(
        records(&table, &first),
        [
            NameRecord::Address(ip("10.244.0.5")),
            NameRecord::Address(ip("fd00::5"))
        ]
    );
    assert_eq!(
        records(&table, &format!("10-244-0-6.{name}")),
        [NameRecord::Address(ip("10.244.0.6"))]
    );
    assert_eq!(
        records(&table, &format!("_sql._tcp.{name}")),
        [
            srv(50, 5432, &first),
            srv(50, 5433, &format!("10-244-0-6.{name}"))
        ]
    );
    assert_eq!(
        records(&table, "5.0.244.10.in-addr.arpa"),
        [NameRecord::Pointer(first)]
    );
    assert!(!table.names.contains_key(&format!("postgres-2.{name}")));
    assert!(!table.names.contains_key("9.0.244.10.in-addr.arpa"));
}

#[test]
fn a_headless_service_without_ready_endpoints_does_not_exist_and_one_without_ports_does() {
    let mut entry = service(ServiceForm::Headless, &[], vec![]);
    assert!(
        !table("db", entry.clone())
            .names
            .contains_key("db.default.svc.cluster.local")
    );
    entry.portless = vec![endpoint("10.244.0.5", 0, Some("db-0"))];
    let table = table("db", entry);
    let address = [NameRecord::Address(ip("10.244.0.5"))];
    assert_eq!(records(&table, "db.default.svc.cluster.local"), address);
    assert_eq!(records(&table, "db-0.db.default.svc.cluster.local"), address);
}

#[test]
fn an_external_name_is_an_alias_and_an_address_is_none() {
    let external = |target: &str| {
        let form = ServiceForm::ExternalName(target.to_owned());
        table("out", service(form, &[], vec![]))
    };
    assert_eq!(
        records(&external("WWW.Example.com."), "out.default.svc.cluster.local"),
        [NameRecord::Alias("www.example.com".to_owned())]
    );
    assert!(
        !external("192.0.2.1")
            .names
            .contains_key("out.default.svc.cluster.local")
    );
}

#[test]
fn a_pod_has_a_name_of_its_address() {
    let pods = [testing::pod(
        "team/a",
        "a",
        &["10.244.0.5", "fd00::5"],
        testing::with_ports(&json!([])),
    )];
    let table = name_table("cluster.local", &[], &ServiceTable::default(), &pods);
    let names: Vec<&str> = table.names.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "10-244-0-5.team.pod.cluster.local",
            "fd00--5.team.pod.cluster.local",
            "pod.cluster.local",
            "svc.cluster.local"
        ]
    );
}

#[test]
fn a_range_is_as_many_reverse_zones_as_it_takes() {
    let zones = |text: &str| reverse_zones(text.parse().unwrap());
    assert_eq!(zones("10.244.0.0/24"), ["0.244.10.in-addr.arpa"]);
    assert_eq!(zones("10.96.0.0/16"), ["96.10.in-addr.arpa"]);
    assert_eq!(
        zones("10.96.0.0/14"),
        [
            "96.10.in-addr.arpa",
            "97.10.in-addr.arpa",
            "98.10.in-addr.arpa",
            "99.10.in-addr.arpa"
        ]
    );
    assert_eq!(zones("192.0.2.1/32"), ["1.2.0.192.in-addr.arpa"]);
    assert_eq!(zones("0.0.0.0/0"), ["in-addr.arpa"]);
    assert_eq!(zones("::/0"), ["ip6.arpa"]);
    assert_eq!(zones("fd12::/16"), ["2.1.d.f.ip6.arpa"]);
    assert_eq!(zones("fd10::/15"), ["0.1.d.f.ip6.arpa", "1.1.d.f.ip6.arpa"]);
    assert_eq!(zones("0.0.0.0/1").len(), 128);
    assert_eq!(zones("fd12::1/128")[0].split('.').count(), 34);
}

fn any_address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (0_u32..40).prop_map(|low| IpAddr::from((0x0af4_0000 + low).to_be_bytes())),
        (0_u128..40).prop_map(|low| IpAddr::from(((0xfd00_u128 << 112) + low).to_be_bytes())),
    ]
}

fn any_endpoint() -> impl Strategy<Value = Endpoint> {
    let hostname = proptest::option::of("[a-z]{1,2}");
    (any_address(), 1_u16..4, any::<bool>(), hostname).prop_map(|(address, port, serving, hostname)| {
        Endpoint {
            address,
            port,
            serving,
            pod: (namespace("default"), ObjectName::new("p").unwrap()),
            hostname,
        }
    })
}

fn any_service() -> impl Strategy<Value = ServiceEntry> {
    let endpoints = || proptest::collection::vec(any_endpoint(), 0..6);
    let ports = proptest::collection::vec((proptest::option::of("[a-z]{1,3}"), 1_u16..5, endpoints()), 0..4);
    let form = prop_oneof![
        Just(ServiceForm::ClusterIp),
        Just(ServiceForm::Headless),
        Just(ServiceForm::NodePort),
        Just(ServiceForm::ExternalName("example.com".to_owned())),
    ];
    // Cluster addresses are of another range than pods'.
    let cluster_ip =
        proptest::option::of((0_u32..40).prop_map(|low| IpAddr::from((0x0a60_0000 + low).to_be_bytes())));
    (form, cluster_ip, ports, endpoints()).prop_map(|(form, cluster_ip, ports, portless)| {
        let headless = !matches!(form, ServiceForm::ClusterIp | ServiceForm::NodePort);
        let ports = ports.into_iter();
        ServiceEntry {
            form,
            cluster_ips: cluster_ip.filter(|_| !headless).into_iter().collect(),
            external_ips: Vec::new(),
            client_ip_affinity: None,
            ports: ports
                .map(|(name, number, endpoints)| port(name.as_deref(), Protocol::Tcp, number, endpoints))
                .collect(),
            portless,
        }
    })
}

fn any_services() -> impl Strategy<Value = ServiceTable> {
    let key = ("[ab]", "[a-d]").prop_map(|(space, name)| (namespace(&space), ObjectName::new(name).unwrap()));
    proptest::collection::btree_map(key, any_service(), 0..6).prop_map(|services| ServiceTable { services })
}

fn has_address(table: &NameTable, name: &str, wanted: impl Fn(IpAddr) -> bool) -> bool {
    records(table, name)
        .iter()
        .any(|record| matches!(record, NameRecord::Address(address) if wanted(*address)))
}

proptest! {
    #[test]
    fn every_pointer_leads_back_and_every_srv_target_resolves(services in any_services()) {
        let table = name_table("cluster.local", &["10.244.0.0/16".parse().unwrap()], &services, &[]);
        let addresses: BTreeMap<String, IpAddr> = table.names.values().flatten().filter_map(|record| match record {
            NameRecord::Address(address) => Some((reverse_name(*address), *address)),
            _ => None,
        }).collect();
        for (name, records) in &table.names {
            prop_assert!(records.is_sorted() && name.to_lowercase() == *name && !name.ends_with('.'));
            for record in records {
                match record {
                    NameRecord::Pointer(target) => {
                        prop_assert!(has_address(&table, target, |address| addresses.get(name) == Some(&address)));
                    }
                    NameRecord::Service { target, weight, .. } => {
                        prop_assert!(*weight >= 1 && has_address(&table, target, |_| true));
                    }
                    NameRecord::Alias(_) => prop_assert_eq!(records.len(), 1),
                    NameRecord::Address(_) => {}
                }
            }
        }
    }

    #[test]
    fn an_address_lies_in_the_zones_of_its_range_and_no_other_does(prefix in 1_u8..=32, bits: u32, other: u32) {
        let range = Cidr::new(IpAddr::from(bits.to_be_bytes()), prefix).unwrap();
        let zones = reverse_zones(range);
        let within = |address: IpAddr| zones.iter().any(|zone| {
            let name = reverse_name(address);
            name == *zone || name.ends_with(&format!(".{zone}"))
        });
        for address in [bits, other].map(|bits| IpAddr::from(bits.to_be_bytes())) {
            prop_assert_eq!(within(address), range.contains(address));
        }
    }
}
