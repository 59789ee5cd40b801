//! NetworkPolicies: who may talk with whom.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::net::IpAddr;

use nix::sys::signal::Signal;
use pinnace_tests::network::{Host, Place, Server, Site};
use pinnace_tests::sample::{FOREVER, labelled, pod, policy, service};
use pinnace_tests::{Node, wait_for};
use serde_json::{Value, json};

const PORTS: [u16; 2] = [8080, 9090];

/// A node with pods `server`, `friend` and `stranger`, each labelled `app` with its name; all answer on both ports.
struct World {
    site: Site,
    host: Host,
    node: Node,
    places: [Place; 3],
    addresses: [Vec<IpAddr>; 3],
    servers: Vec<Server>,
}

const SERVER: usize = 0;
const FRIEND: usize = 1;
const STRANGER: usize = 2;

impl World {
    fn new() -> Self {
        let mut site = Site::new();
        let host = site.host();
        let node = Node::started_on(&host);
        let names = ["server", "friend", "stranger"];
        for name in names {
            let mut manifest = labelled(pod(name, FOREVER), name);
            manifest["spec"]["containers"][0]["ports"] = json!([{"name": "web", "containerPort": PORTS[0]}]);
            node.lay(&format!("{name}.json"), &manifest.to_string());
        }
        let places = names.map(|name| node.place(name));
        let mut servers = Vec::new();
        for (name, place) in names.iter().zip(&places) {
            servers.extend(PORTS.map(|port| Server::start(place, name, port)));
        }
        servers.extend(PORTS.map(|port| Server::start(&site.outside, "outside", port)));
        Self {
            addresses: names.map(|name| node.addresses(name)),
            site,
            host,
            node,
            places,
            servers,
        }
    }

    fn lay(&self, policy: &Value) {
        self.node.lay("policy.json", &policy.to_string());
    }

    /// Waits until this pod reaches that one or no longer does, by both families and both protocols.
    #[track_caller]
    fn expect(&self, from: usize, to: usize, port: u16, reached: bool) {
        for address in &self.addresses[to] {
            let target = (*address, port).into();
            let place = &self.places[from];
            wait_for(&format!("{from} to {target}: {reached}"), || {
                (place.reaches(target) == reached).then_some(())
            });
        }
    }

    fn end(self) {
        let Self {
            mut node,
            places,
            servers,
            ..
        } = self;
        drop((servers, places));
        node.drain_and_find_nothing();
    }
}

#[test]
fn a_policy_without_rules_isolates_but_for_the_node_itself_and_its_end_opens_again() {
    let world = World::new();
    world.expect(FRIEND, SERVER, PORTS[0], true);
    world.lay(&policy("deny", "server", &json!({"policyTypes": ["Ingress"]})));
    for from in [FRIEND, STRANGER] {
        world.expect(from, SERVER, PORTS[0], false);
    }
    let target = |family: usize| (world.addresses[SERVER][family], PORTS[0]).into();
    for family in 0..2 {
        assert!(!world.places[FRIEND].reaches_by_udp(target(family)));
        assert_eq!(
            world.host.place.ask(target(family)).by,
            "server",
            "probes need it"
        );
        let back = (world.addresses[FRIEND][family], PORTS[0]).into();
        assert_eq!(world.places[SERVER].ask(back).by, "friend", "replies come in");
    }
    world.expect(FRIEND, STRANGER, PORTS[0], true);
    world.node.take_away("policy.json");
    for from in [FRIEND, STRANGER] {
        world.expect(from, SERVER, PORTS[0], true);
    }
    world.end();
}

#[test]
fn only_the_selected_pods_come_in_and_only_to_the_ports_that_are_named() {
    let mut world = World::new();
    let rules = json!({"ingress": [{
        "from": [{"podSelector": {"matchLabels": {"app": "friend"}}}],
        "ports": [{"port": "web"}],
    }]});
    world.lay(&policy("web", "server", &rules));
    let as_said = |world: &World| {
        world.expect(STRANGER, SERVER, PORTS[0], false);
        world.expect(FRIEND, SERVER, PORTS[0], true);
        world.expect(FRIEND, SERVER, PORTS[1], false);
    };
    as_said(&world);
    // A Service in front is no way around.
    world
        .node
        .lay("service.json", &service("server", "server").to_string());
    for address in world.node.service_addresses("server") {
        let to = (address, 80).into();
        wait_for("the friend by the Service", || {
            world.places[FRIEND].reaches(to).then_some(())
        });
        assert!(!world.places[STRANGER].reaches(to));
    }
    world.node.end_agent(Signal::SIGKILL);
    as_said(&world);
    world.node.start();
    as_said(&world);
    world.end();
}

#[test]
fn outgoing_traffic_is_what_the_policy_allows() {
    let world = World::new();
    let outside = world.host.gateways;
    let rules = json!({"policyTypes": ["Egress"], "egress": [
        {"to": [{"podSelector": {"matchLabels": {"app": "server"}}}], "ports": [{"port": 8000, "endPort": 8100}]},
        {"to": [{"ipBlock": {"cidr": format!("{}/30", outside[0]), "except": [format!("{}/32", world.host.addresses[0])]}}]},
    ]});
    world.lay(&policy("out", "friend", &rules));
    world.expect(FRIEND, STRANGER, PORTS[0], false);
    world.expect(FRIEND, SERVER, PORTS[0], true);
    world.expect(FRIEND, SERVER, PORTS[1], false);
    let friend = &world.places[FRIEND];
    assert_eq!(friend.ask((outside[0], PORTS[0]).into()).by, "outside");
    assert!(
        !friend.reaches((outside[1], PORTS[0]).into()),
        "IPv6 is not named"
    );
    assert_eq!(
        world.places[STRANGER].ask((outside[1], PORTS[0]).into()).by,
        "outside"
    );
    world.expect(STRANGER, FRIEND, PORTS[0], true);
    world.end();
}

#[test]
fn addresses_outside_are_let_in_by_their_block_alone() {
    let world = World::new();
    for (family, bits) in [(0, 32), (1, 128)] {
        let (address, host) = (world.addresses[SERVER][family], world.host.addresses[family]);
        world
            .site
            .outside
            .run(&format!("ip route add {address}/{bits} via {host}"));
    }
    let blocks: Vec<Value> = [
        ("192.0.2.0/24", "192.0.2.2/32"),
        ("2001:db8::/32", "2001:db8:1::2/128"),
    ]
    .iter()
    .map(|(cidr, except)| json!({"ipBlock": {"cidr": cidr, "except": [except]}}))
    .collect();
    world.lay(&policy(
        "block",
        "server",
        &json!({"ingress": [{"from": blocks}]}),
    ));
    world.expect(STRANGER, SERVER, PORTS[0], false);
    for address in &world.addresses[SERVER] {
        assert!(
            !world.site.outside.reaches((*address, PORTS[0]).into()),
            "excepted"
        );
    }
    let blocks = json!([{"ipBlock": {"cidr": "192.0.2.0/24"}}, {"ipBlock": {"cidr": "2001:db8::/32"}}]);
    world.lay(&policy(
        "block",
        "server",
        &json!({"ingress": [{"from": blocks}]}),
    ));
    for address in &world.addresses[SERVER] {
        let to = (*address, PORTS[0]).into();
        wait_for("the outside", || world.site.outside.reaches(to).then_some(()));
    }
    world.expect(STRANGER, SERVER, PORTS[0], false);
    world.end();
}

/// The friend's allowance among so many blocks, each on a hundred ports.
fn wide(name: &str, blocks: usize) -> Value {
    let block = |number: usize| json!({"ipBlock": {"cidr": format!("192.0.{number}.0/25")}});
    let from: Vec<Value> = (0..blocks).map(block).collect();
    let ports: Vec<Value> = (0..100)
        .map(|number| json!({"port": 20_000 + 2 * number}))
        .collect();
    let friend = json!({"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}]});
    policy(
        name,
        "server",
        &json!({"ingress": [{"from": from, "ports": ports}, friend]}),
    )
}

#[test]
fn a_policy_of_too_many_ranges_isolates_and_is_named_until_it_is_smaller() {
    let world = World::new();
    world.lay(&wide("wide", 82));
    for from in [FRIEND, STRANGER] {
        world.expect(from, SERVER, PORTS[0], false);
    }
    let events = world.node.events();
    assert!(events.contains("NetworkPolicyTooLarge"), "{events}");
    let doctor = || {
        let mut doctor = world.node.command(&["doctor"]);
        let told = world.host.place.within(move || doctor.output().unwrap());
        String::from_utf8_lossy(&told.stdout).into_owned()
    };
    let told = doctor();
    let named = told.lines().any(|line| {
        line.contains("policy.json:1: NetworkPolicy default/wide") && line.contains("too many ranges")
    });
    assert!(named, "{told}");
    // As many as are possible are laid.
    world.lay(&wide("wide", 81));
    world.expect(FRIEND, SERVER, PORTS[0], true);
    world.expect(STRANGER, SERVER, PORTS[0], false);
    let told = doctor();
    assert!(!told.contains("too many ranges"), "{told}");
    world.end();
}
