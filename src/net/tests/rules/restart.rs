//! The table laid anew: nothing is lost, nothing of others is touched.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};

use pinnace_core::network::NetworkState;
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
    bay.world.on_host(&format!("nft list table inet {}", table(bay))) + &others.unwrap_or_default()
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
    bay.services(&web(&[&server]));
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
            let all = format!(
                "delete table inet {}\ndelete table ip others\n{other}",
                table(&bay)
            );
            std::fs::write(&file, all).unwrap();
            bay.world.on_host(&format!("nft -f {}", file.display()));
        }
        let net = Net::new(bay.config.clone());
        bay.at_host(|| run(net.start()).unwrap_or_else(|error| panic!("{}", error.chain())));
        assert!(shown(&bay) == before, "{layout}: {}", shown(&bay));
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
