//! Hosts for nodes with networking: network namespaces of their own, never the machine's.
//!
//! ```text
//!  host 1 ── veth ──┐
//!  192.0.2.1/30     ├── outside, which forwards: 192.0.2.2, 192.0.2.6, …  and 198.51.100.1, as if far away
//!  host 2 ── veth ──┘
//!  192.0.2.5/30        IPv6: 2001:db8:N::1 and ::2, and 2001:db8:ff::1
//! ```
//!
//! A test asks and answers within any of them, and within pods', by threads of its own process ([`Place`]).

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use pinnace_sys::mount;
use pinnace_sys::namespace::{self, NamespaceKind, Pin};

use crate::wait::wait_for;

/// Time for an answer that is meant to come.
const LIMIT: Duration = Duration::from_secs(10);
/// Time after which an answer that must not come has not come.
const SILENCE: Duration = Duration::from_millis(700);
/// Addresses are of use at once, without asking whether another has them.
const NO_DAD: &str = "sysctl -qw net.ipv6.conf.default.accept_dad=0";
/// Addresses of the outside that no host is joined with.
pub const FAR: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xff, 0, 0, 0, 0, 1)),
];

/// A network namespace, which stays as long as this does.
#[derive(Debug, Clone)]
pub struct Place {
    namespace: Arc<File>,
}

/// Who answered, and which address it saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The server's name.
    pub by: String,
    /// The client's address as the server saw it.
    pub seen: IpAddr,
}

impl Place {
    /// The one of a file below `/proc/PID/ns` or of a pinned file.
    #[track_caller]
    pub fn of(namespace: impl AsRef<Path>) -> Self {
        Self {
            namespace: Arc::new(File::open(namespace).unwrap()),
        }
    }

    /// Does the work in a thread that is there.
    #[track_caller]
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let open = format!("/proc/self/fd/{}", self.namespace.as_raw_fd());
        namespace::within(Path::new(&open), work).unwrap()
    }

    /// What a program prints there; it must succeed.
    #[track_caller]
    pub fn run(&self, command: &str) -> String {
        let told = self.within(|| {
            let mut words = command.split_whitespace();
            Command::new(words.next().unwrap()).args(words).output().unwrap()
        });
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(told.status.success(), "{command}: {}", text(&told.stderr));
        text(&told.stdout)
    }

    /// A TCP connection from here.
    pub fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        self.connect_in(to, LIMIT)
    }

    fn connect_in(&self, to: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
        let stream = self.within(|| TcpStream::connect_timeout(&to, limit))?;
        stream.set_read_timeout(Some(limit))?;
        stream.set_write_timeout(Some(limit))?;
        Ok(stream)
    }

    /// Asks a [`Server`] by TCP.
    pub fn ask_tcp(&self, to: SocketAddr) -> io::Result<Answer> {
        tcp_answer(self.connect(to)?)
    }

    /// Asks a [`Server`] by UDP.
    pub fn ask_udp(&self, to: SocketAddr) -> io::Result<Answer> {
        udp_answer(&self.udp(to, LIMIT)?)
    }

    /// Asks a [`Server`] by UDP from this port of here.
    pub fn ask_udp_from(&self, port: u16, to: SocketAddr) -> io::Result<Answer> {
        let any = any_like(to.ip());
        let socket = self.within(|| UdpSocket::bind((any, port)))?;
        socket.connect(to)?;
        socket.set_read_timeout(Some(LIMIT))?;
        udp_answer(&socket)
    }

    fn udp(&self, to: SocketAddr, limit: Duration) -> io::Result<UdpSocket> {
        let socket = self.within(|| UdpSocket::bind((any_like(to.ip()), 0)))?;
        socket.connect(to)?;
        socket.set_read_timeout(Some(limit))?;
        Ok(socket)
    }

    /// Asks by TCP and UDP; both must be answered, alike.
    #[track_caller]
    pub fn ask(&self, to: SocketAddr) -> Answer {
        let by_tcp = self
            .ask_tcp(to)
            .unwrap_or_else(|error| panic!("{to} by TCP: {error}"));
        let by_udp = self
            .ask_udp(to)
            .unwrap_or_else(|error| panic!("{to} by UDP: {error}"));
        assert_eq!(by_tcp.seen, by_udp.seen, "{to}");
        by_tcp
    }

    /// Nobody answers from there by TCP, nor says anything at all: packets are dropped.
    #[track_caller]
    pub fn is_silent(&self, to: SocketAddr) {
        let error = self
            .connect_in(to, SILENCE)
            .and_then(tcp_answer)
            .expect_err("an answer that must not come");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{to}: {error}");
    }

    /// Whether a [`Server`] answers from there by TCP, soon.
    pub fn reaches(&self, to: SocketAddr) -> bool {
        self.connect_in(to, SILENCE).and_then(tcp_answer).is_ok()
    }

    /// Whether a [`Server`] answers from there by UDP, soon.
    pub fn reaches_by_udp(&self, to: SocketAddr) -> bool {
        self.udp(to, SILENCE)
            .and_then(|socket| udp_answer(&socket))
            .is_ok()
    }

    /// Connections to there are refused by whoever stands before it, by TCP and UDP.
    #[track_caller]
    pub fn is_refused(&self, to: SocketAddr) {
        let by_tcp = self.ask_tcp(to).expect_err("a connection that must be refused");
        assert_eq!(
            by_tcp.kind(),
            io::ErrorKind::ConnectionRefused,
            "{to} by TCP: {by_tcp}"
        );
        let by_udp = self.ask_udp(to).expect_err("an answer that must not come");
        assert_eq!(
            by_udp.kind(),
            io::ErrorKind::ConnectionRefused,
            "{to} by UDP: {by_udp}"
        );
    }
}

fn any_like(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

fn tcp_answer(mut stream: TcpStream) -> io::Result<Answer> {
    let mut text = String::new();
    stream.write_all(b"who?\n")?;
    stream.shutdown(std::net::Shutdown::Write)?;
    stream.read_to_string(&mut text).map_err(as_silence)?;
    answer(&text)
}

fn udp_answer(socket: &UdpSocket) -> io::Result<Answer> {
    let mut text = [0; 512];
    socket.send(b"who?\n")?;
    let length = socket.recv(&mut text).map_err(as_silence)?;
    answer(&String::from_utf8_lossy(&text[..length]))
}

fn as_silence(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    }
}

fn answer(text: &str) -> io::Result<Answer> {
    let (by, seen) = text
        .trim_end()
        .split_once(' ')
        .ok_or_else(|| io::Error::other(format!("no answer: {text:?}")))?;
    Ok(Answer {
        by: by.to_owned(),
        seen: seen.parse().map_err(io::Error::other)?,
    })
}

/// Answers whoever asks with its name and the asker's address, by TCP and UDP, IPv4 and IPv6; ends when dropped.
pub struct Server {
    ending: Arc<AtomicBool>,
    /// Where it is woken, to end.
    wake: (Place, SocketAddr),
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// Listens in the place, on all addresses that it has now.
    #[track_caller]
    pub fn start(place: &Place, name: &str, port: u16) -> Self {
        let ending: Arc<AtomicBool> = Arc::default();
        let all = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port);
        let listener = place.within(|| TcpListener::bind(all).unwrap());
        let mut threads = vec![serve_tcp(listener, name.to_owned(), ending.clone())];
        // A reply by UDP comes from the address that was asked only where the socket is bound to it.
        for address in addresses(place) {
            let socket = place.within(|| UdpSocket::bind((address, port)).unwrap());
            threads.push(serve_udp(socket, name.to_owned(), ending.clone()));
        }
        let loopback = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
        Self {
            ending,
            wake: (place.clone(), loopback),
            threads,
        }
    }
}

/// All addresses of the place that are not of a single link.
fn addresses(place: &Place) -> Vec<IpAddr> {
    let listed = place.run("ip -o address show");
    let listed = listed.lines().filter(|line| !line.contains("scope link"));
    let address = |line: &str| {
        let at = line
            .split_whitespace()
            .skip_while(|word| !word.starts_with("inet"))
            .nth(1)?;
        at.split('/').next()?.parse().ok()
    };
    listed.filter_map(address).collect()
}

fn serve_tcp(listener: TcpListener, name: String, ending: Arc<AtomicBool>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        while let Ok((stream, peer)) = listener.accept() {
            if ending.load(Ordering::SeqCst) {
                return;
            }
            let text = told(&name, peer);
            // Whoever does not ask does not keep others waiting.
            std::thread::spawn(move || drop(answer_one(stream, &text)));
        }
    })
}

fn serve_udp(socket: UdpSocket, name: String, ending: Arc<AtomicBool>) -> JoinHandle<()> {
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    std::thread::spawn(move || {
        while !ending.load(Ordering::SeqCst) {
            if let Ok((_, peer)) = socket.recv_from(&mut [0; 512]) {
                // Who asked may be gone.
                let _ = socket.send_to(told(&name, peer).as_bytes(), peer);
            }
        }
    })
}

fn told(name: &str, peer: SocketAddr) -> String {
    format!("{name} {}\n", peer.ip().to_canonical())
}

fn answer_one(mut stream: TcpStream, text: &str) -> io::Result<()> {
    stream.set_read_timeout(Some(LIMIT))?;
    stream.read_to_end(&mut Vec::new())?;
    stream.write_all(text.as_bytes())
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        drop(self.wake.0.connect(self.wake.1));
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// One host: where a node's agent runs.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its namespace.
    pub place: Place,
    /// Its address of each family, IPv4 first.
    pub addresses: [IpAddr; 2],
    /// The outside's address of each family, as this host's gateway.
    pub gateways: [IpAddr; 2],
}

/// Hosts and what is outside of them; gone when dropped.
pub struct Site {
    folder: tempfile::TempDir,
    /// Beyond all hosts.
    pub outside: Place,
    hosts: u8,
}

impl Site {
    /// The outside alone.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("pinnace-site.")
            .tempdir()
            .unwrap();
        let outside = pinned(&folder.path().join("outside"));
        for command in [
            NO_DAD,
            "sysctl -qw net.ipv4.ip_forward=1",
            "sysctl -qw net.ipv6.conf.all.forwarding=1",
            "ip address add 198.51.100.1/32 dev lo",
            "ip address add 2001:db8:ff::1/128 dev lo nodad",
        ] {
            outside.run(command);
        }
        Self {
            folder,
            outside,
            hosts: 0,
        }
    }

    /// One host more, joined with the outside, which is its way everywhere.
    pub fn host(&mut self) -> Host {
        self.hosts += 1;
        let number = self.hosts;
        let path = self.folder.path().join(format!("host{number}"));
        let place = pinned(&path);
        place.run(NO_DAD);
        let (near4, far4) = (4 * (number - 1) + 1, 4 * (number - 1) + 2);
        self.outside.run(&format!(
            "ip link add up{number} type veth peer name up0 netns {}",
            path.display()
        ));
        for command in [
            format!("ip address add 192.0.2.{far4}/30 dev up{number}"),
            format!("ip address add 2001:db8:{number}::2/64 dev up{number} nodad"),
            format!("ip link set up{number} up"),
        ] {
            self.outside.run(&command);
        }
        for command in [
            format!("ip address add 192.0.2.{near4}/30 dev up0"),
            format!("ip address add 2001:db8:{number}::1/64 dev up0 nodad"),
            "ip link set up0 up".to_owned(),
            format!("ip route add default via 192.0.2.{far4}"),
            format!("ip route add default via 2001:db8:{number}::2"),
        ] {
            place.run(&command);
        }
        wait_for("the host's link", || {
            let shown = place.run("ip address show dev up0");
            (shown.contains("state UP") && !shown.contains("tentative")).then_some(())
        });
        let both = |v4: u8, v6: u16| {
            [
                Ipv4Addr::new(192, 0, 2, v4).into(),
                Ipv6Addr::new(0x2001, 0xdb8, number.into(), 0, 0, 0, 0, v6).into(),
            ]
        };
        Host {
            place,
            addresses: both(near4, 1),
            gateways: both(far4, 2),
        }
    }
}

impl Default for Site {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = mount::unmount_beneath(self.folder.path());
    }
}

fn pinned(path: &Path) -> Place {
    let pin = Pin {
        kind: NamespaceKind::Network,
        path: path.to_owned(),
    };
    namespace::pin(&[pin], None).unwrap();
    Place::of(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_a_site_reach_each_other_and_the_far_side_and_the_machine_stays_as_it_was() {
        let mut site = Site::new();
        let (one, other) = (site.host(), site.host());
        let far = Server::start(&site.outside, "far", 80);
        let there = Server::start(&other.place, "other", 80);
        for (family, address) in FAR.into_iter().enumerate() {
            let answer = one.place.ask((address, 80).into());
            assert_eq!(
                answer,
                Answer {
                    by: "far".to_owned(),
                    seen: one.addresses[family]
                }
            );
            let answer = one.place.ask((other.addresses[family], 80).into());
            assert_eq!(
                (answer.by.as_str(), answer.seen),
                ("other", one.addresses[family])
            );
            one.place.is_refused((other.addresses[family], 81).into());
        }
        assert!(!Path::new("/sys/class/net/up0").exists());
        drop((far, there));
        one.place.run("ip link set up0 down");
        other.place.is_silent((one.addresses[0], 80).into());
        assert!(!other.place.reaches_by_udp((one.addresses[0], 80).into()));
    }
}
