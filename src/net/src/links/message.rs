//! The messages of NETLINK_ROUTE that links are made of.

use std::net::IpAddr;

use pinnace_api::Cidr;
use pinnace_sys::netlink::{self, Batch, Family, Message, Socket};
use pinnace_sys::{Doing, SysResult};

/// Length of `struct ifinfomsg`.
pub(super) const LINK_HEADER: usize = 16;
/// Length of `struct rtmsg`.
pub(super) const ROUTE_HEADER: usize = 12;
/// `RTNH_F_ONLINK`: the gateway is reached without a route to it.
const ONLINK: u32 = 4;
/// Replaced where it is there, made where it is not.
const SET: u16 = netlink::ACK | netlink::CREATE | netlink::REPLACE;
/// Made where it is not there.
const NEW: u16 = netlink::ACK | netlink::CREATE | netlink::EXCLUSIVE;
/// `INFINITY_LIFE_TIME`.
const FOR_EVER: u32 = u32::MAX;

/// An Ethernet address.
pub(crate) type Mac = [u8; 6];

/// `struct ifinfomsg`, with the flags of `up` changed to be set.
pub(crate) fn link_header(index: u32, up: bool) -> [u8; LINK_HEADER] {
    let mut header = [0; LINK_HEADER];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    if up {
        let flag = libc::IFF_UP.cast_unsigned().to_ne_bytes();
        header[8..12].copy_from_slice(&flag);
        header[12..16].copy_from_slice(&flag);
    }
    header
}

/// Requests that name what they do, so that a refused one can be told.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    batch: Batch,
    operations: Vec<(&'static str, bool)>,
}

impl Steps {
    /// A request, and what it does.
    pub(crate) fn step(
        &mut self,
        operation: &'static str,
        kind: u16,
        flags: u16,
        header: &[u8],
    ) -> Message<'_> {
        // What is to be made anew and is there already is as wanted.
        self.operations.push((operation, flags & netlink::EXCLUSIVE != 0));
        self.batch.message(kind, flags, header)
    }

    /// Brings an interface up.
    pub(crate) fn up(&mut self, index: u32) {
        self.step(
            "bring up",
            libc::RTM_SETLINK,
            netlink::ACK,
            &link_header(index, true),
        );
    }

    /// Gives an interface an address of its own, without asking the link whether another has it.
    pub(crate) fn address(&mut self, index: u32, address: IpAddr, scope: u8, preferred: bool) {
        let mut header = [family(address), width(address), 0, scope, 0, 0, 0, 0];
        header[4..].copy_from_slice(&index.to_ne_bytes());
        let mut message = self.step("put the address on", libc::RTM_NEWADDR, NEW, &header);
        message.bytes(libc::IFA_LOCAL, &octets(address));
        message.bytes(libc::IFA_ADDRESS, &octets(address));
        if address.is_ipv6() {
            message.u32(libc::IFA_FLAGS, libc::IFA_F_NODAD);
            let preferred = if preferred { FOR_EVER } else { 0 };
            let times: Vec<u8> = [preferred, FOR_EVER, 0, 0]
                .iter()
                .flat_map(|number| number.to_ne_bytes())
                .collect();
            message.bytes(libc::IFA_CACHEINFO, &times);
        }
    }

    /// Takes an address away.
    pub(crate) fn no_address(&mut self, index: u32, address: IpAddr) {
        let mut header = [family(address), width(address), 0, 0, 0, 0, 0, 0];
        header[4..].copy_from_slice(&index.to_ne_bytes());
        let mut message = self.step("take the address from", libc::RTM_DELADDR, netlink::ACK, &header);
        message.bytes(libc::IFA_LOCAL, &octets(address));
        message.bytes(libc::IFA_ADDRESS, &octets(address));
    }

    /// Says for ever where a neighbour is, so that nobody needs to ask the link, or can answer falsely.
    pub(crate) fn neighbour(&mut self, index: u32, address: IpAddr, mac: Mac) {
        let mut header = [0; 12];
        header[0] = family(address);
        header[4..8].copy_from_slice(&index.to_ne_bytes());
        header[8..10].copy_from_slice(&libc::NUD_PERMANENT.to_ne_bytes());
        self.step("name a neighbour of", libc::RTM_NEWNEIGH, SET, &header)
            .bytes(libc::NDA_DST, &octets(address))
            .bytes(libc::NDA_LLADDR, &mac);
    }

    /// The route to a pod's address.
    pub(crate) fn host_route(&mut self, index: u32, address: IpAddr) {
        let header = route_header(address, width(address), libc::RT_SCOPE_LINK, 0);
        self.step("route to a pod through", libc::RTM_NEWROUTE, SET, &header)
            .bytes(libc::RTA_DST, &octets(address))
            .u32(libc::RTA_OIF, index);
    }

    /// Makes addresses of a range that no pod has unreachable, so that nothing for a pod that is gone is sent to
    /// the outside. Other routes to the range, if any, come first.
    pub(crate) fn unreachable(&mut self, range: Cidr) {
        let operation = "make the rest unreachable of";
        range_route(
            self.step(operation, libc::RTM_NEWROUTE, NEW, &range_header(range)),
            range,
        );
    }

    /// Undoes this.
    pub(crate) fn not_unreachable(&mut self, range: Cidr) {
        let operation = "remove the route to";
        range_route(
            self.step(operation, libc::RTM_DELROUTE, netlink::ACK, &range_header(range)),
            range,
        );
    }

    /// A pod's default route.
    pub(crate) fn default_route(&mut self, index: u32, gateway: IpAddr) {
        let header = route_header(gateway, 0, libc::RT_SCOPE_UNIVERSE, ONLINK);
        self.step("route by default through", libc::RTM_NEWROUTE, NEW, &header)
            .bytes(libc::RTA_GATEWAY, &octets(gateway))
            .u32(libc::RTA_OIF, index);
    }

    /// Carries all out; the first that is refused is the error, on `object`.
    pub(crate) fn run(self, socket: &mut Socket, object: &str) -> SysResult<()> {
        let answers = socket.execute(self.batch).doing("configure", object)?;
        for ((operation, tolerant), result) in self.operations.into_iter().zip(answers.results) {
            match result {
                Err(error) if tolerant && error.raw_os_error() == Some(libc::EEXIST) => {}
                result => result.doing(operation, object)?,
            }
        }
        Ok(())
    }
}

fn route_header(address: IpAddr, length: u8, scope: u8, flags: u32) -> [u8; ROUTE_HEADER] {
    let mut header = [0; ROUTE_HEADER];
    header[0] = family(address);
    header[1] = length;
    header[4] = libc::RT_TABLE_MAIN;
    header[5] = libc::RTPROT_STATIC;
    header[6] = scope;
    header[7] = libc::RTN_UNICAST;
    header[8..].copy_from_slice(&flags.to_ne_bytes());
    header
}

/// The route of a range is the last to be asked.
const LAST_METRIC: u32 = 0x7fff_ffff;

fn range_header(range: Cidr) -> [u8; ROUTE_HEADER] {
    let mut header = route_header(range.first(), range.prefix(), libc::RT_SCOPE_UNIVERSE, 0);
    header[7] = libc::RTN_UNREACHABLE;
    header
}

fn range_route(mut message: Message<'_>, range: Cidr) {
    message
        .bytes(libc::RTA_DST, &octets(range.first()))
        .u32(libc::RTA_PRIORITY, LAST_METRIC);
}

/// A socket in this thread's namespace.
pub(crate) fn socket() -> SysResult<Socket> {
    Socket::open(Family::Route).doing("open", "a netlink socket")
}

pub(crate) fn family(address: IpAddr) -> u8 {
    // Both numbers are small.
    (if address.is_ipv4() {
        libc::AF_INET
    } else {
        libc::AF_INET6
    }) as u8
}

pub(super) fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

pub(super) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}
