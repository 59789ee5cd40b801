//! The host's own DNS servers, which are asked for all names outside of the cluster's domain.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use pinnace_core::config::NodeConfig;
use pinnace_net::Finding;
use pinnace_sys::file;

use super::Check;

/// systemd-resolved's own list, for where the file names its stub alone.
const RESOLVED: &str = "/run/systemd/resolve/resolv.conf";
const STUBS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53)),
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, 54)),
];
const FILE_MAX: u64 = 64 << 10;
/// More are never asked.
const SERVERS_MAX: usize = 8;
const PATIENCE: Duration = Duration::from_secs(2);
const PORT: u16 = 53;

/// Asks each server for the names of the root.
pub(super) fn upstream(config: &NodeConfig) -> Check {
    if config.resolv_conf.is_empty() {
        return Check::new("upstream DNS servers (none: resolvConf is empty)", None);
    }
    let what = format!("upstream DNS servers ({})", config.resolv_conf);
    let mut servers = named(Path::new(&config.resolv_conf));
    if servers.iter().all(|server| STUBS.contains(server)) {
        let behind = named(Path::new(RESOLVED));
        servers = if behind.is_empty() { servers } else { behind };
    }
    if servers.is_empty() {
        let none = Finding::new(
            format!(
                "{} names no server, so pods find no name outside of the cluster's domain.",
                config.resolv_conf
            ),
            "Name one there, or set resolvConf to the file that does.",
        );
        return Check::new(what, Some(none));
    }
    let asked: Vec<(IpAddr, io::Result<()>)> = servers
        .iter()
        .map(|server| (*server, ask(SocketAddr::new(*server, PORT))))
        .collect();
    if asked.iter().any(|(_, answer)| answer.is_ok()) {
        // One that answers is enough: the others are asked after it.
        return Check::new(what, None);
    }
    let silent = asked.into_iter().filter_map(|(server, answer)| {
        let error = answer.err()?;
        Some(Finding::new(
            format!("{server} does not answer: {error}."),
            "Let packets to its port 53 pass, or name another server.",
        ))
    });
    Check::new(what, silent)
}

/// The servers that a file names.
fn named(path: &Path) -> Vec<IpAddr> {
    servers_in(&file::read_text(path, FILE_MAX).unwrap_or_default())
}

fn servers_in(text: &str) -> Vec<IpAddr> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        let address = words
            .next()
            .filter(|word| *word == "nameserver")
            .and(words.next())?;
        // A link-local address has its interface after a percent sign.
        address.split('%').next()?.parse().ok()
    };
    text.lines().filter_map(server).take(SERVERS_MAX).collect()
}

/// Any answer to the question will do.
fn ask(server: SocketAddr) -> io::Result<()> {
    let any = match server {
        SocketAddr::V4(_) => "0.0.0.0:0",
        SocketAddr::V6(_) => "[::]:0",
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let [high, low] = pinnace_sys::random::bytes::<2>().map_err(|error| error.source)?;
    // A header that wants recursion, and one question: NS of the root.
    let question = [high, low, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];
    socket.send(&question)?;
    let mut answer = [0_u8; 4096];
    let length = socket.recv(&mut answer).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => io::Error::new(io::ErrorKind::TimedOut, "no answer within 2 s"),
        _ => error,
    })?;
    let is_answer = length >= 12 && answer[..2] == [high, low] && answer[2] & 0x80 != 0;
    is_answer
        .then_some(())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "what came is no answer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_as_resolvers_read_them() {
        let text =
            "# nameserver 10.0.0.1\nnameserver 10.0.0.2\nsearch a b\nnameserver fe80::1%eth0\nnameserver x\n";
        let expected: [IpAddr; 2] = ["10.0.0.2".parse().unwrap(), "fe80::1".parse().unwrap()];
        assert_eq!(servers_in(text), expected);
    }

    #[test]
    fn a_server_is_well_that_answers_with_the_questions_number() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let answering = std::thread::spawn(move || {
            let mut packet = [0_u8; 512];
            let (length, client) = server.recv_from(&mut packet).unwrap();
            packet[2] |= 0x80;
            server.send_to(&packet[..length], client).unwrap();
        });
        ask(address).unwrap();
        answering.join().unwrap();
    }
}
