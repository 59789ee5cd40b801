//! Two nodes, each in a network of its own, joined by the world between them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use pinnace_tests::network::{Host, Server, Site};
use pinnace_tests::sample::{FOREVER, labelled, pod, service, with_ports};
use pinnace_tests::{Node, wait_for};
use serde_json::json;

#[test]
fn pods_of_two_nodes_reach_each_other_by_routes_by_host_ports_and_by_node_ports() {
    let mut site = Site::new();
    let hosts = [site.host(), site.host()];
    let mut nodes = [Node::started_on(&hosts[0]), Node::started_on(&hosts[1])];
    let ports = json!([
        {"name": "tcp", "containerPort": 8080, "hostPort": 5000},
        {"name": "udp", "containerPort": 8080, "hostPort": 5000, "protocol": "UDP"},
    ]);
    let mut web = service("web", "web");
    web["spec"]["type"] = json!("NodePort");
    web["spec"]["ports"][0]["nodePort"] = json!(30_080);
    web["spec"]["ports"][1]["nodePort"] = json!(30_080);
    let names = ["one", "other"];
    for (node, name) in nodes.iter().zip(names) {
        let manifest = labelled(with_ports(pod(name, FOREVER), ports.clone()), "web");
        node.lay("pod.json", &manifest.to_string());
        node.lay("web.json", &web.to_string());
    }
    let places = [nodes[0].place("one"), nodes[1].place("other")];
    let pods = [nodes[0].addresses("one"), nodes[1].addresses("other")];
    let servers = [0, 1].map(|number| Server::start(&places[number], names[number], 8080));
    for (host, addresses) in hosts.iter().zip(&pods) {
        for (family, bits) in [(0, 32), (1, 128)] {
            let route = format!(
                "ip route add {}/{bits} via {}",
                addresses[family], host.addresses[family]
            );
            site.outside.run(&route);
        }
    }
    for (here, there) in [(0, 1), (1, 0)] {
        let (place, host): (_, &Host) = (&places[here], &hosts[there]);
        for (family, seen) in hosts[here].addresses.into_iter().enumerate() {
            for (address, port) in [
                (pods[there][family], 8080),
                (host.addresses[family], 5000),
                (host.addresses[family], 30_080),
            ] {
                let to = (address, port).into();
                wait_for("an answer", || place.reaches(to).then_some(()));
                let answer = place.ask(to);
                assert_eq!((answer.by.as_str(), answer.seen), (names[there], seen), "{to}");
            }
        }
    }
    drop((servers, places));
    for node in &mut nodes {
        node.drain_and_find_nothing();
    }
}
