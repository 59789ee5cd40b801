//! Pods' links on hosts of the tests' own: real namespaces, real packets.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

mod world;

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use pinnace_core::network::NetworkState;
use pinnace_core::ports::Network;
use pinnace_sys::namespace;
use world::{World, run};

#[test]
fn attaching_takes_less_than_three_milliseconds() {
    let world = World::new();
    world.outside();
    let pods: Vec<_> = (0..51).map(|_| world.pod()).collect();
    let net = pinnace_net::Net::new(world.config());
    let (mut attach, mut observe, mut detach) = (Vec::new(), Vec::new(), Vec::new());
    namespace::within(&world.path("host"), || {
        run(async {
            net.start().await.unwrap();
            let timed = |times: &mut Vec<Duration>, begun: Instant| times.push(begun.elapsed());
            for pod in &pods {
                let begun = Instant::now();
                let addresses = net.attach(&pod.context(), &pod.namespace).await.unwrap();
                timed(&mut attach, begun);
                let begun = Instant::now();
                let seen = net.observe(&pod.uid, &pod.namespace).await.unwrap();
                timed(&mut observe, begun);
                assert_eq!(seen, NetworkState::Attached(addresses));
            }
            for pod in &pods {
                let begun = Instant::now();
                net.detach(&pod.uid, &pod.namespace).await.unwrap();
                timed(&mut detach, begun);
            }
        });
    })
    .unwrap();
    for (what, times) in [
        ("attach", &mut attach),
        ("observe", &mut observe),
        ("detach", &mut detach),
    ] {
        times.sort();
        println!(
            "{what}: median {:?}, 90th {:?}, longest {:?}",
            times[25], times[45], times[50]
        );
    }
}

/// Sends a line by TCP from one namespace to a listener in another, and answers (what came, from where).
fn talk(from: &Path, to: &Path, address: IpAddr) -> (String, IpAddr) {
    let listener = namespace::within(to, || TcpListener::bind(SocketAddr::new(address, 0)).unwrap()).unwrap();
    let target = listener.local_addr().unwrap();
    let limit = Duration::from_secs(5);
    let mut client = namespace::within(from, || TcpStream::connect_timeout(&target, limit).unwrap()).unwrap();
    let (mut server, peer) = listener.accept().unwrap();
    client.write_all(b"ahoy\n").unwrap();
    server.set_read_timeout(Some(limit)).unwrap();
    let mut line = String::new();
    BufReader::new(&mut server).read_line(&mut line).unwrap();
    (line, peer.ip())
}

#[test]
fn pods_the_host_and_the_outside_reach_each_other_by_both_families() {
    let world = World::new();
    let outside = world.outside();
    world.ask(|net| async move { net.start().await });
    let (one, other) = (world.pod(), world.pod());
    let (its, others) = (world.attach(&one), world.attach(&other));
    let host = world.path("host");
    for (at, target) in its.list().into_iter().zip(others.list()) {
        let v4 = at.is_ipv4();
        let of = |v4_text: &str, v6_text: &str| -> IpAddr {
            (if v4 { v4_text } else { v6_text }).parse().unwrap()
        };
        let (near, far) = (of("192.0.2.1", "2001:db8::1"), of("192.0.2.2", "2001:db8::2"));
        let names = of("10.96.0.10", "fd00:10:96::a");
        let ahoy = |from| ("ahoy\n".to_owned(), from);
        assert_eq!(
            talk(&one.namespace, &other.namespace, target),
            ahoy(at),
            "pod to pod"
        );
        assert_eq!(talk(&one.namespace, &host, near), ahoy(at), "pod to host");
        assert_eq!(
            talk(&one.namespace, &host, names),
            ahoy(at),
            "pod to the DNS address"
        );
        assert_eq!(talk(&host, &one.namespace, at), ahoy(near), "host to pod");
        assert_eq!(talk(&outside, &one.namespace, at), ahoy(far), "outside to pod");
        let (line, _) = talk(&one.namespace, &outside, far);
        assert_eq!(line, "ahoy\n", "pod to outside");
    }
    assert_eq!(world.observe(&one), NetworkState::Attached(its));
    world.detach(&one);
    world.detach(&one);
    assert_eq!(world.observe(&one), NetworkState::Absent);
    assert_eq!(world.list(), [other.uid]);
}
