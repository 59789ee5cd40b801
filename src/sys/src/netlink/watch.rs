//! Hears that the network's links changed, without ever waiting for it.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

/// `RTMGRP_LINK`.
const LINKS: u32 = 1;
/// What is told while nobody asks lies in the kernel: some messages say as much as all of them.
const ROOM: usize = 8 * 1024;
/// What is heard is not looked at: a message is taken out, whatever its length.
const TAKEN: usize = 16;
/// Messages that fit into [`ROOM`], and many more.
const MOST_HEARD: usize = 4096;

/// Hears of links that come, go or change, in the network namespace of the thread that opened it.
///
/// The kernel tells of a link's carrier within a second, of all else at once. It tells of the flags, the addresses,
/// the name, the MTU, the alias, the state; not of speed and duplex where they change without the carrier.
#[derive(Debug)]
pub struct LinkWatch(OwnedFd);

impl LinkWatch {
    /// Listens from now on.
    pub fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        set_socket_recv_buffer_size(&fd, ROOM)?;
        bind(&fd, &SocketAddrNetlink::new(0, LINKS))?;
        Ok(Self(fd))
    }

    /// Whether any link has changed since the last call. What is read afterwards is at least as new as that change.
    pub fn changed(&self) -> bool {
        let mut heard = false;
        for _ in 0..MOST_HEARD {
            match recv(&self.0, &mut [0; TAKEN], RecvFlags::empty()) {
                Err(Errno::AGAIN) => return heard,
                // Messages were lost where there was no room (ENOBUFS); that is to have heard too.
                _ => heard = true,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use nix::sched::{CloneFlags, unshare};

    use super::*;
    use crate::mount::sysfs_shows_own_network;

    /// Runs in a network namespace of its own.
    fn apart(test: impl FnOnce() + Send + 'static) {
        let thread = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            test();
        });
        thread.join().unwrap();
    }

    fn ip(arguments: &str) {
        let done = Command::new("ip").args(arguments.split(' ')).status().unwrap();
        assert!(done.success(), "ip {arguments}");
    }

    #[test]
    fn each_change_of_a_link_is_heard_once() {
        apart(|| {
            let watch = LinkWatch::open().unwrap();
            assert!(!watch.changed());
            for change in [
                "link set lo up",
                "link set lo mtu 9000",
                "link set lo alias named",
                "link add up0 type veth peer name away0",
                "link set up0 address 02:00:00:00:00:01",
                "link del up0",
            ] {
                ip(change);
                assert!(watch.changed(), "{change}");
                while watch.changed() {}
                assert!(!watch.changed(), "{change}");
            }
        });
    }

    #[test]
    fn more_than_can_be_kept_is_a_change_and_the_next_one_is_heard_again() {
        apart(|| {
            let watch = LinkWatch::open().unwrap();
            for mtu in 2000..2100 {
                ip(&format!("link set lo mtu {mtu}"));
            }
            assert!(watch.changed());
            assert!(!watch.changed());
            ip("link set lo mtu 1500");
            assert!(watch.changed());
        });
    }

    #[test]
    fn sysfs_of_another_network_is_told_from_the_own() {
        assert!(!sysfs_shows_own_network(Path::new("/proc")).unwrap());
        apart(|| assert!(!sysfs_shows_own_network(Path::new("/sys")).unwrap()));
    }
}
