//! What links and the host are set to, and what the doctor says of it.

use pinnace_core::ports::Network;
use pinnace_net::names::HostNames;
use pinnace_net::{Finding, NetConfig, doctor};
use pinnace_sys::{Layout, namespace};

use crate::traffic::{connect, say};
use crate::world::World;

fn setting(world: &World, name: &str) -> String {
    world
        .on_host(&format!("cat /proc/sys/net/{name}"))
        .trim()
        .to_owned()
}

#[test]
fn links_are_guarded_and_as_large_as_the_way_outside() {
    let world = World::new();
    world.outside();
    let pod = world.pod();
    world.attach(&pod);
    let names = HostNames::new(&Layout::new(world.root()));
    let link = names.link(&pod.uid);
    for (name, value) in [
        (format!("ipv6/conf/{link}/accept_ra"), "0"),
        (format!("ipv4/conf/{link}/rp_filter"), "1"),
        (format!("ipv4/conf/{link}/accept_redirects"), "0"),
        (format!("ipv4/conf/{link}/route_localnet"), "0"),
        (format!("ipv4/conf/{link}/forwarding"), "1"),
        (format!("ipv6/conf/{link}/forwarding"), "1"),
        ("ipv4/ip_forward".to_owned(), "1"),
    ] {
        assert_eq!(setting(&world, &name), value, "{name}");
    }
    let shown = world.on_host(&format!("ip -d link show {link}"));
    assert!(
        shown.contains(&format!("alias {}", names.alias(&pod.uid))),
        "{shown}"
    );
    assert!(shown.contains("mtu 1400"), "{shown}");
    let addresses = world.on_host(&format!("ip -o address show dev {link}"));
    assert_eq!(addresses, "", "the host's side needs none");
    let inside = world.run(&pod.namespace, "ip -o address show dev eth0");
    assert_eq!(inside.lines().count(), 2, "{inside}");
    assert!(
        !inside.contains("tentative") && !inside.contains("fe80"),
        "{inside}"
    );
    assert!(
        world
            .run(&pod.namespace, "ip link show eth0")
            .contains("mtu 1400")
    );
}

#[test]
fn without_a_range_of_ipv6_a_link_carries_none() {
    let world = World::new();
    let pod = world.pod();
    let mut config = world.config();
    config.pod_ranges.truncate(1);
    let (context, space) = (pod.context(), &pod.namespace);
    let attach = |net: pinnace_net::Net| async move { net.attach(&context, space).await };
    world.try_ask_of(config, attach).unwrap();
    let link = HostNames::new(&Layout::new(world.root())).link(&pod.uid);
    assert_eq!(setting(&world, &format!("ipv6/conf/{link}/disable_ipv6")), "1");
    assert_eq!(setting(&world, &format!("ipv6/conf/{link}/accept_ra")), "0");
    let inside = world.run(&pod.namespace, "ip -o address show dev eth0");
    assert_eq!(inside.lines().count(), 1, "{inside}");
}

#[test]
fn a_host_that_has_ipv6_switched_off_for_itself_still_gives_it_to_pods() {
    let world = World::new();
    world.on_host("sysctl -qw net.ipv6.conf.default.disable_ipv6=1");
    let pod = world.pod();
    world.run(&pod.namespace, "sysctl -qw net.ipv6.conf.default.disable_ipv6=1");
    let address = world.attach(&pod).v6.unwrap();
    let (mut client, server) = connect(&world.path("host"), &pod.namespace, address.into());
    assert_eq!(say(&mut client, &server), "ahoy\n");
}

#[test]
fn packets_from_loopback_pass_only_while_the_configuration_says_so() {
    let world = World::new();
    let pod = world.pod();
    world.attach(&pod);
    let link = HostNames::new(&Layout::new(world.root())).link(&pod.uid);
    for allowed in [true, false] {
        let mut config = world.config();
        config.rules.host_ports_on_loopback = allowed;
        world
            .try_ask_of(config, |net| async move { net.start().await })
            .unwrap();
        let expected = if allowed { "1" } else { "0" };
        assert_eq!(
            setting(&world, &format!("ipv4/conf/{link}/route_localnet")),
            expected
        );
    }
}

#[test]
fn a_host_that_listens_to_routers_goes_on_to_do_so() {
    let world = World::new();
    world.outside();
    world.on_host("sysctl -qw net.ipv6.conf.up0.accept_ra=1");
    world.ask(|net| async move { net.start().await });
    assert_eq!(setting(&world, "ipv6/conf/up0/accept_ra"), "2");
    assert_eq!(setting(&world, "ipv6/conf/all/forwarding"), "1");
}

#[test]
fn what_no_pod_has_is_unreachable_until_the_node_retires() {
    let world = World::new();
    world.outside();
    world.ask(|net| async move { net.start().await });
    world.ask(|net| async move { net.start().await });
    let route = |of: &str| world.on_host(&format!("ip {of} route show type unreachable"));
    assert!(route("-4").contains("10.244.0.0/16"));
    assert!(route("-6").contains("fd00:10:244::/64"));
    let lo = world.on_host("ip -o address show dev lo");
    assert!(
        lo.contains("10.96.0.10/32 scope host") && lo.contains("fd00:10:96::a/128"),
        "{lo}"
    );
    world.ask(|net| async move { net.retire().await });
    world.ask(|net| async move { net.retire().await });
    assert_eq!(route("-4"), "");
    assert!(!route("-6").contains("fd00:10:244"));
    assert!(!world.on_host("ip -o address show dev lo").contains("96"));
}

fn findings(world: &World, config: &NetConfig) -> Vec<Finding> {
    namespace::within(&world.path("host"), || doctor::links(config)).unwrap()
}

#[test]
fn the_doctor_finds_nothing_on_a_host_that_works() {
    let world = World::new();
    world.outside();
    assert_eq!(findings(&world, &world.config()), []);
    let pod = world.pod();
    world.attach(&pod);
    assert_eq!(findings(&world, &world.config()), []);
}

#[test]
fn the_doctor_names_forwarding_that_was_switched_off_and_ranges_that_overlap() {
    let world = World::new();
    world.outside();
    let pod = world.pod();
    world.attach(&pod);
    world.on_host("sysctl -qw net.ipv4.ip_forward=0");
    let found = findings(&world, &world.config());
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        found[0].problem,
        "Forwarding of IPv4 was switched off after the agent started (net.ipv4.ip_forward = 0)."
    );
    world.on_host("sysctl -qw net.ipv4.ip_forward=1");
    let mut config = world.config();
    config.pod_ranges = vec!["192.0.2.0/25".parse().unwrap()];
    let found = findings(&world, &config);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        found[0].problem,
        "The pods' range 192.0.2.0/25 overlaps with 192.0.2.0/24, which this host reaches through up0."
    );
}
