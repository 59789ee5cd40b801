//! Names: what the node answers for Services and pods, and what it passes on.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::net::IpAddr;
use std::time::Duration;

use pinnace_tests::dns::{self, ANYWHERE, Data, Kind, World};
use pinnace_tests::named::{Named, external, headless, member};
use pinnace_tests::network::FAR;
use pinnace_tests::sample::{FOREVER, pod, service};
use pinnace_tests::wait_for;
use serde_json::{Value, json};

#[test]
fn a_headless_service_names_its_pods_and_each_of_them() {
    let named = Named::new();
    named.node.lay(
        "postgres.json",
        &headless("postgres-headless", "postgres").to_string(),
    );
    for name in ["postgres-0", "postgres-1"] {
        named.node.lay(
            &format!("{name}.json"),
            &member(name, "postgres-headless").to_string(),
        );
    }
    let each = ["postgres-0", "postgres-1"].map(|name| named.node.addresses(name));
    let whole = "postgres-headless.default.svc.cluster.local";
    for (family, kind) in [(0, Kind::A), (1, Kind::Aaaa)] {
        let mut both = vec![each[0][family], each[1][family]];
        both.sort_unstable();
        assert_eq!(named.wait(whole, kind, 2).addresses(), both);
        for (name, addresses) in ["postgres-0", "postgres-1"].iter().zip(&each) {
            let reply = named.ask(&format!("{name}.{whole}"), kind);
            assert_eq!((reply.code, reply.authoritative), (0, true));
            assert_eq!(reply.addresses(), [addresses[family]]);
        }
    }
    let services = named.ask(&format!("_sql._tcp.{whole}"), Kind::Srv).data();
    let mut targets: Vec<String> = services
        .iter()
        .map(|data| match data {
            Data::Service {
                port: 5432, target, ..
            } => target.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    targets.sort();
    targets.dedup();
    assert_eq!(
        targets,
        [format!("postgres-0.{whole}"), format!("postgres-1.{whole}")]
    );
    assert_eq!(named.ask(&format!("postgres-2.{whole}"), Kind::A).code, 3);
    named.end();
}

#[test]
fn a_service_has_its_address_its_ports_and_a_name_for_its_address() {
    let named = Named::new();
    named.node.lay("web.json", &service("web", "web").to_string());
    let addresses = named.node.service_addresses("web");
    let name = "web.default.svc.cluster.local";
    assert_eq!(named.wait(name, Kind::A, 1).addresses(), [addresses[0]]);
    assert_eq!(
        named.ask(&name.to_uppercase(), Kind::A).addresses(),
        [addresses[0]]
    );
    let port = named.ask(&format!("_udp._udp.{name}"), Kind::Srv).data();
    assert!(
        matches!(&port[..], [Data::Service { port: 80, target, .. }] if target == name),
        "{port:?}"
    );
    let IpAddr::V4(v4) = addresses[0] else {
        panic!("{addresses:?}");
    };
    let [a, b, c, d] = v4.octets();
    let reverse = format!("{d}.{c}.{b}.{a}.in-addr.arpa");
    assert_eq!(
        named.ask(&reverse, Kind::Ptr).data(),
        [Data::Name(name.to_owned())]
    );
    let absent = named.ask("absent.default.svc.cluster.local", Kind::A);
    assert_eq!((absent.code, absent.authoritative), (3, true));
    named.node.take_away("web.json");
    wait_for("the name's end", || {
        (named.ask(name, Kind::A).code == 3).then_some(())
    });
    named.end();
}

#[test]
fn an_external_name_leads_to_the_world() {
    let named = Named::new();
    let _world = World::start(&named.site.outside, FAR[0]);
    named.lay(&external("db", "db.example.net"));
    let reply = wait_for("the name", || {
        let reply = named.ask("db.default.svc.cluster.local", Kind::A);
        (reply.code == 0).then_some(reply)
    });
    assert_eq!(
        reply.answers,
        [
            (
                "db.default.svc.cluster.local".to_owned(),
                Data::Name("db.example.net".to_owned())
            ),
            ("db.example.net".to_owned(), Data::Address(ANYWHERE[0])),
        ]
    );
    named.end();
}

#[test]
fn names_of_the_world_are_passed_on_and_remembered_and_another_server_is_followed() {
    let named = Named::new();
    let world = World::start(&named.site.outside, FAR[0]);
    for _ in 0..3 {
        assert_eq!(named.ask("www.example.org", Kind::A).addresses(), [ANYWHERE[0]]);
    }
    assert_eq!(
        named.ask("www.example.org", Kind::Aaaa).addresses(),
        [ANYWHERE[1]]
    );
    assert_eq!(named.ask("absent.example.org", Kind::A).code, 3);
    let asked = world.names();
    let www = asked.iter().filter(|name| *name == "www.example.org").count();
    assert_eq!(www, 2, "once for each kind: {asked:?}");
    assert_eq!(
        dns::ask_tcp(&named.client, named.server, "www.example.org", Kind::A)
            .unwrap()
            .addresses(),
        [ANYWHERE[0]]
    );
    assert!(
        !world.names().iter().any(|name| name.contains("cluster.local")),
        "names of the node's own stay here"
    );
    drop(world);

    named.site.outside.run("ip address add 198.51.100.2/32 dev lo");
    let second: IpAddr = "198.51.100.2".parse().unwrap();
    let world = World::start(&named.site.outside, second);
    std::fs::write(named.node.path("resolv.conf"), format!("nameserver {second}\n")).unwrap();
    wait_for("the other server", || {
        let reply = dns::ask_udp(&named.client, named.server, "other.example.org", Kind::A);
        (reply.is_ok() && world.asked() > 0).then_some(())
    });
    drop(world);
    named.end();
}

#[test]
fn resolv_conf_is_what_each_dns_policy_says() {
    let named = Named::new();
    let with = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut manifest = pod(name, FOREVER);
        change(&mut manifest["spec"]);
        named.node.lay(&format!("{name}.json"), &manifest.to_string());
        named.node.wait_running(name);
        named.node.shell(name, "cat /etc/resolv.conf")
    };
    let cluster = "search default.svc.cluster.local svc.cluster.local cluster.local example.org\n\
                   nameserver 10.77.0.10\noptions ndots:5";
    assert_eq!(with("first", &|_| ()), cluster);
    let host = format!("search example.org\nnameserver {}\noptions ndots:1", FAR[0]);
    assert_eq!(
        with("default", &|spec| spec["dnsPolicy"] = json!("Default")),
        host
    );
    assert_eq!(with("host", &|spec| spec["hostNetwork"] = json!(true)), host);
    let on_host = |spec: &mut Value| {
        spec["hostNetwork"] = json!(true);
        spec["dnsPolicy"] = json!("ClusterFirstWithHostNet");
    };
    assert_eq!(with("both", &on_host), cluster);
    let own = |spec: &mut Value| {
        spec["dnsPolicy"] = json!("None");
        spec["dnsConfig"] = json!({
            "nameservers": ["192.0.2.53"],
            "searches": ["own.example"],
            "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}],
        });
        spec["hostAliases"] = json!([{"ip": "192.0.2.7", "hostnames": ["seven", "sept"]}]);
    };
    assert_eq!(
        with("own", &own),
        "search own.example\nnameserver 192.0.2.53\noptions ndots:2 edns0"
    );
    let hosts = named.node.shell("own", "cat /etc/hosts");
    assert!(hosts.contains("192.0.2.7\tseven\tsept"), "{hosts}");
    named.end();
}

#[test]
fn containers_resolve_short_names_and_the_worlds() {
    let named = Named::new();
    let _world = World::start(&named.site.outside, FAR[0]);
    named.node.lay("web.json", &service("web", "web").to_string());
    let addresses = named.node.service_addresses("web");
    named.wait("web.default.svc.cluster.local", Kind::A, 1);
    for name in ["web", "web.default", "web.default.svc.cluster.local"] {
        // It fails, as nobody is there, and tells before what the C library found.
        let script = format!("ping -c 1 -W 1 {name} | head -n 1");
        let told = named.node.shell("client", &script);
        let found = addresses
            .iter()
            .any(|address| told.contains(&address.to_string()));
        assert!(found, "{name}: {told}");
    }
    let told = named.node.shell("client", "nslookup www.example.org");
    assert!(
        told.contains("10.77.0.10") && told.contains("198.51.100.77"),
        "{told}"
    );
    named.end();
}

#[test]
fn the_host_may_ask_and_the_outside_is_not_answered() {
    let named = Named::new();
    named.node.lay("web.json", &service("web", "web").to_string());
    let name = "web.default.svc.cluster.local";
    named.wait(name, Kind::A, 1);
    assert_eq!(
        dns::ask(&named.host.place, named.server, name, Kind::A)
            .unwrap()
            .code,
        0
    );
    named.site.outside.run(&format!(
        "ip route add {}/32 via {}",
        named.server, named.host.addresses[0]
    ));
    let socket = named
        .site
        .outside
        .within(|| std::net::UdpSocket::bind("0.0.0.0:0").unwrap());
    socket.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
    socket.connect((named.server, 53)).unwrap();
    let question =
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03org\x00\x00\x01\x00\x01";
    socket.send(question).unwrap();
    assert!(socket.recv(&mut [0; 512]).is_err(), "an open resolver");
    named.end();
}
