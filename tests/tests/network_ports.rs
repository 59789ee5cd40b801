//! Ports of the host that lead to pods.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::net::{IpAddr, Ipv4Addr};

use pinnace_tests::network::{Host, Server, Site};
use pinnace_tests::sample::{FOREVER, pod, with_ports};
use pinnace_tests::{Node, wait_for};
use serde_json::json;

const TARGET: u16 = 8080;

/// A node on a site of its own.
fn node(config: &str) -> (Site, Host, Node) {
    let mut site = Site::new();
    let host = site.host();
    let mut node = Node::on(&host);
    node.configure(&format!("nodeName: test\n{config}"));
    node.start();
    (site, host, node)
}

/// A pod whose port 8080 is the host's, by TCP and UDP.
fn published(name: &str, port: u16) -> String {
    let ports = json!([
        {"name": "tcp", "containerPort": TARGET, "hostPort": port},
        {"name": "udp", "containerPort": TARGET, "hostPort": port, "protocol": "UDP"},
    ]);
    with_ports(pod(name, FOREVER), ports).to_string()
}

#[test]
fn a_host_port_is_reached_from_outside_from_pods_and_from_the_host_and_goes_with_its_pod() {
    let (site, host, mut node) = node("");
    node.lay("a.json", &published("a", 5000));
    node.lay("b.json", &pod("b", FOREVER).to_string());
    let (a, b) = (node.place("a"), node.place("b"));
    let its = [node.addresses("a"), node.addresses("b")];
    let server = Server::start(&a, "a", TARGET);
    for (family, address) in host.addresses.into_iter().enumerate() {
        let to = (address, 5000).into();
        let outside = site.outside.ask(to);
        assert_eq!(
            (outside.by.as_str(), outside.seen),
            ("a", host.gateways[family]),
            "the pod sees who asks from outside"
        );
        let pod = b.ask(to);
        assert_eq!(
            (pod.by.as_str(), pod.seen),
            ("a", its[1][family]),
            "from another pod"
        );
        assert_eq!(a.ask(to).by, "a", "the pod itself");
        assert_eq!(host.place.ask(to).by, "a", "the host by its own address");
        site.outside.is_refused((address, 5001).into());
    }
    for loopback in ["127.0.0.1", "::1"] {
        let loopback: IpAddr = loopback.parse().unwrap();
        host.place.is_refused((loopback, 5000).into());
    }
    drop((server, a));
    node.take_away("a.json");
    node.wait_gone("a");
    for address in host.addresses {
        site.outside.is_refused((address, 5000).into());
        b.is_refused((address, 5000).into());
    }
    assert_eq!(node.traces().elements.len(), 1, "those of b alone");
    drop(b);
    node.drain_and_find_nothing();
}

#[test]
fn loopback_leads_to_host_ports_where_configured_and_not_for_the_outside() {
    let (site, host, mut node) = node("hostPortsOnLoopback: true\n");
    node.lay("a.json", &published("a", 5000));
    let a = node.place("a");
    let server = Server::start(&a, "a", TARGET);
    let loopback = (IpAddr::V4(Ipv4Addr::LOCALHOST), 5000).into();
    assert_eq!(host.place.ask(loopback).by, "a");
    // The outside gives up its own loopback address and asks the host's.
    for command in [
        "sysctl -qw net.ipv4.conf.all.route_localnet=1",
        "ip address del 127.0.0.1/8 dev lo",
        &format!(
            "ip route add 127.0.0.1/32 via {} src {}",
            host.addresses[0], host.gateways[0]
        ),
    ] {
        site.outside.run(command);
    }
    assert!(!site.outside.reaches(loopback));
    assert!(!site.outside.reaches_by_udp(loopback));
    assert_eq!(site.outside.ask((host.addresses[0], 5000).into()).by, "a");
    drop((server, a));
    node.drain_and_find_nothing();
}

#[test]
fn a_host_port_with_an_address_is_there_on_that_address_only() {
    let (site, host, mut node) = node("");
    host.place.run("ip address add 203.0.113.1/32 dev up0");
    site.outside
        .run(&format!("ip route add 203.0.113.1/32 via {}", host.addresses[0]));
    let second: IpAddr = "203.0.113.1".parse().unwrap();
    for (name, address) in [("first", host.addresses[0]), ("second", second)] {
        let ports = json!([{"containerPort": TARGET, "hostPort": 5000, "hostIP": address}]);
        node.lay(
            &format!("{name}.json"),
            &with_ports(pod(name, FOREVER), ports).to_string(),
        );
    }
    let places = ["first", "second"].map(|name| node.place(name));
    let servers = [("first", &places[0]), ("second", &places[1])]
        .map(|(name, place)| Server::start(place, name, TARGET));
    for place in [&site.outside, &host.place] {
        assert_eq!(
            place.ask_tcp((host.addresses[0], 5000).into()).unwrap().by,
            "first"
        );
        assert_eq!(place.ask_tcp((second, 5000).into()).unwrap().by, "second");
        place.is_refused((host.addresses[1], 5000).into());
    }
    drop((servers, places));
    node.drain_and_find_nothing();
}

#[test]
fn a_host_port_that_is_taken_leaves_the_pod_pending_and_names_the_holder() {
    let (_site, _host, mut node) = node("");
    node.lay("holder.json", &published("holder", 5000));
    node.wait_running("holder");
    node.lay("late.json", &published("late", 5000));
    let message = node.wait_pod("late", "the reason", |pod| {
        let conditions = pod["status"]["conditions"].as_array()?.iter();
        let told = conditions.filter_map(|condition| condition["message"].as_str());
        let told = told.chain(pod["status"]["message"].as_str());
        told.map(str::to_owned).find(|message| message.contains("ports"))
    });
    assert!(message.contains("default/holder"), "{message}");
    assert_eq!(node.pod("late").unwrap()["status"]["phase"], "Pending");
    node.take_away("holder.json");
    node.wait_running("late");
    node.drain_and_find_nothing();
}

#[test]
fn the_same_number_serves_two_pods_by_different_protocols() {
    let (site, host, mut node) = node("");
    for (name, protocol) in [("tcp", "TCP"), ("udp", "UDP")] {
        let ports = json!([{"containerPort": TARGET, "hostPort": 5000, "protocol": protocol}]);
        node.lay(
            &format!("{name}.json"),
            &with_ports(pod(name, FOREVER), ports).to_string(),
        );
    }
    let places = ["tcp", "udp"].map(|name| node.place(name));
    let servers =
        [("tcp", &places[0]), ("udp", &places[1])].map(|(name, place)| Server::start(place, name, TARGET));
    for address in host.addresses {
        assert_eq!(site.outside.ask_tcp((address, 5000).into()).unwrap().by, "tcp");
        assert_eq!(site.outside.ask_udp((address, 5000).into()).unwrap().by, "udp");
    }
    drop((servers, places));
    node.drain_and_find_nothing();
}

#[test]
fn sctp_is_among_the_rules_that_are_made() {
    let (_site, host, mut node) = node("");
    let ports = json!([{"containerPort": TARGET, "hostPort": 5000, "protocol": "SCTP"}]);
    node.lay("a.json", &with_ports(pod("a", FOREVER), ports).to_string());
    let address = node.addresses("a")[0];
    let table = pinnace_tests::leaks::rule_table(node.root());
    let rules = host.place.run(&format!("nft list table inet {table}"));
    let line = rules.lines().find(|line| line.contains("sctp . 5000"));
    assert!(
        line.is_some_and(|line| line.contains(&address.to_string()))
            || rules.contains(&format!("{address} . {TARGET}")),
        "{rules}"
    );
    assert!(rules.contains("sctp . 5000"), "{rules}");
    node.take_away("a.json");
    node.wait_gone("a");
    wait_for("the rules without it", || {
        let rules = host.place.run(&format!("nft list table inet {table}"));
        (!rules.contains("sctp . 5000")).then_some(())
    });
    node.drain_and_find_nothing();
}
