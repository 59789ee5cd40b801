//! Pods have addresses of their own, and reach who they should.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use nix::sys::signal::Signal;
use pinnace_tests::network::{FAR, Host, Place, Server, Site};
use pinnace_tests::node::METRICS_PORT;
use pinnace_tests::sample::{FOREVER, pod};
use pinnace_tests::{Node, wait_for};
use serde_json::json;

const PORT: u16 = 8080;

fn at(address: IpAddr) -> SocketAddr {
    (address, PORT).into()
}

/// A node of its own on a site of its own, with pods `a` and `b`.
fn two_pods(config: &str) -> (Site, Host, Node) {
    let mut site = Site::new();
    let host = site.host();
    let mut node = Node::on(&host);
    node.configure(&format!("nodeName: test\n{config}"));
    node.start();
    for name in ["a", "b"] {
        node.lay(&format!("{name}.json"), &pod(name, FOREVER).to_string());
    }
    (site, host, node)
}

#[test]
fn pods_the_host_and_the_outside_reach_each_other_by_both_families() {
    let (site, host, mut node) = two_pods("");
    let (a, b) = (node.addresses("a"), node.addresses("b"));
    assert_eq!((a.len(), b.len()), (2, 2));
    assert!(a[0].is_ipv4() && a[1].is_ipv6());
    let places = [
        node.place("a"),
        node.place("b"),
        host.place.clone(),
        site.outside.clone(),
    ];
    let names = ["a", "b", "host", "outside"];
    let servers: Vec<Server> = places
        .iter()
        .zip(names)
        .map(|(place, name)| Server::start(place, name, PORT))
        .collect();
    for family in 0..2 {
        let by = |place: &Place, to: IpAddr| {
            let answer = place.ask(at(to));
            (answer.by, answer.seen)
        };
        assert_eq!(
            by(&places[0], b[family]),
            ("b".to_owned(), a[family]),
            "pod to pod"
        );
        assert_eq!(
            by(&places[0], a[family]),
            ("a".to_owned(), a[family]),
            "to itself"
        );
        assert_eq!(
            by(&places[0], host.addresses[family]),
            ("host".to_owned(), a[family]),
            "pod to host"
        );
        assert_eq!(by(&host.place, a[family]).0, "a", "host to pod");
        assert_eq!(
            by(&places[0], FAR[family]),
            ("outside".to_owned(), host.addresses[family]),
            "what leaves the host bears its address"
        );
        let bits = if family == 0 { 32 } else { 128 };
        site.outside.run(&format!(
            "ip route add {}/{bits} via {}",
            a[family], host.addresses[family]
        ));
        assert_eq!(
            by(&site.outside, a[family]),
            ("a".to_owned(), host.gateways[family]),
            "a routed pod sees who asks"
        );
    }
    let shown = node.prints(&["get", "pods", "-o", "wide"]);
    assert!(shown.contains(&a[0].to_string()), "{shown}");
    let status = node.wait_running("a")["status"].clone();
    assert_eq!(status["podIP"], json!(a[0]));
    assert_eq!(status["hostIP"], json!(host.addresses[0]), "{status:#}");
    let hosts = node.shell("a", "cat /etc/hosts");
    for address in &a {
        assert!(hosts.contains(&format!("{address}\ta")), "{hosts}");
    }
    drop((servers, places));
    node.drain_and_find_nothing();
}

#[test]
fn a_pod_in_the_hosts_network_has_the_hosts_addresses_and_nothing_of_its_own() {
    let mut site = Site::new();
    let host = site.host();
    let mut node = Node::started_on(&host);
    let mut manifest = pod("a", FOREVER);
    manifest["spec"]["hostNetwork"] = json!(true);
    node.lay("a.json", &manifest.to_string());
    assert_eq!(node.addresses("a")[0], host.addresses[0]);
    let traces = node.traces();
    assert!(
        traces.links.is_empty() && traces.elements.is_empty(),
        "{traces:#?}"
    );
    node.drain_and_find_nothing();
}

#[test]
fn nodes_on_one_host_give_addresses_of_different_ranges_and_do_not_touch_each_others() {
    let mut site = Site::new();
    let host = site.host();
    let mut one = Node::started_on(&host);
    let mut other = Node::on_port(&host, METRICS_PORT + 1);
    other.start();
    one.lay("a.json", &pod("a", FOREVER).to_string());
    other.lay("b.json", &pod("b", FOREVER).to_string());
    let (a, b) = (one.addresses("a"), other.addresses("b"));
    assert!(a.iter().all(|address| !b.contains(address)), "{a:?} {b:?}");
    let before = other.traces();
    one.drain_and_find_nothing();
    assert_eq!(other.traces(), before);
    let place = other.place("b");
    let server = Server::start(&place, "b", PORT);
    for address in b {
        assert_eq!(host.place.ask(at(address)).by, "b");
    }
    drop((server, place));
    other.drain_and_find_nothing();
}

#[test]
fn a_pod_cannot_speak_with_anothers_address() {
    let (_site, _host, mut node) = two_pods("");
    let (a, b) = (node.place("a"), node.place("b"));
    let addresses = node.addresses("b");
    let server = Server::start(&b, "b", PORT);
    for (address, foreign, bits) in [
        (addresses[0], "203.0.113.9", 32),
        (addresses[1], "2001:db8:f::9", 128),
    ] {
        assert_eq!(a.ask(at(address)).by, "b");
        a.run(&format!("ip address add {foreign}/{bits} dev eth0"));
        let from: IpAddr = foreign.parse().unwrap();
        let heard = b.within(|| UdpSocket::bind((address, PORT + 1)).unwrap());
        heard.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let socket = wait_for("the address to be of use", || {
            a.within(|| UdpSocket::bind((from, 0))).ok()
        });
        socket.send_to(b"spoofed", (address, PORT + 1)).unwrap();
        assert!(heard.recv_from(&mut [0; 16]).is_err(), "{from} was let through");
        // The same pod, by its own address, is heard.
        let own = a.within(|| UdpSocket::bind((node.addresses("a")[usize::from(bits == 128)], 0)).unwrap());
        own.send_to(b"own", (address, PORT + 1)).unwrap();
        heard.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        heard.recv_from(&mut [0; 16]).unwrap();
    }
    drop((server, a, b));
    node.drain_and_find_nothing();
}

/// The status code of the agent's health check, asked from there.
fn health(place: &Place, address: IpAddr, limit: Duration) -> Option<String> {
    let to = SocketAddr::new(address, METRICS_PORT);
    let mut stream = place.within(|| TcpStream::connect_timeout(&to, limit)).ok()?;
    write!(
        stream,
        "GET /healthz HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n"
    )
    .ok()?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    Some(line)
}

#[test]
fn pods_reach_the_agents_own_ports_only_where_the_configuration_says_so() {
    const SOON: Duration = Duration::from_millis(700);
    const LATE: Duration = Duration::from_secs(10);
    let (_site, host, mut node) = two_pods("");
    let a = node.place("a");
    for address in host.addresses {
        assert_eq!(health(&a, address, SOON), None, "{address}");
        assert!(health(&host.place, address, LATE).unwrap().contains("200"));
    }
    node.end_agent(Signal::SIGTERM);
    node.configure("nodeName: test\npodsMayReachAgent: true\n");
    node.start();
    for address in host.addresses {
        assert!(health(&a, address, LATE).unwrap().contains("200"), "{address}");
    }
    drop(a);
    node.drain_and_find_nothing();
}

/// Both ends of a TCP connection, which carry lines.
struct Flow(TcpStream, BufReader<TcpStream>);

impl Flow {
    fn open(from: &Place, to: &Place, address: SocketAddr, port: u16) -> Self {
        let listener = to.within(|| TcpListener::bind(("::", port)).unwrap());
        let client = from.connect(address).unwrap();
        let (server, _) = listener.accept().unwrap();
        server.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self(client, BufReader::new(server))
    }

    #[track_caller]
    fn carries(&mut self) {
        self.0.write_all(b"ahoy\n").unwrap();
        let mut line = String::new();
        self.1.read_line(&mut line).unwrap();
        assert_eq!(line, "ahoy\n");
        self.1.get_mut().write_all(b"aye\n").unwrap();
        let mut answer = [0; 4];
        std::io::Read::read_exact(&mut self.0, &mut answer).unwrap();
        assert_eq!(&answer, b"aye\n");
    }
}

#[test]
fn connections_live_through_the_agents_death_and_new_ones_are_made_meanwhile() {
    let (site, _host, mut node) = two_pods("");
    let (a, b) = (node.place("a"), node.place("b"));
    let addresses = node.addresses("b");
    let mut flows = Vec::new();
    for (number, address) in (0_u16..).zip(&addresses) {
        flows.push(Flow::open(&a, &b, (*address, 90 + number).into(), 90 + number));
    }
    for (number, far) in (0_u16..).zip(FAR) {
        flows.push(Flow::open(
            &a,
            &site.outside,
            (far, 92 + number).into(),
            92 + number,
        ));
    }
    let (server, far) = (
        Server::start(&b, "b", PORT),
        Server::start(&site.outside, "far", PORT),
    );
    let before = (node.wait_running("a")["status"].clone(), node.traces());
    for signal in [Signal::SIGTERM, Signal::SIGKILL, Signal::SIGKILL] {
        flows.iter_mut().for_each(Flow::carries);
        node.end_agent(signal);
        flows.iter_mut().for_each(Flow::carries);
        for (inside, outside) in addresses.iter().zip(FAR) {
            assert_eq!(a.ask(at(*inside)).by, "b");
            assert_eq!(a.ask(at(outside)).by, "far");
        }
        node.spawn(&[]);
        while node.get("/readyz").is_none_or(|(code, _)| code != 200) {
            flows.iter_mut().for_each(Flow::carries);
        }
        flows.iter_mut().for_each(Flow::carries);
        let after = (node.wait_running("a")["status"].clone(), node.traces());
        assert_eq!(after.0["podIPs"], before.0["podIPs"]);
        assert_eq!(
            (&after.1.links, &after.1.elements),
            (&before.1.links, &before.1.elements)
        );
    }
    drop((flows, server, far, a, b));
    node.drain_and_find_nothing();
}

#[test]
fn the_first_instruction_has_the_network_and_a_restarted_container_has_the_same_address() {
    let mut site = Site::new();
    let host = site.host();
    let mut node = Node::started_on(&host);
    let far = Server::start(&site.outside, "far", PORT);
    let ask = "echo 'who?' | nc -w 10 198.51.100.1 8080 > /tmp/answer; exec sleep 1000000";
    node.lay("a.json", &pod("a", ask).to_string());
    let before = node.addresses("a");
    let answer = wait_for("the answer", || {
        let answer = node.shell("a", "cat /tmp/answer");
        (!answer.is_empty()).then_some(answer)
    });
    assert_eq!(answer, format!("far {}", host.addresses[0]));
    let pid = i32::try_from(node.pid("a", "main")).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    node.wait_pod("a", "its restart", |pod| {
        let status = &pod["status"]["containerStatuses"][0];
        (status["restartCount"] == 1 && status["ready"] == true).then_some(())
    });
    assert_eq!(node.addresses("a"), before);
    drop(far);
    node.drain_and_find_nothing();
}

#[test]
fn a_pod_for_which_no_address_is_left_says_so_and_gets_one_when_another_goes() {
    let mut site = Site::new();
    let host = site.host();
    let mut node = Node::on(&host);
    node.configure("nodeName: test\npodCIDR: 10.55.0.0/30\nserviceCIDR: 10.56.0.0/24\n");
    node.start();
    // Two addresses are given: the first of the range and the last are nobody's.
    let names = ["a", "b", "c", "d"];
    for name in names {
        node.lay(&format!("{name}.json"), &pod(name, FOREVER).to_string());
    }
    wait_for("the reason", || {
        node.events()
            .contains("no IP addresses available in range")
            .then_some(())
    });
    let lucky = |node: &Node| -> Vec<String> {
        let pods = node.pods();
        let with = pods.iter().filter(|pod| pod["status"]["podIP"].is_string());
        with.map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = wait_for("those that fit", || {
        let lucky = lucky(&node);
        (lucky.len() == 2).then_some(lucky)
    });
    let waiting: Vec<&str> = names
        .into_iter()
        .filter(|name| !lucky(&node).iter().any(|one| one == name))
        .collect();
    for name in first {
        node.take_away(&format!("{name}.json"));
    }
    for name in waiting {
        node.wait_running(name);
    }
    node.drain_and_find_nothing();
}

#[test]
fn a_firewall_that_drops_what_is_forwarded_is_named_with_what_to_do() {
    let mut site = Site::new();
    let host = site.host();
    let node = Node::started_on(&host);
    host.place.run("nft add table inet strict");
    host.place.run(
        "nft add chain inet strict forward { type filter hook forward priority filter ; policy drop ; }",
    );
    let told = node.command(&["doctor"]);
    let told = host.place.within(move || {
        let mut told = told;
        told.output().unwrap()
    });
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(text.contains("strict") && text.contains("forward"), "{text}");
    assert_eq!(told.status.code(), Some(1), "{text}");
}

#[test]
fn a_node_without_a_pod_network_touches_no_network() {
    let mut site = Site::new();
    let host = site.host();
    let state = || {
        [
            "ip address",
            "ip route show table all",
            "nft list ruleset",
            "sysctl net.ipv4.ip_forward",
        ]
        .map(|command| host.place.run(command))
    };
    let before = state();
    let mut node = Node::on(&host);
    node.configure("nodeName: test\npodNetwork: none\n");
    node.start();
    node.lay("a.json", &pod("a", FOREVER).to_string());
    let running = node.wait_running("a");
    assert!(running["status"]["podIP"].is_null(), "{running:#}");
    assert_eq!(state(), before);
    node.drain_and_find_nothing();
}
