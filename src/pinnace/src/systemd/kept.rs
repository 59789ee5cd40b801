//! Listening sockets in systemd's descriptor store, so that who asks during a restart is answered late, not never.
//!
//! A socket is kept under a name made of what it is for and the address it was asked for, such as
//! `metrics@127.0.0.1_9100`: the next agent finds it by that name, where it still wants it. What it does not want
//! any more is taken out of the store and closed, so that the address becomes free. Outside systemd, and under a
//! unit without `FileDescriptorStoreMax=`, nothing is kept, and each start opens its sockets anew.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::SocketType;
use rustix::net::sockopt::{socket_acceptconn, socket_type};

use super::notify;

/// What the agent before this one left, by name.
#[derive(Debug, Default)]
pub struct Kept {
    sockets: BTreeMap<String, OwnedFd>,
}

impl Kept {
    /// Takes what systemd hands over. To be called once, before anything else is opened.
    pub fn take() -> Self {
        let mut kept = Self::default();
        for (name, descriptor) in pinnace_sys::inherited::take() {
            // Of two under one name the store holds both, and neither is known from the other.
            if kept.sockets.insert(name.clone(), descriptor).is_some() {
                tracing::warn!(name, "systemd kept two sockets under one name");
            }
        }
        kept
    }

    /// The TCP listener of this use and address, if there is one.
    pub fn tcp(&mut self, role: &str, address: SocketAddr) -> Option<TcpListener> {
        let socket = self.sockets.remove(&name(role, address))?;
        let listens = socket_type(&socket).is_ok_and(|kind| kind == SocketType::STREAM)
            && socket_acceptconn(&socket).unwrap_or(false);
        let listener = TcpListener::from(socket);
        let fits = listens && fits(listener.local_addr().ok(), address);
        fits.then_some(listener)
    }

    /// All sockets of these uses, by name, to be given back with [`Kept::exchange`].
    pub fn of(&mut self, roles: &[&str]) -> BTreeMap<String, OwnedFd> {
        let is_of = |name: &String| {
            let role = name.split_once('@').map_or("", |(role, _)| role);
            roles.contains(&role)
        };
        let names: Vec<String> = self.sockets.keys().filter(|name| is_of(name)).cloned().collect();
        let taken = names
            .into_iter()
            .filter_map(|name| self.sockets.remove_entry(&name));
        taken.collect()
    }

    /// Has systemd keep the sockets of `now` where it does not yet, and none else of those that it has of `known`.
    pub fn exchange<'f>(
        mut known: BTreeSet<String>,
        now: impl Iterator<Item = (&'static str, SocketAddr, BorrowedFd<'f>)>,
    ) {
        for (role, address, socket) in now {
            if !known.remove(&name(role, address)) {
                Self::keep(role, address, &socket);
            }
        }
        known.iter().for_each(|name| forget(name));
    }

    /// What was not asked for goes: out of systemd's store, and closed.
    pub fn give_up(self) {
        self.sockets.into_keys().for_each(|name| forget(&name));
    }

    /// Has systemd keep a socket for the next agent; without systemd, nothing happens.
    pub fn keep(role: &str, address: SocketAddr, socket: &impl AsFd) {
        let name = name(role, address);
        // A name is given once: what an earlier agent left under it goes first.
        let sent = remove(&name).and_then(|()| {
            // Without FDPOLL=0 systemd drops a socket on which an error is pending.
            let state = format!("FDSTORE=1\nFDNAME={name}\nFDPOLL=0");
            notify::send(&state, &[socket.as_fd()])
        });
        if let Err(error) = sent {
            tracing::warn!(name, %error, "systemd does not keep a socket: a restart refuses who asks meanwhile");
        }
    }
}

fn forget(name: &str) {
    if let Err(error) = remove(name) {
        tracing::warn!(name, %error, "systemd goes on keeping a socket that nobody wants");
    }
}

fn remove(name: &str) -> std::io::Result<()> {
    if name.is_empty() {
        return Ok(());
    }
    notify::send(&format!("FDSTOREREMOVE=1\nFDNAME={name}"), &[])
}

/// A colon would end the name.
fn name(role: &str, address: SocketAddr) -> String {
    format!("{role}@{address}").replace(':', "_")
}

/// Whether the socket is where it is asked for; a port that the kernel chooses is any port.
fn fits(local: Option<SocketAddr>, wanted: SocketAddr) -> bool {
    local.is_some_and(|local| {
        local.ip() == wanted.ip() && (wanted.port() == 0 || local.port() == wanted.port())
    })
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    fn kept(role: &str, address: SocketAddr, socket: impl Into<OwnedFd>) -> Kept {
        Kept {
            sockets: [(name(role, address), socket.into())].into(),
        }
    }

    #[test]
    fn a_kept_socket_is_found_by_use_and_address_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut kept = kept("metrics", address, listener);
        assert!(kept.tcp("dns", address).is_none());
        let found = kept.tcp("metrics", address).unwrap();
        assert_eq!(found.local_addr().unwrap(), address);
        assert!(kept.tcp("metrics", address).is_none());
    }

    #[test]
    fn a_socket_of_another_kind_or_place_is_not_taken() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        assert!(kept("metrics", address, socket).tcp("metrics", address).is_none());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let elsewhere = SocketAddr::from(([127, 0, 0, 2], listener.local_addr().unwrap().port()));
        assert!(
            kept("metrics", elsewhere, listener)
                .tcp("metrics", elsewhere)
                .is_none()
        );
    }

    #[test]
    fn a_stream_that_does_not_listen_is_not_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let address = stream.local_addr().unwrap();
        assert!(kept("metrics", address, stream).tcp("metrics", address).is_none());
    }

    #[test]
    fn sockets_of_one_use_are_taken_out_together() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut kept = kept("dns-tcp", address, listener);
        assert!(kept.of(&["metrics"]).is_empty());
        let taken = kept.of(&["dns-udp", "dns-tcp"]);
        assert_eq!(taken.into_keys().collect::<Vec<_>>(), [name("dns-tcp", address)]);
        assert!(kept.sockets.is_empty());
    }

    #[test]
    fn names_have_no_colon() {
        assert_eq!(
            name("dns-udp", "[fd00::a]:53".parse().unwrap()),
            "dns-udp@[fd00__a]_53"
        );
    }
}
