//! A node with its rules in a world of its own, and small servers and clients in its namespaces.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pinnace_api::pod::Protocol;
use pinnace_api::testing;
use pinnace_api::{Namespace, ObjectName};
use pinnace_core::network::{Endpoint, PodAddresses, PortEntry, ServiceEntry, ServiceForm, ServiceTable};
use pinnace_core::ports::Network;
use pinnace_net::{Net, NetConfig};
use pinnace_sys::namespace;
use serde_json::{Value, json};

use crate::world::{TestPod, World, run};

/// Much longer than anything here takes.
pub const LIMIT: Duration = Duration::from_secs(5);
/// What is dropped is not answered within this time.
pub const SILENCE: Duration = Duration::from_millis(300);
/// The node's addresses towards the outside, and those of the outside.
pub const NEAR: [&str; 2] = ["192.0.2.1", "2001:db8::1"];
pub const FAR: [&str; 2] = ["192.0.2.2", "2001:db8::2"];
/// Addresses of Services.
pub const SERVICE: [&str; 2] = ["10.96.0.80", "fd00:10:96::80"];

pub struct Bay {
    pub world: World,
    pub outside: PathBuf,
    pub config: NetConfig,
    pub net: Net,
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

impl Bay {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut NetConfig)) -> Self {
        let world = World::new();
        let outside = world.outside();
        for route in [
            "ip route add 10.96.0.0/16 via 192.0.2.1",
            "ip route add fd00:10:96::/112 via 2001:db8::1",
        ] {
            world.run(&outside, route);
        }
        world.on_host("ip route add default via 2001:db8::2");
        let mut config = world.config();
        config.rules.service_ranges = vec![
            "10.96.0.0/16".parse().unwrap(),
            "fd00:10:96::/112".parse().unwrap(),
        ];
        config.rules.dns.clone_from(&config.loopback_addresses);
        config.rules.agent_ports = vec![9100];
        change(&mut config);
        let net = Net::new(config.clone());
        let bay = Self {
            world,
            outside,
            config,
            net,
        };
        bay.at_host(|| run(bay.net.start()).unwrap_or_else(|error| panic!("{}", error.chain())));
        bay
    }

    pub fn host(&self) -> PathBuf {
        self.world.path("host")
    }

    pub fn at_host<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        namespace::within(&self.host(), work).unwrap()
    }

    /// An attached pod that answers on port 8080 by TCP and UDP with its name.
    pub fn pod(&self, name: &str) -> Pod {
        self.pod_with(name, &json!([]))
    }

    pub fn pod_with(&self, name: &str, ports: &Value) -> Pod {
        let mut pod = self.world.pod();
        let container = json!({"name": "c", "image": "i", "ports": ports});
        pod.pod = testing::pod(name, json!({"containers": [container]}));
        let addresses = self.at_host(|| {
            run(self.net.attach(&pod.context(), &pod.namespace))
                .unwrap_or_else(|error| panic!("{}", error.chain()))
        });
        for address in addresses.list() {
            serve(&pod.namespace, SocketAddr::new(address, 8080), name);
        }
        Pod {
            name: name.to_owned(),
            pod,
            addresses,
        }
    }

    /// From outside, from another pod, from the host and from the pod itself the port leads to `server`, by TCP and UDP;
    /// who asks is seen as who it is.
    pub fn leads_from_everywhere_to(&self, server: &Pod, name: &str, port: u16) {
        let client = self.pod("client");
        for (near, far) in NEAR.into_iter().zip(FAR) {
            let to = SocketAddr::new(ip(near), port);
            let own = client.address(to.is_ipv4());
            for (from, seen) in [
                (self.outside.as_path(), ip(far)),
                (client.at(), own),
                (&self.host(), ip(near)),
            ] {
                let expected = (name.to_owned(), seen);
                assert_eq!(ask(from, to).unwrap(), expected, "{from:?}");
                assert_eq!(ask_udp(from, to, LIMIT).unwrap(), expected, "{from:?}");
            }
            ask(server.at(), to).unwrap();
        }
    }

    pub fn detach(&self, pod: &Pod) {
        self.at_host(|| run(self.net.detach(&pod.pod.uid, &pod.pod.namespace)).unwrap());
    }

    pub fn services(&self, table: &ServiceTable) {
        self.at_host(|| {
            run(self.net.apply_services(table)).unwrap_or_else(|error| panic!("{}", error.chain()));
        });
    }

    pub fn rules(&self) -> String {
        self.world.on_host("nft list ruleset")
    }
}

pub struct Pod {
    pub name: String,
    pub pod: TestPod,
    pub addresses: PodAddresses,
}

impl Pod {
    pub fn at(&self) -> &Path {
        &self.pod.namespace
    }

    pub fn address(&self, v4: bool) -> IpAddr {
        let addresses = self.addresses.list();
        addresses
            .into_iter()
            .find(|address| address.is_ipv4() == v4)
            .unwrap()
    }
}

/// Answers each connection and each datagram with `<name> <from where>`, for as long as the process lives.
pub fn serve(namespace: &Path, at: SocketAddr, name: &str) {
    let name: Arc<str> = Arc::from(name);
    let bind = || (TcpListener::bind(at).unwrap(), UdpSocket::bind(at).unwrap());
    let (tcp, udp) = namespace::within(namespace, bind).unwrap();
    let told = Arc::clone(&name);
    std::thread::spawn(move || {
        for stream in tcp.incoming().flatten() {
            let peer = stream.peer_addr().unwrap().ip();
            let told = Arc::clone(&told);
            std::thread::spawn(move || {
                let mut stream = stream;
                let _ = writeln!(stream, "{told} {peer}");
                // Then it gives back line by line.
                let mut lines = BufReader::new(stream.try_clone().unwrap());
                let mut line = String::new();
                while lines.read_line(&mut line).is_ok_and(|length| length > 0) {
                    let _ = stream.write_all(line.as_bytes());
                    line.clear();
                }
            });
        }
    });
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((_, peer)) = udp.recv_from(&mut buffer) {
            let _ = udp.send_to(format!("{name} {}", peer.ip()).as_bytes(), peer);
        }
    });
}

/// A TCP connection's first line, as (name, from where).
pub fn ask(from: &Path, to: SocketAddr) -> io::Result<(String, IpAddr)> {
    ask_within(from, to, LIMIT)
}

pub fn ask_within(from: &Path, to: SocketAddr, limit: Duration) -> io::Result<(String, IpAddr)> {
    let stream = namespace::within(from, || TcpStream::connect_timeout(&to, limit)).unwrap()?;
    stream.set_read_timeout(Some(limit))?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(parse(&line))
}

/// The same by UDP.
pub fn ask_udp(from: &Path, to: SocketAddr, limit: Duration) -> io::Result<(String, IpAddr)> {
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = namespace::within(from, || UdpSocket::bind(any)).unwrap()?;
    ask_by(&socket, to, limit)
}

/// Asks again each second, as clients do: a datagram may be lost on a machine that has much to do.
pub fn ask_by(socket: &UdpSocket, to: SocketAddr, limit: Duration) -> io::Result<(String, IpAddr)> {
    let begun = Instant::now();
    socket.set_read_timeout(Some(limit.min(Duration::from_secs(1))))?;
    loop {
        let mut buffer = [0; 128];
        let sent = socket.send_to(b"ahoy", to);
        match sent.and_then(|_| socket.recv_from(&mut buffer)) {
            Ok((length, from)) => {
                assert_eq!(from, to, "the answer comes from where it was asked");
                return Ok(parse(&String::from_utf8_lossy(&buffer[..length])));
            }
            Err(error) if begun.elapsed() < limit => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {}
                _ => return Err(error),
            },
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Err(error) => return Err(error),
        }
    }
}

fn parse(line: &str) -> (String, IpAddr) {
    let (name, from) = line.trim().split_once(' ').unwrap_or_else(|| panic!("{line:?}"));
    (name.to_owned(), ip(from))
}

pub fn entry(pods: &[&Pod], protocol: Protocol, port: u16) -> ServiceEntry {
    let mut endpoints: Vec<Endpoint> = pods
        .iter()
        .flat_map(|pod| {
            pod.addresses.list().into_iter().map(|address| Endpoint {
                address,
                port: 8080,
                serving: true,
                pod: (
                    Namespace::new("default").unwrap(),
                    ObjectName::new(pod.name.clone()).unwrap(),
                ),
                hostname: None,
            })
        })
        .collect();
    endpoints.sort();
    ServiceEntry {
        form: ServiceForm::ClusterIp,
        cluster_ips: SERVICE.map(ip).to_vec(),
        external_ips: Vec::new(),
        client_ip_affinity: None,
        ports: vec![PortEntry {
            name: None,
            protocol,
            port,
            node_port: None,
            endpoints,
        }],
        portless: Vec::new(),
    }
}

pub fn table(entries: impl IntoIterator<Item = (String, ServiceEntry)>) -> ServiceTable {
    let named = |(name, entry)| {
        (
            (Namespace::new("default").unwrap(), ObjectName::new(name).unwrap()),
            entry,
        )
    };
    ServiceTable {
        services: entries.into_iter().map(named).collect(),
    }
}

/// One Service that leads port 80 to these pods.
pub fn web(pods: &[&Pod]) -> ServiceTable {
    table([("web".to_owned(), entry(pods, Protocol::Tcp, 80))])
}

/// The Service's addresses with a port.
pub fn fronts(port: u16) -> [SocketAddr; 2] {
    SERVICE.map(|address| SocketAddr::new(ip(address), port))
}

pub fn refused(answer: io::Result<(String, IpAddr)>) {
    let error = answer.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "{error}");
}

pub fn unanswered(answer: io::Result<(String, IpAddr)>) {
    let error = answer.unwrap_err();
    let silent = matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock);
    assert!(silent, "{error}");
}
