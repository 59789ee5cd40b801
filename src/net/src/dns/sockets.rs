//! The sockets that the server listens on: its own, or such as an earlier run of the program left behind.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use super::error::DnsError;

const BACKLOG: i32 = 128;

/// A datagram socket and a listener for each address.
#[derive(Debug, Default)]
pub struct DnsSockets {
    pub(super) udp: Vec<UdpSocket>,
    pub(super) tcp: Vec<TcpListener>,
}

impl DnsSockets {
    /// Listens on all `addresses`, with those of the `inherited` sockets that fit; the others are closed. An address
    /// need not be on an interface yet. One that fails keeps no other from being listened on.
    pub fn open(addresses: &[SocketAddr], inherited: Vec<OwnedFd>) -> (Self, Vec<DnsError>) {
        let mut inherited: Vec<Inherited> = inherited.into_iter().filter_map(Inherited::look).collect();
        let (mut sockets, mut errors) = (Self::default(), Vec::new());
        for address in addresses {
            match socket(&mut inherited, *address, SocketType::DGRAM) {
                Ok(fd) => sockets.udp.push(UdpSocket::from(fd)),
                Err(source) => errors.push(listen_error(*address, "UDP", source)),
            }
            match socket(&mut inherited, *address, SocketType::STREAM) {
                Ok(fd) => sockets.tcp.push(TcpListener::from(fd)),
                Err(source) => errors.push(listen_error(*address, "TCP", source)),
            }
        }
        (sockets, errors)
    }

    /// Nothing is listened on.
    pub fn is_empty(&self) -> bool {
        self.udp.is_empty() && self.tcp.is_empty()
    }

    /// All of them with what each is for (`dns-udp` or `dns-tcp`) and where, to be kept for the next run of the
    /// program.
    pub fn descriptors(&self) -> impl Iterator<Item = (&'static str, SocketAddr, BorrowedFd<'_>)> {
        let datagrams = self
            .udp
            .iter()
            .map(|socket| ("dns-udp", socket.local_addr(), socket.as_fd()));
        let streams = self
            .tcp
            .iter()
            .map(|socket| ("dns-tcp", socket.local_addr(), socket.as_fd()));
        let known = |(role, address, fd): (_, io::Result<SocketAddr>, _)| Some((role, address.ok()?, fd));
        datagrams.chain(streams).filter_map(known)
    }

    /// Where datagrams are taken.
    pub fn udp_addresses(&self) -> Vec<SocketAddr> {
        self.udp
            .iter()
            .filter_map(|socket| socket.local_addr().ok())
            .collect()
    }

    /// Where connections are taken.
    pub fn tcp_addresses(&self) -> Vec<SocketAddr> {
        self.tcp
            .iter()
            .filter_map(|socket| socket.local_addr().ok())
            .collect()
    }
}

fn listen_error(address: SocketAddr, transport: &'static str, source: io::Error) -> DnsError {
    DnsError::Listen {
        address,
        transport,
        source,
    }
}

/// A socket of an earlier run.
struct Inherited {
    fd: OwnedFd,
    address: SocketAddr,
    kind: SocketType,
}

impl Inherited {
    fn look(fd: OwnedFd) -> Option<Self> {
        let address = rustix::net::getsockname(&fd).ok()?;
        let address = SocketAddr::try_from(address).ok()?;
        let kind = sockopt::socket_type(&fd).ok()?;
        // A stream that does not listen is somebody's connection.
        if kind == SocketType::STREAM && !sockopt::socket_acceptconn(&fd).ok()? {
            return None;
        }
        rustix::io::ioctl_fionbio(&fd, true).ok()?;
        rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC).ok()?;
        Some(Self { fd, address, kind })
    }
}

fn socket(inherited: &mut Vec<Inherited>, address: SocketAddr, kind: SocketType) -> io::Result<OwnedFd> {
    let fits = |socket: &Inherited| socket.address == address && socket.kind == kind;
    match inherited.iter().position(fits) {
        Some(index) => Ok(inherited.swap_remove(index).fd),
        None => bound(address, kind),
    }
}

fn bound(address: SocketAddr, kind: SocketType) -> io::Result<OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = rustix::net::socket_with(family, kind, flags, None)?;
    match address {
        SocketAddr::V4(_) => sockopt::set_ip_freebind(&fd, true)?,
        SocketAddr::V6(_) => {
            sockopt::set_ipv6_freebind(&fd, true)?;
            sockopt::set_ipv6_v6only(&fd, true)?;
        }
    }
    if kind == SocketType::STREAM {
        // Connections of an earlier run that are still closing are in nobody's way.
        sockopt::set_socket_reuseaddr(&fd, true)?;
    }
    rustix::net::bind(&fd, &address)?;
    if kind == SocketType::STREAM {
        rustix::net::listen(&fd, BACKLOG)?;
    }
    Ok(fd)
}
