//! Who reaches whom, and how fast.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use pinnace_core::network::NetworkState;
use pinnace_core::ports::Network;
use pinnace_sys::namespace;

use crate::world::World;

const LIMIT: Duration = Duration::from_secs(10);

/// A TCP connection from one namespace to a listener in another: (client, server).
pub fn connect(from: &Path, to: &Path, address: IpAddr) -> (TcpStream, TcpStream) {
    let listener = namespace::within(to, || TcpListener::bind(SocketAddr::new(address, 0)).unwrap()).unwrap();
    let target = listener.local_addr().unwrap();
    let client = namespace::within(from, || TcpStream::connect_timeout(&target, LIMIT).unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    for stream in [&client, &server] {
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
    }
    (client, server)
}

/// Sends a line from the first to the second, and answers what came.
pub fn say(client: &mut TcpStream, server: &TcpStream) -> String {
    client.write_all(b"ahoy\n").unwrap();
    let mut line = String::new();
    BufReader::new(server).read_line(&mut line).unwrap();
    line
}

/// The address that a client has for a server, once they have spoken.
fn talk(from: &Path, to: &Path, address: IpAddr) -> IpAddr {
    let (mut client, server) = connect(from, to, address);
    assert_eq!(say(&mut client, &server), "ahoy\n");
    server.peer_addr().unwrap().ip()
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
        assert_eq!(talk(&one.namespace, &other.namespace, target), at, "pod to pod");
        assert_eq!(talk(&one.namespace, &host, near), at, "pod to host");
        assert_eq!(talk(&one.namespace, &host, names), at, "pod to the DNS address");
        assert_eq!(talk(&host, &one.namespace, at), near, "host to pod");
        assert_eq!(talk(&outside, &one.namespace, at), far, "outside to pod");
        assert!(
            [at, near].contains(&talk(&one.namespace, &outside, far)),
            "pod to outside"
        );
    }
    assert_eq!(world.observe(&one), NetworkState::Attached(its));
    world.detach(&one);
    world.detach(&one);
    assert_eq!(world.observe(&one), NetworkState::Absent);
    assert_eq!(world.list(), [other.uid]);
}

#[test]
fn a_host_without_any_address_speaks_to_its_pods() {
    let world = World::new();
    let pod = world.pod();
    for address in world.attach(&pod).list() {
        assert_ne!(talk(&world.path("host"), &pod.namespace, address), address);
    }
}

#[test]
fn bandwidth_holds_in_both_directions() {
    const BYTES: usize = 3_000_000;
    let world = World::new();
    world.outside();
    let mut pod = world.pod();
    for (annotation, rate) in [("ingress", "40M"), ("egress", "20M")] {
        let key = format!("kubernetes.io/{annotation}-bandwidth");
        pod.pod.meta.annotations.insert(key, rate.to_owned());
    }
    let address = IpAddr::V4(world.attach(&pod).v4.unwrap());
    assert_eq!(
        world.attach(&pod).v4.map(IpAddr::V4),
        Some(address),
        "asked twice"
    );
    let host = world.path("host");
    let carry = |from: &mut TcpStream, to: &mut TcpStream| {
        let begun = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(move || from.write_all(&vec![0; BYTES]).unwrap());
            to.read_exact(&mut vec![0; BYTES]).unwrap();
        });
        begun.elapsed()
    };
    let (mut client, mut server) = connect(&host, &pod.namespace, address);
    let (received, sent) = (carry(&mut client, &mut server), carry(&mut server, &mut client));
    println!("{BYTES} bytes received in {received:?} at 40 Mbit/s, sent in {sent:?} at 20 Mbit/s");
    // What may pass at once is taken off.
    let least = |bits: usize| Duration::from_secs_f64((BYTES - 256 * 1024) as f64 * 8.0 / bits as f64);
    assert!(received >= least(40_000_000), "{received:?}");
    assert!(sent >= least(20_000_000), "{sent:?}");
}

#[test]
fn a_bandwidth_that_makes_no_sense_is_refused_before_anything_is_made() {
    let world = World::new();
    let mut pod = world.pod();
    let key = "kubernetes.io/egress-bandwidth".to_owned();
    pod.pod.meta.annotations.insert(key, "1".to_owned());
    let error = world
        .try_ask(|net| async move { net.attach(&pod.context(), &pod.namespace).await })
        .unwrap_err();
    assert!(
        error.chain().contains("resource is unreasonably small (< 1kbit)"),
        "{}",
        error.chain()
    );
    assert_eq!(error.retry, pinnace_core::ports::Retry::AfterChange);
    assert!(world.list().is_empty());
}
