//! Who gets which address and port, and who keeps it.

use pinnace_api::testing::service;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::network::testing::ranges;

fn with(mut spec: Value) -> Value {
    if spec.get("ports").is_none() {
        spec["ports"] = json!([{"port": 80}]);
    }
    spec
}

fn one(name: &str, spec: Value) -> Service {
    service("default", name, &with(spec))
}

fn fresh(services: &[Service]) -> Allocated {
    allocate(services, &ServiceAllocations::new(), &ranges())
}

fn of<'a>(allocated: &'a Allocated, name: &str) -> &'a ServiceAllocation {
    let found = allocated
        .allocations
        .iter()
        .find(|(key, _)| key.1.as_str() == name);
    found
        .unwrap_or_else(|| panic!("{name}: {:?}", allocated.problems))
        .1
}

fn refusal(allocated: &Allocated) -> (String, String) {
    assert_eq!(allocated.problems.len(), 1, "{:?}", allocated.problems);
    let problem = &allocated.problems[0];
    (problem.field.clone(), problem.message.clone())
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn what_is_given_freely_depends_on_the_name_alone_and_lies_above_the_part_for_wishes() {
    let first = fresh(&[one("a", json!({})), one("b", json!({}))]);
    let address = of(&first, "a").cluster_ips[0];
    assert_eq!(fresh(&[one("a", json!({}))]).allocations.len(), 1);
    assert_eq!(of(&fresh(&[one("a", json!({}))]), "a").cluster_ips, [address]);
    assert_ne!(of(&first, "b").cluster_ips, [address]);
    for given in first.allocations.values() {
        let IpAddr::V4(address) = given.cluster_ips[0] else {
            panic!("{given:?}");
        };
        assert!(address.to_bits() > ip_bits("10.96.1.0"), "{address}");
    }
}

fn ip_bits(text: &str) -> u32 {
    text.parse::<std::net::Ipv4Addr>().unwrap().to_bits()
}

#[test]
fn families_are_those_asked_for_as_far_as_the_node_has_them() {
    let given = |spec: Value| {
        let allocated = fresh(&[one("a", spec)]);
        let addresses = of(&allocated, "a").cluster_ips.clone();
        addresses
            .iter()
            .map(|ip| IpFamily::of(*ip).as_str())
            .collect::<Vec<_>>()
    };
    assert_eq!(given(json!({})), ["IPv4"]);
    assert_eq!(given(json!({"ipFamilies": ["IPv6"]})), ["IPv6"]);
    assert_eq!(
        given(json!({"ipFamilyPolicy": "PreferDualStack"})),
        ["IPv4", "IPv6"]
    );
    assert_eq!(
        given(json!({"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6"]})),
        ["IPv6", "IPv4"]
    );
    assert_eq!(
        given(json!({"clusterIP": "fd00:96::7", "ipFamilyPolicy": "PreferDualStack"})),
        ["IPv6", "IPv4"]
    );
    assert_eq!(given(json!({"clusterIP": "None"})), Vec::<&str>::new());
}

#[test]
fn families_that_the_node_lacks_are_refused_in_kubernetes_words() {
    let single = ServiceRanges {
        cluster: vec!["10.96.0.0/24".parse().unwrap()],
        ..ranges()
    };
    let refused = |spec: Value| {
        let services = [one("a", spec)];
        refusal(&allocate(&services, &ServiceAllocations::new(), &single))
    };
    let (field, message) = refused(json!({"ipFamilyPolicy": "RequireDualStack"}));
    assert_eq!(field, "spec.ipFamilyPolicy");
    assert!(message.ends_with("this cluster is not configured for dual-stack services"));
    let (field, message) = refused(json!({"ipFamilies": ["IPv6"]}));
    assert_eq!(
        (field.as_str(), message.as_str()),
        (
            "spec.ipFamilies[0]",
            "Invalid value: \"IPv6\": not configured on this cluster"
        )
    );
    let (field, message) = refused(json!({"clusterIP": "fd00::1"}));
    assert_eq!(field, "spec.clusterIPs[0]");
    assert!(
        message.ends_with("IPv6 is not configured on this cluster"),
        "{message}"
    );
    let prefers = [one("a", json!({"ipFamilyPolicy": "PreferDualStack"}))];
    let given = allocate(&prefers, &ServiceAllocations::new(), &single);
    assert_eq!(of(&given, "a").cluster_ips.len(), 1);
}

#[test]
fn wishes_are_granted_or_refused_in_kubernetes_words() {
    let granted = fresh(&[one("a", json!({"clusterIP": "10.96.0.20"}))]);
    assert_eq!(of(&granted, "a").cluster_ips, [ip("10.96.0.20")]);
    for (address, why) in [
        (
            "10.97.0.1",
            "the provided IP (10.97.0.1) is not in the valid range. The range of valid IPs is 10.96.0.0/16",
        ),
        (
            "10.96.0.0",
            "the provided IP (10.96.0.0) is not in the valid range. The range of valid IPs is 10.96.0.0/16",
        ),
        (
            "10.96.255.255",
            "the provided IP (10.96.255.255) is not in the valid range. The range of valid IPs is 10.96.0.0/16",
        ),
        (
            "10.96.0.10",
            "provided IP is already allocated, to this node's own DNS server (clusterDNS)",
        ),
    ] {
        let refused = refusal(&fresh(&[one("a", json!({"clusterIP": address}))]));
        let message = format!("Invalid value: [\"{address}\"]: failed to allocate IP {address}: {why}");
        assert_eq!(refused, ("spec.clusterIPs".to_owned(), message));
    }
    let both = fresh(&[
        one("a", json!({"clusterIP": "10.96.0.20"})),
        one("b", json!({"clusterIP": "10.96.0.20"})),
    ]);
    assert!(
        refusal(&both)
            .1
            .ends_with("provided IP is already allocated, to Service default/a")
    );
}

#[test]
fn node_ports_are_given_kept_and_refused() {
    let spec = |port: Value| json!({"type": "NodePort", "ports": [port]});
    let given = fresh(&[
        one("a", spec(json!({"port": 80}))),
        one("b", spec(json!({"port": 80, "nodePort": 30_000}))),
    ]);
    let free = of(&given, "a").node_ports["TCP/80"];
    assert!(
        (30_086..=32_767).contains(&free),
        "above the part for wishes: {free}"
    );
    assert_eq!(of(&given, "b").node_ports["TCP/80"], 30_000);
    let taken = fresh(&[
        one("a", spec(json!({"port": 80, "nodePort": 30_000}))),
        one(
            "b",
            spec(json!({"port": 80, "protocol": "UDP", "nodePort": 30_000})),
        ),
    ]);
    assert_eq!(
        refusal(&taken),
        (
            "spec.ports[0].nodePort".to_owned(),
            "Invalid value: 30000: provided port is already allocated, to Service default/a".to_owned()
        )
    );
    let outside = fresh(&[one("a", spec(json!({"port": 80, "nodePort": 80})))]);
    assert_eq!(
        refusal(&outside).1,
        "Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767"
    );
    let agents = fresh(&[one("a", spec(json!({"port": 80, "nodePort": 31_000})))]);
    assert!(
        refusal(&agents)
            .1
            .ends_with("provided port is already allocated, to the agent itself")
    );
    let dns = json!([{"name": "t", "port": 53}, {"name": "u", "port": 53, "protocol": "UDP"}, {"name": "m", "port": 9}]);
    let given = fresh(&[one("a", json!({"type": "NodePort", "ports": dns}))]);
    let ports = &of(&given, "a").node_ports;
    assert_eq!(ports["TCP/53"], ports["UDP/53"], "one number for both protocols");
    assert_ne!(ports["TCP/53"], ports["TCP/9"]);
}

#[test]
fn what_a_service_has_it_keeps_and_nobody_else_is_given_it() {
    let free = fresh(&[one("old", json!({"type": "NodePort"}))]);
    let address = of(&free, "old").cluster_ips[0];
    let port = of(&free, "old").node_ports["TCP/80"];
    let wish = json!({
        "type": "NodePort", "clusterIP": address.to_string(), "ports": [{"port": 80, "nodePort": port}],
    });
    let services = [one("old", json!({"type": "NodePort"})), one("new", wish)];
    let next = allocate(&services, &free.allocations, &ranges());
    assert_eq!(of(&next, "old"), of(&free, "old"));
    assert!(
        refusal(&next)
            .1
            .ends_with("provided IP is already allocated, to Service default/old")
    );
    // While it is refused for another wish, what it had stays its own.
    let outside = json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]});
    let wrong = allocate(
        &[one("old", outside), services[1].clone()],
        &free.record,
        &ranges(),
    );
    assert_eq!((wrong.allocations.len(), wrong.problems.len()), (0, 2));
    assert_eq!(wrong.record, free.record);
    // Once the holder is gone, or asks for something else, it is free.
    let gone = allocate(&services[1..], &free.allocations, &ranges());
    assert_eq!(of(&gone, "new").cluster_ips, [address]);
    let moved = [
        one(
            "old",
            json!({"type": "NodePort", "clusterIP": "10.96.0.30", "ports": [{"port": 80, "nodePort": 30_001}]}),
        ),
        services[1].clone(),
    ];
    let moved = allocate(&moved, &free.allocations, &ranges());
    assert_eq!(moved.problems, []);
}

#[test]
fn what_is_no_longer_of_a_range_is_given_anew() {
    let services = [one("a", json!({"type": "NodePort"}))];
    let before = fresh(&services);
    let narrow = ServiceRanges {
        cluster: vec!["10.97.0.0/29".parse().unwrap()],
        node_ports: 40_000..=40_000,
        reserved: Vec::new(),
        reserved_node_ports: Vec::new(),
    };
    let after = allocate(&services, &before.allocations, &narrow);
    let given = of(&after, "a");
    assert!(narrow.cluster[0].contains(given.cluster_ips[0]));
    assert_eq!(given.node_ports["TCP/80"], 40_000);
}

#[test]
fn a_full_range_is_said_to_be_full() {
    let tiny = ServiceRanges {
        cluster: vec!["10.97.0.0/30".parse().unwrap()],
        node_ports: 40_000..=40_000,
        reserved: vec![ip("10.97.0.1")],
        reserved_node_ports: Vec::new(),
    };
    let services = ["a", "b"].map(|name| one(name, json!({})));
    let allocated = allocate(&services, &ServiceAllocations::new(), &tiny);
    assert_eq!(of(&allocated, "a").cluster_ips, [ip("10.97.0.2")]);
    assert_eq!(
        refusal(&allocated).1,
        "failed to allocate a serviceIP: range is full"
    );
    let services = ["a", "b"].map(|name| one(name, json!({"type": "NodePort"})));
    let roomy = ServiceRanges {
        node_ports: 40_000..=40_000,
        ..ranges()
    };
    let allocated = allocate(&services, &ServiceAllocations::new(), &roomy);
    assert_eq!(
        refusal(&allocated).1,
        "failed to allocate a nodePort: range is full"
    );
    for none in ["10.97.0.0/32", "10.97.0.0/31"] {
        let none = ServiceRanges {
            cluster: vec![none.parse().unwrap()],
            ..tiny.clone()
        };
        let refused = allocate(&[one("a", json!({}))], &ServiceAllocations::new(), &none);
        assert_eq!(
            refusal(&refused).1,
            "failed to allocate a serviceIP: range is full"
        );
    }
}

#[test]
fn the_record_is_read_again_as_it_was_written() {
    let given = fresh(&[one(
        "a",
        json!({"type": "NodePort", "ipFamilyPolicy": "PreferDualStack"}),
    )]);
    for allocation in given.allocations.values() {
        let text = serde_json::to_string(allocation).unwrap();
        assert_eq!(
            &serde_json::from_str::<ServiceAllocation>(&text).unwrap(),
            allocation
        );
    }
}

fn any_service(number: usize) -> impl Strategy<Value = Service> {
    let address = prop_oneof![Just(None), (1_u8..6).prop_map(Some)];
    let port = prop_oneof![Just(None), (30_000_u16..30_004).prop_map(Some)];
    (any::<bool>(), address, port, any::<bool>()).prop_map(move |(on_node, address, port, dual)| {
        let mut spec = json!({"ports": [{"port": 80}]});
        if on_node {
            spec["type"] = json!("NodePort");
            spec["ports"][0]["nodePort"] = json!(port.unwrap_or(0));
        }
        if let Some(last) = address {
            spec["clusterIP"] = json!(format!("10.96.0.{last}"));
        }
        if dual {
            spec["ipFamilyPolicy"] = json!("PreferDualStack");
        }
        one(&format!("s{number}"), spec)
    })
}

fn any_services() -> impl Strategy<Value = Vec<Service>> {
    (
        any_service(0),
        any_service(1),
        any_service(2),
        any_service(3),
        prop::collection::vec(any::<bool>(), 4),
    )
        .prop_map(|(a, b, c, d, there)| {
            let all = [a, b, c, d].into_iter().zip(there);
            all.filter(|(_, there)| *there)
                .map(|(service, _)| service)
                .collect()
        })
}

proptest! {
    #[test]
    fn nothing_is_given_twice_and_asking_again_changes_nothing(
        rounds in prop::collection::vec(any_services(), 1..5)
    ) {
        let ranges = ServiceRanges {
            cluster: vec!["10.96.0.0/28".parse().unwrap(), "fd00::/124".parse().unwrap()],
            node_ports: 30_000..=30_005,
            reserved: vec![ip("10.96.0.5")],
            reserved_node_ports: vec![30_004],
        };
        let mut before = ServiceAllocations::new();
        for services in rounds {
            let after = allocate(&services, &before, &ranges);
            prop_assert_eq!(after.allocations.len() + after.problems.len(), services.len());
            let mut addresses = BTreeSet::new();
            let mut ports = BTreeSet::new();
            for given in after.allocations.values() {
                for address in &given.cluster_ips {
                    prop_assert!(addresses.insert(*address) && *address != ip("10.96.0.5"));
                }
                for port in given.node_ports.values() {
                    prop_assert!(ports.insert(*port) && *port != 30_004);
                }
            }
            for service in &services {
                let name = (service.meta.namespace.clone(), service.meta.name.clone());
                if let (Some(had), Some(has)) = (before.get(&name), after.allocations.get(&name))
                    && !has_wish(service)
                {
                    for address in &has.cluster_ips {
                        let of_family = |other: &&IpAddr| other.is_ipv4() == address.is_ipv4();
                        let kept = had.cluster_ips.iter().find(of_family);
                        prop_assert!(kept.is_none_or(|kept| kept == address), "{had:?} {has:?}");
                    }
                }
            }
            let again = allocate(&services, &after.record, &ranges);
            prop_assert_eq!((&again.allocations, &again.record), (&after.allocations, &after.record));
            before = after.record;
        }
    }
}
