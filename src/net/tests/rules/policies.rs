//! Policies: what isolated pods may still do.

use std::net::{IpAddr, SocketAddr};

use pinnace_api::Cidr;
use pinnace_api::pod::Protocol;
use pinnace_core::network::{Allowed, Direction, PolicyTable};
use pinnace_core::ports::Network;

use crate::bay::{
    Bay, FAR, LIMIT, NEAR, Pod, SILENCE, ask, ask_udp, ask_within, fronts, ip, serve, unanswered, web,
};
use crate::world::run;

fn apply(bay: &Bay, table: &PolicyTable) {
    bay.at_host(|| run(bay.net.apply_policies(table)).unwrap_or_else(|error| panic!("{}", error.chain())));
}

fn allowed(direction: Direction, pod: IpAddr, peers: (IpAddr, IpAddr)) -> Allowed {
    Allowed {
        direction,
        pod,
        peer_first: peers.0,
        peer_last: peers.1,
        protocol: None,
        port_first: 0,
        port_last: u16::MAX,
    }
}

fn at(pod: &Pod, v4: bool, port: u16) -> SocketAddr {
    SocketAddr::new(pod.address(v4), port)
}

#[test]
fn incoming_traffic_passes_from_allowed_peers_to_allowed_ports_only() {
    let bay = Bay::new();
    let (server, friend, stranger) = (bay.pod("a"), bay.pod("friend"), bay.pod("stranger"));
    bay.services(&web(&[&server]));
    for v4 in [true, false] {
        serve(server.at(), at(&server, v4, 8079), "a");
        let mut table = PolicyTable::default();
        table.ingress_isolated.insert(server.address(v4));
        apply(&bay, &table);
        for from in [friend.at(), stranger.at(), &bay.outside] {
            unanswered(ask_within(from, at(&server, v4, 8080), SILENCE));
        }
        // The node itself, and the pod through its own Service.
        assert!(ask(&bay.host(), at(&server, v4, 8080)).is_ok());
        let front = fronts(80)[usize::from(!v4)];
        assert!(ask(server.at(), front).is_ok());
        assert!(
            ask(server.at(), at(&friend, v4, 8080)).is_ok(),
            "what goes out is not isolated"
        );

        let peer = friend.address(v4);
        table.allowed.insert(Allowed {
            protocol: Some(Protocol::Tcp),
            port_first: 8080,
            port_last: 8090,
            ..allowed(Direction::Ingress, server.address(v4), (peer, peer))
        });
        apply(&bay, &table);
        assert!(ask(friend.at(), at(&server, v4, 8080)).is_ok());
        assert!(ask(friend.at(), front).is_ok());
        unanswered(ask_within(friend.at(), at(&server, v4, 8079), SILENCE));
        unanswered(ask_udp(friend.at(), at(&server, v4, 8080), SILENCE));
        unanswered(ask_within(stranger.at(), at(&server, v4, 8080), SILENCE));

        apply(&bay, &PolicyTable::default());
        assert!(ask(stranger.at(), at(&server, v4, 8079)).is_ok());
    }
}

#[test]
fn outgoing_traffic_passes_to_allowed_blocks_but_not_to_what_they_except() {
    let bay = Bay::new();
    let (client, server) = (bay.pod("client"), bay.pod("a"));
    for (v4, far, near) in [(true, FAR[0], NEAR[0]), (false, FAR[1], NEAR[1])] {
        let second = if v4 { "192.0.2.66" } else { "2001:db8::66" };
        let length = if v4 { "24 dev eth0" } else { "64 dev eth0 nodad" };
        bay.world
            .run(&bay.outside, &format!("ip address add {second}/{length}"));
        for address in [far, second] {
            serve(&bay.outside, SocketAddr::new(ip(address), 7000), "far");
        }
        let block: Cidr = if v4 { "192.0.2.0/24" } else { "2001:db8::/64" }.parse().unwrap();
        let except: Cidr = if v4 { "192.0.2.64/26" } else { "2001:db8::60/124" }
            .parse()
            .unwrap();
        let (last, next) = if v4 {
            (ip("192.0.2.63"), ip("192.0.2.128"))
        } else {
            (ip("2001:db8::5f"), ip("2001:db8::70"))
        };
        assert!(except.contains(ip(second)));
        let pod = client.address(v4);
        let mut table = PolicyTable::default();
        table.egress_isolated.insert(pod);
        table
            .allowed
            .insert(allowed(Direction::Egress, pod, (block.first(), last)));
        table
            .allowed
            .insert(allowed(Direction::Egress, pod, (next, block.last())));
        apply(&bay, &table);
        assert!(ask(client.at(), SocketAddr::new(ip(far), 7000)).is_ok());
        assert!(ask_udp(client.at(), SocketAddr::new(ip(far), 7000), LIMIT).is_ok());
        unanswered(ask_within(
            client.at(),
            SocketAddr::new(ip(second), 7000),
            SILENCE,
        ));
        unanswered(ask_within(client.at(), at(&server, v4, 8080), SILENCE));
        // What comes in is answered, and the node is always reached.
        assert!(ask(server.at(), at(&client, v4, 8080)).is_ok());
        serve(&bay.host(), SocketAddr::new(ip(near), 7001), "node");
        assert!(ask(client.at(), SocketAddr::new(ip(near), 7001)).is_ok());
    }
}
