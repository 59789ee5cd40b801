//! What is there half, or is of another.

use std::path::Path;

use pinnace_core::network::NetworkState;
use pinnace_core::ports::Network;
use pinnace_net::names::HostNames;
use pinnace_sys::{Layout, namespace};

use crate::traffic::{connect, say};
use crate::world::{TestPod, World};

fn link(world: &World, pod: &TestPod) -> String {
    HostNames::new(&Layout::new(world.root())).link(&pod.uid)
}

/// Breaks an attached pod's network, and has it completed again.
fn broken(what: &str, damage: impl FnOnce(&World, &TestPod, &str)) {
    let world = World::new();
    let pod = world.pod();
    let addresses = world.attach(&pod);
    assert_eq!(world.observe(&pod), NetworkState::Attached(addresses), "{what}");
    damage(&world, &pod, &link(&world, &pod));
    assert_eq!(world.observe(&pod), NetworkState::Partial, "{what}");
    assert_eq!(world.list(), std::slice::from_ref(&pod.uid), "{what}");
    assert_eq!(world.attach(&pod), addresses, "{what}: the addresses stay");
    assert_eq!(world.observe(&pod), NetworkState::Attached(addresses), "{what}");
    for address in addresses.list() {
        let (mut client, server) = connect(&world.path("host"), &pod.namespace, address);
        assert_eq!(say(&mut client, &server), "ahoy\n", "{what}");
    }
    world.detach(&pod);
    assert_eq!(world.observe(&pod), NetworkState::Absent, "{what}");
}

#[test]
fn whatever_is_missing_is_laid_again() {
    broken("the link is gone", |world, _, link| {
        world.on_host(&format!("ip link del {link}"));
    });
    broken("the link is down", |world, _, link| {
        world.on_host(&format!("ip link set {link} down"));
    });
    broken("the route is gone", |world, _, link| {
        world.on_host(&format!("ip route flush dev {link}"));
    });
    broken("the link was about to go", |world, _, link| {
        let ending = HostNames::new(&Layout::new(world.root())).ending_group();
        world.on_host(&format!("ip link set {link} group {ending}"));
    });
    broken("the pod's namespace is another", |world, pod, _| {
        // The old one is kept by this, as a process that was left behind would.
        let kept = std::fs::File::open(&pod.namespace).unwrap();
        namespace::unpin(&pod.namespace).unwrap();
        world.pin(&format!("pod-{}", pod.uid));
        std::mem::forget(kept);
    });
}

#[test]
fn a_link_that_was_made_and_not_yet_named_is_completed() {
    let world = World::new();
    let pod = world.pod();
    let addresses = world.attach(&pod);
    let link = link(&world, &pod);
    world.on_host(&format!("ip link set {link} down"));
    clear_alias(&world, &link);
    assert_eq!(world.observe(&pod), NetworkState::Partial);
    assert_eq!(world.list(), std::slice::from_ref(&pod.uid), "its lease names it");
    assert_eq!(world.attach(&pod), addresses);
    assert_eq!(world.observe(&pod), NetworkState::Attached(addresses));
}

fn clear_alias(world: &World, link: &str) {
    let told = std::process::Command::new("nsenter")
        .arg(format!("--net={}", world.path("host").display()))
        .args(["ip", "link", "set", link, "alias", ""])
        .status()
        .unwrap();
    assert!(told.success());
}

#[test]
fn links_are_found_without_leases_and_nameless_ones_are_cleared() {
    let world = World::new();
    let (one, other) = (world.pod(), world.pod());
    world.attach(&one);
    world.attach(&other);
    clear_alias(&world, &link(&world, &other));
    std::fs::remove_dir_all(world.config().layout.network().join("leases")).unwrap();
    let found = [one.uid.clone(), other.uid.clone()];
    assert_eq!(world.list(), found, "one by its link, the other by its rules");
    assert!(!world.on_host("ip -o link").contains(&link(&world, &other)));
    assert_eq!(world.observe(&one), NetworkState::Partial);
    assert_eq!(world.observe(&other), NetworkState::Partial);
    world.detach(&one);
    world.detach(&other);
    assert!(world.list().is_empty());
}

#[test]
fn the_namespace_may_be_gone_when_the_network_is_taken_down() {
    let world = World::new();
    let (gone, kept) = (world.pod(), world.pod());
    world.attach(&gone);
    world.attach(&kept);
    // Kept by a process that was left behind, its pin gone.
    let holder = std::fs::File::open(&kept.namespace).unwrap();
    namespace::unpin(&kept.namespace).unwrap();
    namespace::unpin(&gone.namespace).unwrap();
    assert_eq!(world.observe(&gone), NetworkState::Partial);
    world.detach(&gone);
    world.detach(&kept);
    assert!(world.list().is_empty());
    assert!(world.list().is_empty());
    assert!(
        !world.on_host("ip -o link").contains(": pn"),
        "looking clears what was given up"
    );
    drop(holder);
}

#[test]
fn what_is_of_another_is_named_and_left_alone() {
    let world = World::new();
    let (one, other) = (world.pod(), world.pod());
    let attach = |pod: &TestPod| {
        let (context, namespace) = (pod.context(), pod.namespace.clone());
        world.try_ask(|net| async move { net.attach(&context, &namespace).await })
    };
    let name = link(&world, &one);
    world.on_host(&format!("ip link add {name} type veth peer name other0"));
    let error = attach(&one).unwrap_err();
    assert!(
        error
            .chain()
            .contains(&format!("interface {name} exists and is not this pod's")),
        "{}",
        error.chain()
    );
    world.detach(&one);
    assert!(world.on_host("ip -o link").contains(&name));

    world.run(&other.namespace, "ip link add eth0 type veth peer name eth1");
    let error = attach(&other).unwrap_err();
    assert!(
        error
            .chain()
            .contains("the pod's namespace has an eth0 that is not the peer"),
        "{}",
        error.chain()
    );
    world.detach(&other);
    assert!(world.run(&other.namespace, "ip -o link").contains("eth0"));
    assert!(world.list().is_empty());
}

#[test]
fn two_nodes_on_one_host_never_touch_each_other() {
    let world = World::new();
    let (one, other) = (world.pod(), world.pod());
    let elsewhere = || {
        let mut config = crate::world::config(&world.path("elsewhere"));
        config.pod_ranges = vec!["10.245.0.0/24".parse().unwrap()];
        config
    };
    let addresses = world.attach(&one);
    let (context, space) = (other.context(), &other.namespace);
    world
        .try_ask_of(
            elsewhere(),
            |net| async move { net.attach(&context, space).await },
        )
        .unwrap();
    let theirs = |config| {
        world
            .try_ask_of(config, |net| async move { net.list().await })
            .unwrap()
    };
    assert_eq!(theirs(world.config()), std::slice::from_ref(&one.uid));
    assert_eq!(theirs(elsewhere()), std::slice::from_ref(&other.uid));
    world
        .try_ask_of(elsewhere(), |net| {
            let uid = other.uid.clone();
            async move { net.detach(&uid, Path::new("/absent")).await }
        })
        .unwrap();
    assert_eq!(world.observe(&one), NetworkState::Attached(addresses));
}

#[test]
fn a_connection_lives_on_while_the_network_is_attached_again() {
    let world = World::new();
    let (one, other) = (world.pod(), world.pod());
    world.attach(&one);
    let target = world.attach(&other).v4.unwrap();
    let (mut client, server) = connect(&one.namespace, &other.namespace, target.into());
    for _ in 0..3 {
        assert_eq!(say(&mut client, &server), "ahoy\n");
        world.attach(&one);
        world.attach(&other);
    }
    assert_eq!(say(&mut client, &server), "ahoy\n");
}
