//! A node whose pods are in a CNI network, by the distribution's plugins.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::net::SocketAddr;

use nix::sys::signal::Signal;
use pinnace_tests::manifest::{GO_ON, pod, shell, with};
use pinnace_tests::network::{Host, Server, Site};
use pinnace_tests::{Node, wait_for};
use serde_json::json;

fn node(host: &Host) -> Node {
    let mut node = Node::on(host);
    let (configurations, leases) = (node.path("etc/cni"), node.path("var/lib/cni"));
    std::fs::create_dir_all(&configurations).unwrap();
    let list = json!({"cniVersion": "1.0.0", "name": "test", "plugins": [
        {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "ipam": {
            "type": "host-local", "dataDir": leases, "ranges": [[{"subnet": "10.88.0.0/24"}]],
            "routes": [{"dst": "0.0.0.0/0"}]}},
        {"type": "portmap", "capabilities": {"portMappings": true}, "snat": true},
    ]});
    std::fs::write(configurations.join("10-test.conflist"), list.to_string()).unwrap();
    node.configure(&format!(
        "podNetwork: cni\ncniConfDir: {}\ncniBinDir: [/usr/lib/cni]\n",
        configurations.display()
    ));
    node.start();
    node
}

/// Addresses that plugins have leased.
fn leases(node: &Node) -> Vec<String> {
    let entries = std::fs::read_dir(node.path("var/lib/cni/test"))
        .into_iter()
        .flatten();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("10.")).collect()
}

fn lay(node: &Node, name: &str, host_port: u16) {
    let ports = json!({"ports": [{"containerPort": 8080, "hostPort": host_port}]});
    let container = with(shell("one", GO_ON), ports);
    let spec = json!({"terminationGracePeriodSeconds": 0, "containers": [container]});
    node.lay(&format!("{name}.json"), &pod(name, spec));
}

#[test]
fn pods_of_a_cni_network_keep_it_over_a_kill_and_leave_nothing() {
    let mut site = Site::new();
    let host = site.host();
    let mut node = node(&host);
    lay(&node, "one", 8081);
    lay(&node, "other", 8082);
    let (one, other) = (node.addresses("one"), node.addresses("other"));
    assert!(one[0].to_string().starts_with("10.88.0."), "{one:?}");
    let servers = [
        Server::start(&node.place("one"), "one", 8080),
        Server::start(&node.place("other"), "other", 8080),
    ];
    let answer = node.place("other").ask(SocketAddr::new(one[0], 8080));
    assert_eq!((answer.by.as_str(), answer.seen), ("one", other[0]));
    let answer = site
        .outside
        .ask_tcp(SocketAddr::new(host.addresses[0], 8082))
        .unwrap();
    assert_eq!(answer.by, "other");
    node.end_agent(Signal::SIGKILL);
    node.start();
    assert_eq!(node.addresses("one"), one, "adopted as it was");
    let answer = host.place.ask(SocketAddr::new(one[0], 8080));
    assert_eq!(answer.by, "one");
    drop(servers);
    node.take_away("one.json");
    node.wait_gone("one");
    wait_for("the lease is given back", || {
        (leases(&node).len() == 1).then_some(())
    });
    node.drain_and_find_nothing();
    assert_eq!(leases(&node), [""; 0]);
    let records = std::fs::read_dir(node.path("var/lib/pinnace/cni")).unwrap();
    assert_eq!(records.count(), 0);
    let links = host.place.run("ip -o link");
    assert!(!links.contains("veth"), "{links}");
}
