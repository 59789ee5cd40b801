//! Services: from pods, from the host, from outside.

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use pinnace_api::pod::Protocol;
use pinnace_core::network::ServiceForm;
use pinnace_sys::namespace;

use crate::bay::{
    Bay, FAR, LIMIT, NEAR, SERVICE, SILENCE, ask, ask_by, entry, fronts, ip, refused, table, web,
};

#[test]
fn a_cluster_address_leads_to_every_endpoint_from_pods_and_the_host() {
    let bay = Bay::new();
    let pods = ["a", "b", "c"].map(|name| bay.pod(name));
    let client = bay.pod("client");
    bay.services(&web(&[&pods[0], &pods[1], &pods[2]]));
    for to in fronts(80) {
        for from in [client.at(), &bay.host()] {
            let answers: BTreeSet<String> = (0..60).map(|_| ask(from, to).unwrap().0).collect();
            assert_eq!(answers.into_iter().collect::<Vec<_>>(), ["a", "b", "c"], "{to}");
        }
        assert_eq!(ask(client.at(), to).unwrap().1, client.address(to.is_ipv4()));
    }
    bay.services(&web(&[&pods[1]]));
    for to in fronts(80) {
        let answers: BTreeSet<String> = (0..20).map(|_| ask(client.at(), to).unwrap().0).collect();
        assert_eq!(answers.into_iter().collect::<Vec<_>>(), ["b"]);
    }
}

#[test]
fn nobody_behind_a_service_is_refused_at_once() {
    let bay = Bay::new();
    let client = bay.pod("client");
    bay.services(&web(&[]));
    let begun = Instant::now();
    for to in fronts(80).into_iter().chain(fronts(81)) {
        refused(ask(client.at(), to));
        refused(ask(&bay.host(), to));
        refused(ask(&bay.outside, to));
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn a_client_stays_with_its_endpoint() {
    let bay = Bay::new();
    let pods = ["a", "b", "c"].map(|name| bay.pod(name));
    let client = bay.pod("client");
    let with = |pods: &[&crate::bay::Pod], timeout| {
        let mut entry = entry(pods, Protocol::Tcp, 80);
        entry.client_ip_affinity = Some(Duration::from_secs(timeout));
        entry.form = ServiceForm::NodePort;
        entry.ports[0].node_port = Some(30_080);
        table([("web".to_owned(), entry)])
    };
    bay.services(&with(&[&pods[0], &pods[1], &pods[2]], 600));
    let nodes = NEAR.map(|near| SocketAddr::new(ip(near), 30_080));
    for to in fronts(80).into_iter().chain(nodes) {
        let (first, _) = ask(client.at(), to).unwrap();
        for _ in 0..20 {
            assert_eq!(ask(client.at(), to).unwrap().0, first, "{to}");
        }
        let left: Vec<_> = pods.iter().filter(|pod| pod.name != first).collect();
        bay.services(&with(&left, 600));
        let (second, _) = ask(client.at(), to).unwrap();
        assert_ne!(second, first, "an endpoint that is gone is not remembered");
        bay.services(&with(&[&pods[0], &pods[1], &pods[2]], 600));
        assert_eq!(ask(client.at(), to).unwrap().0, second);
    }
    assert!(bay.rules().contains("timeout 10m"));
}

#[test]
fn a_node_port_leads_from_everywhere_to_the_pods() {
    let bay = Bay::new();
    let server = bay.pod("a");
    let mut entry = entry(&[&server], Protocol::Tcp, 80);
    entry.form = ServiceForm::NodePort;
    entry.ports[0].node_port = Some(30_080);
    let mut datagrams = entry.ports[0].clone();
    datagrams.protocol = Protocol::Udp;
    entry.ports.push(datagrams);
    bay.services(&table([("web".to_owned(), entry)]));
    bay.leads_from_everywhere_to(&server, "a", 30_080);
    refused(ask(&bay.host(), "127.0.0.1:30080".parse().unwrap()));
}

#[test]
fn a_pod_reaches_itself_through_its_service() {
    let bay = Bay::new();
    let server = bay.pod("a");
    bay.services(&web(&[&server]));
    for to in fronts(80) {
        let (name, seen) = ask(server.at(), to).unwrap();
        assert_eq!(name, "a");
        assert_ne!(seen, server.address(to.is_ipv4()));
    }
}

#[test]
fn datagrams_leave_an_endpoint_that_is_gone() {
    let bay = Bay::new();
    let (one, other, client) = (bay.pod("a"), bay.pod("b"), bay.pod("client"));
    let of = |pod| table([("names".to_owned(), entry(&[pod], Protocol::Udp, 53))]);
    bay.services(&of(&one));
    for to in fronts(53) {
        let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = namespace::within(client.at(), || UdpSocket::bind(any).unwrap()).unwrap();
        bay.services(&of(&one));
        assert_eq!(ask_by(&socket, to, LIMIT).unwrap().0, "a");
        assert_eq!(ask_by(&socket, to, LIMIT).unwrap().0, "a");
        bay.services(&of(&other));
        // The old one is still there: a flow that stuck to it would be answered by it.
        assert_eq!(ask_by(&socket, to, LIMIT).unwrap().0, "b");
    }
}

#[test]
fn datagrams_find_a_node_port_that_came_later() {
    let bay = Bay::new();
    let server = bay.pod("a");
    let to = SocketAddr::new(ip(NEAR[0]), 30_053);
    let socket = namespace::within(&bay.outside, || UdpSocket::bind("0.0.0.0:0").unwrap()).unwrap();
    assert!(ask_by(&socket, to, SILENCE).is_err());
    let mut entry = entry(&[&server], Protocol::Udp, 53);
    entry.form = ServiceForm::NodePort;
    entry.ports[0].node_port = Some(30_053);
    bay.services(&table([("names".to_owned(), entry)]));
    assert_eq!(ask_by(&socket, to, LIMIT).unwrap().0, "a");
}

#[test]
fn external_addresses_lead_to_the_pods_too() {
    let bay = Bay::new();
    let server = bay.pod("a");
    let mut entry = entry(&[&server], Protocol::Tcp, 80);
    entry.external_ips = vec![ip("198.51.100.7")];
    bay.world
        .run(&bay.outside, "ip route add 198.51.100.7 via 192.0.2.1");
    bay.services(&table([("web".to_owned(), entry)]));
    let to = "198.51.100.7:80".parse().unwrap();
    assert_eq!(ask(&bay.outside, to).unwrap(), ("a".to_owned(), ip(FAR[0])));
}

#[test]
fn sctp_has_the_same_elements() {
    let bay = Bay::new();
    let server = bay.pod("a");
    bay.services(&table([(
        "signal".to_owned(),
        entry(&[&server], Protocol::Sctp, 3868),
    )]));
    let rules = bay
        .world
        .on_host(&format!("nft list map inet {} services4", bay_table(&bay)));
    assert!(
        rules.contains(&format!("{} . sctp . 3868 : goto endpoints-1", SERVICE[0])),
        "{rules}"
    );
}

fn bay_table(bay: &Bay) -> String {
    pinnace_net::names::HostNames::new(&bay.config.layout).table()
}
