//! Connection tracking over netlink: listing and ending UDP flows.

use std::io;
use std::net::{IpAddr, SocketAddr};

use pinnace_api::pod::Protocol;
use pinnace_sys::netlink::{self, Attribute, Attributes, Batch, Family, Received, Socket};
use pinnace_sys::{Doing, SysResult};

use super::element::number;
use super::wire::HEADER;

/// `NFNL_SUBSYS_CTNETLINK` with `IPCTNL_MSG_CT_GET`, `IPCTNL_MSG_CT_DELETE`.
const GET: u16 = 1 << 8 | 1;
const DELETE: u16 = 1 << 8 | 2;
/// `CTA_TUPLE_ORIG`, `CTA_TUPLE_REPLY`, `CTA_ZONE`, `CTA_FILTER`.
const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const ZONE: u16 = 18;
const FILTER: u16 = 25;
/// `CTA_TUPLE_IP`, `CTA_TUPLE_PROTO`.
const ADDRESSES: u16 = 1;
const PORTS: u16 = 2;
/// `CTA_IP_V4_SRC`, `CTA_IP_V4_DST`, `CTA_IP_V6_SRC`, `CTA_IP_V6_DST`.
const V4_SOURCE: u16 = 1;
const V4_DESTINATION: u16 = 2;
const V6_SOURCE: u16 = 3;
const V6_DESTINATION: u16 = 4;
/// `CTA_PROTO_NUM`, `CTA_PROTO_SRC_PORT`, `CTA_PROTO_DST_PORT`.
const PROTOCOL: u16 = 1;
const SOURCE_PORT: u16 = 2;
const DESTINATION_PORT: u16 = 3;
/// `CTA_FILTER_ORIG_FLAGS`, and its flags of the protocol's number and the destination port.
const FILTER_ORIGINAL: u16 = 1;
const FILTER_REPLY: u16 = 2;
const BY_PROTOCOL: u32 = 1 << 3;
const BY_DESTINATION_PORT: u32 = 1 << 5;
/// So many at once.
const CHUNK: usize = 256;

/// A flow, by where it was sent and by who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flow {
    pub(super) to: SocketAddr,
    pub(super) answered_by: SocketAddr,
}

/// Ends the UDP flows of a family that are `stale`; with `port`, only those that were sent to that port are looked
/// at.
pub(super) fn end_udp(
    socket: &mut Socket,
    v4: bool,
    port: Option<u16>,
    stale: impl Fn(&Flow) -> bool,
) -> SysResult<()> {
    let listed = socket
        .dump_request(&listing(v4, port))
        .doing("list", "tracked connections")?;
    let ended: Vec<&Received> = listed
        .iter()
        .filter(|message| flow(message).is_some_and(|flow| stale(&flow)))
        .collect();
    for chunk in ended.chunks(CHUNK) {
        let mut batch = Batch::new();
        for message in chunk {
            let attributes = message.attributes(HEADER);
            let mut request = batch.message(DELETE, netlink::ACK, &header(v4));
            for attribute in attributes.filter(|attribute| matches!(attribute.kind, ORIGINAL | ZONE)) {
                copy(&mut request, attribute);
            }
        }
        let answers = socket.execute(batch).doing("end", "tracked connections")?;
        for result in answers.results {
            match result {
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
                result => result.doing("end", "tracked connections")?,
            }
        }
    }
    Ok(())
}

fn copy(request: &mut netlink::Message<'_>, attribute: Attribute<'_>) {
    if attribute.kind == ORIGINAL {
        // Its content is attributes already.
        request.nest_after(ORIGINAL, attribute.value, |_| {});
    } else {
        request.bytes(attribute.kind, attribute.value);
    }
}

/// Kernels before 5.8 list all, whatever the filter says.
fn listing(v4: bool, port: Option<u16>) -> Batch {
    let mut batch = Batch::new();
    let mut message = batch.message(GET, netlink::DUMP, &header(v4));
    message.nest(ORIGINAL, |tuple| {
        tuple.nest(PORTS, |ports| {
            ports.u8(PROTOCOL, number(Protocol::Udp));
            if let Some(port) = port {
                ports.u16_be(DESTINATION_PORT, port);
            }
        });
    });
    message.nest(FILTER, |filter| {
        let by_port = if port.is_some() { BY_DESTINATION_PORT } else { 0 };
        filter
            .u32(FILTER_ORIGINAL, BY_PROTOCOL | by_port)
            .u32(FILTER_REPLY, 0);
    });
    batch
}

/// `struct nfgenmsg`.
fn header(v4: bool) -> [u8; HEADER] {
    // Both numbers are small.
    let family = (if v4 { libc::AF_INET } else { libc::AF_INET6 }) as u8;
    [family, 0, 0, 0]
}

/// `None` for what is not UDP.
fn flow(message: &Received) -> Option<Flow> {
    let attributes = message.attributes(HEADER);
    let original = attributes.find(ORIGINAL)?.nested();
    let reply = attributes.find(REPLY)?.nested();
    Some(Flow {
        to: end(original, [V4_DESTINATION, V6_DESTINATION], DESTINATION_PORT)?,
        answered_by: end(reply, [V4_SOURCE, V6_SOURCE], SOURCE_PORT)?,
    })
}

fn end(tuple: Attributes<'_>, [v4, v6]: [u16; 2], port: u16) -> Option<SocketAddr> {
    let addresses = tuple.find(ADDRESSES)?.nested();
    let ports = tuple.find(PORTS)?.nested();
    if ports.find(PROTOCOL)?.value != [number(Protocol::Udp)] {
        return None;
    }
    let address = match (addresses.find(v4), addresses.find(v6)) {
        (Some(address), _) => IpAddr::from(<[u8; 4]>::try_from(address.value).ok()?),
        (None, address) => IpAddr::from(<[u8; 16]>::try_from(address?.value).ok()?),
    };
    let port = u16::from_be_bytes(ports.find(port)?.value.try_into().ok()?);
    Some(SocketAddr::new(address, port))
}

/// Whether this kernel lets flows be listed.
pub(super) fn probe() -> io::Result<()> {
    let mut socket = Socket::open(Family::Netfilter)?;
    socket.dump_request(&listing(true, Some(1))).map(|_| ())
}
