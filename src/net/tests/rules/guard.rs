//! What pods may not do, and what the outside sees of them.

use std::net::SocketAddr;

use crate::bay::{Bay, FAR, LIMIT, NEAR, SILENCE, ask, ask_udp, ask_within, ip, serve, unanswered};

#[test]
fn the_outside_sees_the_nodes_address() {
    let bay = Bay::new();
    let client = bay.pod("client");
    for (near, far) in NEAR.into_iter().zip(FAR) {
        let to = SocketAddr::new(ip(far), 7000);
        serve(&bay.outside, to, "far");
        assert_eq!(ask(client.at(), to).unwrap(), ("far".to_owned(), ip(near)));
        assert_eq!(
            ask_udp(client.at(), to, LIMIT).unwrap(),
            ("far".to_owned(), ip(near))
        );
    }
}

#[test]
fn a_source_that_is_not_the_pods_own_is_dropped() {
    let bay = Bay::new();
    let (liar, other) = (bay.pod("liar"), bay.pod("other"));
    for v4 in [true, false] {
        let forged = if v4 {
            "10.244.9.9/32"
        } else {
            "fd00:10:244::9:9/128"
        };
        let bare = forged.split('/').next().unwrap();
        let to = SocketAddr::new(other.address(v4), 8080);
        assert!(ask(liar.at(), to).is_ok());
        let suffix = if v4 { "" } else { " nodad" };
        bay.world
            .run(liar.at(), &format!("ip address add {forged} dev eth0{suffix}"));
        let socket = pinnace_sys::namespace::within(liar.at(), || {
            std::net::UdpSocket::bind(SocketAddr::new(ip(bare), 0)).unwrap()
        })
        .unwrap();
        unanswered(crate::bay::ask_by(&socket, to, SILENCE));
        // What the other got is all that was counted before.
        let counted = bay.world.run(other.at(), "cat /proc/net/snmp /proc/net/snmp6");
        let received = if v4 {
            ["Udp:", "0"]
        } else {
            ["Udp6InDatagrams", "0"]
        };
        let mut lines = counted.lines().map(str::split_whitespace);
        assert!(lines.any(|line| line.take(2).eq(received)), "{counted}");
    }
}

#[test]
fn the_agents_own_ports_are_closed_to_pods_but_not_its_names() {
    let bay = Bay::new();
    let client = bay.pod("client");
    for near in NEAR {
        serve(&bay.host(), SocketAddr::new(ip(near), 9100), "agent");
        serve(&bay.host(), SocketAddr::new(ip(near), 9101), "other");
        unanswered(ask_within(client.at(), SocketAddr::new(ip(near), 9100), SILENCE));
        assert!(ask(client.at(), SocketAddr::new(ip(near), 9101)).is_ok());
        assert!(ask(&bay.outside, SocketAddr::new(ip(near), 9100)).is_ok());
        assert!(ask(&bay.host(), SocketAddr::new(ip(near), 9100)).is_ok());
    }
    for server in &bay.config.loopback_addresses {
        let to = SocketAddr::new(*server, 53);
        serve(&bay.host(), to, "names");
        assert!(ask(client.at(), to).is_ok());
        assert!(ask_udp(client.at(), to, LIMIT).is_ok());
    }
}

#[test]
fn pods_reach_the_agent_where_it_is_configured() {
    let bay = Bay::with(|config| config.rules.pods_may_reach_agent = true);
    let client = bay.pod("client");
    let to = SocketAddr::new(ip(NEAR[0]), 9100);
    serve(&bay.host(), to, "agent");
    assert!(ask(client.at(), to).is_ok());
}

#[test]
fn the_doctor_names_the_chain_that_is_closed_and_the_rule_that_opens_it() {
    let bay = Bay::new();
    let told = || -> Vec<String> {
        let findings = bay.at_host(|| pinnace_net::doctor::rules(&bay.config));
        findings.iter().map(ToString::to_string).collect()
    };
    assert_eq!(told(), Vec::<String>::new());
    bay.world.on_host("nft add table ip filter");
    bay.world
        .on_host("nft add chain ip filter FORWARD { type filter hook forward priority 0 ; policy drop ; }");
    bay.world.on_host("nft add table inet wall");
    bay.world
        .on_host("nft add chain inet wall in { type filter hook input priority 10 ; policy accept ; }");
    bay.world.on_host("nft add rule inet wall in counter reject");
    assert_eq!(
        told(),
        [
            "The host's firewall drops what is forwarded to and from pods (chain ip filter FORWARD). Add two rules: \
             nft insert rule ip filter FORWARD iifname \"pn*\" accept; \
             nft insert rule ip filter FORWARD oifname \"pn*\" accept.",
            "The host's firewall drops what pods send to this host, the questions for names too (chain inet wall \
             in). Add a rule: nft insert rule inet wall in iifname \"pn*\" accept.",
        ]
    );
    bay.world
        .on_host("nft insert rule ip filter FORWARD iifname pn* accept");
    bay.world
        .on_host("nft insert rule inet wall in iifname pn* accept");
    assert_eq!(told(), Vec::<String>::new());
}

#[test]
fn the_doctor_sees_the_chains_of_legacy_iptables_too() {
    let bay = Bay::new();
    let told = || -> Vec<String> {
        let findings = bay.at_host(|| pinnace_net::doctor::after_start(&bay.config));
        findings.iter().map(ToString::to_string).collect()
    };
    assert_eq!(told(), Vec::<String>::new());
    bay.world.on_host("iptables-legacy -P FORWARD DROP");
    bay.world.on_host("ip6tables-legacy -A INPUT -j REJECT");
    assert_eq!(
        told(),
        [
            "The host's firewall drops what is forwarded to and from pods (chain FORWARD of legacy iptables). Add two \
             rules: iptables-legacy -I FORWARD -i pn+ -j ACCEPT; iptables-legacy -I FORWARD -o pn+ -j ACCEPT.",
            "The host's firewall drops what pods send to this host, the questions for names too (chain INPUT of legacy \
             iptables). Add a rule: ip6tables-legacy -I INPUT -i pn+ -j ACCEPT.",
        ]
    );
    for rule in [
        "iptables-legacy -I FORWARD -i pn+ -j ACCEPT",
        "iptables-legacy -I FORWARD -o pn+ -j ACCEPT",
        "ip6tables-legacy -I INPUT -i pn+ -j ACCEPT",
    ] {
        bay.world.on_host(rule);
    }
    assert_eq!(told(), Vec::<String>::new());
}
