//! The messages of NETLINK_ROUTE that links are made of, and what is read of the kernel's.

use std::io;
use std::net::IpAddr;

use pinnace_api::Cidr;
use pinnace_sys::netlink::{self, Attributes, Batch, Family, Message, Received, Socket};
use pinnace_sys::{Doing, SysResult};

/// Length of `struct ifinfomsg`.
const LINK_HEADER: usize = 16;
/// Length of `struct rtmsg`.
const ROUTE_HEADER: usize = 12;
/// `RTNH_F_ONLINK`: the gateway is reached without a route to it.
const ONLINK: u32 = 4;
/// `RTEXT_FILTER_SKIP_STATS`.
const SKIP_STATISTICS: u32 = 8;
/// Replaced where it is there, made where it is not.
const SET: u16 = netlink::ACK | netlink::CREATE | netlink::REPLACE;
/// Made where it is not there.
const NEW: u16 = netlink::ACK | netlink::CREATE | netlink::EXCLUSIVE;
/// `INFINITY_LIFE_TIME`.
const FOR_EVER: u32 = u32::MAX;

/// An Ethernet address.
pub(crate) type Mac = [u8; 6];

/// An interface, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub index: u32,
    pub name: String,
    pub alias: String,
    pub group: u32,
    pub up: bool,
    pub mtu: u32,
    /// Index of the peer, in the peer's namespace, where the link is one of a pair.
    pub peer: u32,
}

impl Link {
    pub(crate) fn of(message: &Received) -> Option<Self> {
        let header: [u8; LINK_HEADER] = message.header()?;
        let word =
            |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let attributes = message.attributes(LINK_HEADER);
        let number = |kind| attributes.find(kind).and_then(|attribute| attribute.u32());
        let text = |kind| attributes.find(kind).and_then(|attribute| attribute.text());
        Some(Self {
            index: word(4),
            name: text(libc::IFLA_IFNAME)?.to_owned(),
            alias: text(libc::IFLA_IFALIAS).unwrap_or_default().to_owned(),
            group: number(libc::IFLA_GROUP).unwrap_or(0),
            up: word(8) & libc::IFF_UP.cast_unsigned() != 0,
            mtu: number(libc::IFLA_MTU).unwrap_or(0),
            // Older kernels leave it out where it is the same number.
            peer: number(libc::IFLA_LINK).unwrap_or(word(4)),
        })
    }
}

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

/// The interface of this name or index; `None` where there is none.
pub(crate) fn find_link(socket: &mut Socket, wanted: Wanted<'_>) -> SysResult<Option<Link>> {
    let mut batch = Batch::new();
    let index = match wanted {
        Wanted::Index(index) => index,
        Wanted::Name(_) => 0,
    };
    let mut message = batch.message(libc::RTM_GETLINK, netlink::ACK, &link_header(index, false));
    if let Wanted::Name(name) = wanted {
        message.text(libc::IFLA_IFNAME, name);
    }
    message.u32(libc::IFLA_EXT_MASK, SKIP_STATISTICS);
    let answers = socket.execute(batch).doing("look for", wanted)?;
    let result: io::Result<()> = answers.results.into_iter().collect();
    match result {
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => return Ok(None),
        result => result.doing("look for", wanted)?,
    }
    Ok(answers.messages.iter().find_map(Link::of))
}

/// Which interface is looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted<'a> {
    Name(&'a str),
    Index(u32),
}

impl std::fmt::Display for Wanted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Wanted::Name(name) => write!(f, "interface {name}"),
            Wanted::Index(index) => write!(f, "interface {index}"),
        }
    }
}

/// All interfaces.
pub(crate) fn all_links(socket: &mut Socket) -> SysResult<Vec<Link>> {
    let mut batch = Batch::new();
    batch
        .message(libc::RTM_GETLINK, netlink::DUMP, &link_header(0, false))
        .u32(libc::IFLA_EXT_MASK, SKIP_STATISTICS);
    let listed = socket.dump_request(&batch).doing("list", "interfaces")?;
    Ok(listed.iter().filter_map(Link::of).collect())
}

/// How the kernel would reach an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Way {
    /// Through which interface.
    pub interface: Option<u32>,
    /// From which of the host's addresses.
    pub from_an_address: bool,
    /// Length of the route's prefix.
    pub prefix: u8,
}

/// How the kernel would reach `address`; `None` where it knows no way. With `route` the way is that of the route
/// as it was laid, without the one address asked for.
pub(crate) fn way_to(socket: &mut Socket, address: IpAddr, route: bool) -> SysResult<Option<Way>> {
    let mut header = [0; ROUTE_HEADER];
    header[0] = family(address);
    header[1] = width(address);
    if route {
        header[8..].copy_from_slice(&libc::RTM_F_FIB_MATCH.to_ne_bytes());
    }
    let mut batch = Batch::new();
    batch
        .message(libc::RTM_GETROUTE, netlink::ACK, &header)
        .bytes(libc::RTA_DST, &octets(address));
    let answers = socket.execute(batch).doing("look for the route to", address)?;
    let result: io::Result<()> = answers.results.into_iter().collect();
    match result.as_ref().err().and_then(io::Error::raw_os_error) {
        Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EACCES | libc::EINVAL | libc::ENETDOWN) => {
            return Ok(None);
        }
        _ => result.doing("look for the route to", address)?,
    }
    Ok(answers.messages.first().map(way))
}

fn way(message: &Received) -> Way {
    let attributes: Attributes<'_> = message.attributes(ROUTE_HEADER);
    let source = attributes.find(libc::RTA_PREFSRC);
    Way {
        interface: attributes.find(libc::RTA_OIF).and_then(|index| index.u32()),
        from_an_address: source.is_some_and(|source| source.value.iter().any(|byte| *byte != 0)),
        prefix: message.payload.get(1).copied().unwrap_or(0),
    }
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

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}
