//! The table laid anew: nothing is lost, nothing of others is touched.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use pinnace_api::pod::Protocol;
use pinnace_core::network::{Allowed, Direction, NetworkState, PolicyTable, ServiceForm};
use pinnace_core::ports::Network;
use pinnace_net::Net;
use pinnace_net::names::HostNames;
use pinnace_sys::namespace;
use serde_json::json;

use crate::bay::{Bay, LIMIT, NEAR, ask, fronts, ip, web};
use crate::world::run;

/// What `nft` shows of the table and of another's.
fn shown(bay: &Bay) -> String {
    let others = bay.rules().contains("table ip others");
    let others = others.then(|| bay.world.on_host("nft list table ip others"));
    let all = bay.world.on_host(&format!("nft list table inet {}", table(bay)));
    let (mut kept, mut remembered) = (String::new(), false);
    for line in all.lines() {
        // Which clients are remembered, and for how long, changes by itself.
        remembered |= line.contains("map affinity");
        if !remembered {
            kept.push_str(line);
            kept.push('\n');
        }
        remembered &= line.trim() != "}";
    }
    kept + &others.unwrap_or_default()
}

/// Line by line and element by element, in an order of their own: the kernel's changes with the table.
fn parts(shown: &str) -> Vec<&str> {
    let ends = |part: char| matches!(part, ' ' | '\t' | '}' | '{');
    let parts = shown.split(['\n', ',']).map(|part| part.trim_matches(ends));
    let mut parts: Vec<&str> = parts
        .map(|part| part.trim_start_matches("elements = { "))
        .collect();
    parts.sort_unstable();
    parts
}

fn table(bay: &Bay) -> String {
    HostNames::new(&bay.config.layout).table()
}

#[test]
fn a_restart_keeps_flows_elements_and_the_rules_of_others() {
    let bay = Bay::new();
    bay.world.on_host("nft add table ip others");
    bay.world.on_host("nft add chain ip others c");
    bay.world.on_host("nft add rule ip others c counter accept");
    let server = bay.pod_with("a", &json!([{"containerPort": 8080, "hostPort": 8000}]));
    let client = bay.pod("client");
    let mut services = web(&[&server]);
    for entry in services.services.values_mut() {
        entry.form = ServiceForm::NodePort;
        entry.external_ips = vec![ip("198.51.100.7")];
        entry.client_ip_affinity = Some(Duration::from_secs(60));
        entry.ports[0].node_port = Some(30_080);
    }
    bay.services(&services);
    let mut policies = PolicyTable::default();
    policies.ingress_isolated.insert(server.address(true));
    for protocol in [None, Some(Protocol::Tcp)] {
        for v4 in [true, false] {
            policies.allowed.insert(Allowed {
                direction: Direction::Ingress,
                pod: server.address(v4),
                peer_first: if v4 { ip("0.0.0.0") } else { ip("::") },
                peer_last: if v4 {
                    ip("255.255.255.255")
                } else {
                    ip("fd00::ffff:ffff")
                },
                protocol,
                port_first: 0,
                port_last: 8080,
            });
        }
    }
    bay.at_host(|| run(bay.net.apply_policies(&policies)).unwrap());
    let connect = || TcpStream::connect_timeout(&fronts(80)[0], LIMIT).unwrap();
    let mut stream = namespace::within(client.at(), connect).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    let before = shown(&bay);
    for layout in ["kept", "of another release"] {
        if layout != "kept" {
            // As a table of another layout would be: the same elements, another comment.
            let other = before.replace("layout ", "layout of old ");
            assert_ne!(other, before);
            // nft shows these, but does not read them.
            let read = other.lines().filter(|line| !line.contains("update @affinity"));
            let other: String = read.flat_map(|line| [line, "\n"]).collect();
            let file = bay.world.path("other.nft");
            let maps = "map affinity4 { type ipv4_addr . ipv4_addr . inet_proto . inet_service : ipv4_addr . \
                        inet_service; flags dynamic,timeout; size 65536; }\n \
                        map affinity6 { type ipv6_addr . ipv6_addr . inet_proto . inet_service : ipv6_addr . \
                        inet_service; flags dynamic,timeout; size 65536; }\n set external4";
            let other = other.replacen("set external4", maps, 1);
            let all = format!(
                "delete table inet {}\ndelete table ip others\n{other}",
                table(&bay)
            );
            std::fs::write(&file, all).unwrap();
            bay.world.on_host(&format!("nft -f {}", file.display()));
        }
        let net = Net::new(bay.config.clone());
        bay.at_host(|| run(net.start()).unwrap_or_else(|error| panic!("{}", error.chain())));
        assert_eq!(parts(&shown(&bay)), parts(&before), "{layout}");
        line.clear();
        writeln!(stream, "still there").unwrap();
        lines.read_line(&mut line).unwrap();
        assert_eq!(line, "still there\n", "{layout}");
        for pod in [&server, &client] {
            let seen = bay.at_host(|| run(net.observe(&pod.pod.uid, pod.at())).unwrap());
            assert_eq!(seen, NetworkState::Attached(pod.addresses), "{layout}");
        }
        for to in fronts(80) {
            assert!(ask(client.at(), to).is_ok(), "{layout}");
        }
        assert!(ask(&bay.outside, SocketAddr::new(ip(NEAR[0]), 8000)).is_ok());
    }
}

#[test]
fn a_table_that_somebody_removed_comes_again() {
    let bay = Bay::new();
    let (server, client) = (bay.pod("a"), bay.pod("client"));
    bay.services(&web(&[&server]));
    bay.world
        .on_host(&format!("nft delete table inet {}", table(&bay)));
    for pod in [&server, &client] {
        let again = bay.at_host(|| {
            let seen = run(bay.net.observe(&pod.pod.uid, pod.at())).unwrap();
            assert_eq!(seen, NetworkState::Partial);
            run(bay.net.attach(&pod.pod.context(), pod.at())).unwrap()
        });
        assert_eq!(again, pod.addresses);
    }
    for to in fronts(80) {
        assert!(ask(client.at(), to).is_ok());
    }
}

#[test]
fn an_apply_that_another_process_changed_under_converges() {
    let bay = Bay::new();
    let (server, client) = (bay.pod("a"), bay.pod("client"));
    bay.services(&web(&[&server]));
    let whole = shown(&bay);
    let name = table(&bay);
    bay.world.on_host(&format!("nft flush map inet {name} services4"));
    bay.world
        .on_host(&format!("nft flush map inet {name} endpoints6"));
    // A process that begins anew, and the one that knew the elements.
    let net = Net::new(bay.config.clone());
    bay.at_host(|| run(net.apply_services(&web(&[&server]))).unwrap());
    assert!(shown(&bay) == whole, "{}", shown(&bay));
    bay.services(&web(&[]));
    bay.services(&web(&[&server]));
    assert!(shown(&bay) == whole, "{}", shown(&bay));
    assert!(ask(client.at(), fronts(80)[0]).is_ok());
}

#[test]
fn retiring_leaves_no_table() {
    let bay = Bay::new();
    bay.at_host(|| run(bay.net.retire()).unwrap());
    assert!(!bay.rules().contains(&table(&bay)));
    bay.at_host(|| run(bay.net.retire()).unwrap());
}
