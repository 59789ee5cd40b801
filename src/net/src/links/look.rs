//! Looking at interfaces and routes.

use std::io;
use std::net::IpAddr;

use pinnace_sys::netlink::{self, Attributes, Batch, Received, Socket};
use pinnace_sys::{Doing, SysResult};

use super::message::{LINK_HEADER, ROUTE_HEADER, family, link_header, octets, width};

/// `RTEXT_FILTER_SKIP_STATS`.
const SKIP_STATISTICS: u32 = 8;

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(payload in proptest::collection::vec(any::<u8>(), 0..256)) {
            let message = Received { kind: libc::RTM_NEWLINK, payload };
            if let Some(link) = Link::of(&message) {
                prop_assert!(link.name.len() <= message.payload.len());
            }
            way(&message);
        }
    }
}
