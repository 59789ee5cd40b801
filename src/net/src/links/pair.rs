//! Making a pod's link whole, and looking whether it is.

use std::fs::File;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::path::Path;

use pinnace_api::PodUid;
use pinnace_core::network::PodAddresses;
use pinnace_sys::netlink::{self, Batch, Message, Socket};
use pinnace_sys::{Doing, namespace};

use super::look::{Link, Wanted, all_links, find_link, way_to};
use super::message::{Mac, Steps, link_header, socket};
use super::{GATEWAY_V4, GATEWAY_V6, POD_LINK, Sweeper, remove};
use crate::error::NetError;
use crate::host::sysctl;
use crate::names::HostNames;

/// The host's side of every link, as no two of them ever share a wire. An address that was given is left alone by
/// the device managers that would otherwise set one of their own.
const HOST_MAC: Mac = [0xee; 6];
/// `VETH_INFO_PEER`.
const PEER: u16 = 1;
/// `IFLA_INET_CONF`.
const INET_CONF: u16 = 1;
/// `IFLA_INET6_ADDR_GEN_MODE`.
const ADDRESS_GENERATION: u16 = 8;
/// `IN6_ADDR_GEN_MODE_NONE`.
const NO_ADDRESSES: u8 = 1;
/// `IPV4_DEVCONF_FORWARDING`.
const FORWARDING: u16 = 1;
/// `IPV4_DEVCONF_ACCEPT_REDIRECTS`.
const ACCEPT_REDIRECTS: u16 = 4;
/// `IPV4_DEVCONF_RP_FILTER`.
const REVERSE_PATH: u16 = 8;
/// `IPV4_DEVCONF_ROUTE_LOCALNET`.
const ROUTE_LOCALNET: u16 = 26;

/// A pod's link as it is to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LinkRequest<'a> {
    pub uid: &'a PodUid,
    pub names: &'a HostNames,
    pub namespace: &'a Path,
    pub addresses: &'a PodAddresses,
    pub mtu: u32,
    pub sweeper: &'a Sweeper,
    /// Packets from 127.0.0.1 may be sent through it, once their source was rewritten.
    pub from_loopback: bool,
}

/// Makes the link whole, out of whatever is there; answers the name of the host's side.
pub(crate) fn ensure(request: &LinkRequest<'_>) -> Result<String, NetError> {
    let name = request.names.link(request.uid);
    let mut host = socket()?;
    let mut pod = open_pod(request)?;
    let link = match find_link(&mut host, Wanted::Name(&name))? {
        Some(link) if is_kept(request, &link, &mut pod)? => link,
        Some(_) => {
            remove::give_up(request.names, request.uid)?;
            request.sweeper.sweep(request.names)?;
            create(&mut host, request, &name)?
        }
        None => create(&mut host, request, &name)?,
    };
    set_up_host(&mut host, request, &link)?;
    set_up_pod(&mut pod, request, link.peer)?;
    give_source(&mut host, request, &link)?;
    Ok(name)
}

/// Whether the host's side is as it is made, its peer is in the namespace, and the routes lead there. What is
/// within the pod's namespace is not looked at any further: a pod that may administer its network may do so.
pub(crate) fn is_whole(
    names: &HostNames,
    uid: &PodUid,
    namespace: &Path,
    addresses: &PodAddresses,
) -> Result<bool, NetError> {
    let mut host = socket()?;
    let Some(link) = find_link(&mut host, Wanted::Name(&names.link(uid)))? else {
        return Ok(false);
    };
    if !link.up || link.alias != names.alias(uid) || link.group != names.group() {
        return Ok(false);
    }
    for address in addresses.list() {
        let way = way_to(&mut host, address, true)?;
        if way.is_none_or(|way| way.interface != Some(link.index)) {
            return Ok(false);
        }
    }
    if !namespace::is_pinned(namespace)? {
        return Ok(false);
    }
    is_pair(&mut open_within(namespace)?, &link)
}

/// Whether what an earlier call made is to be completed. Where its pod's namespace is another by now, or it was
/// about to go, it is made anew.
fn is_kept(request: &LinkRequest<'_>, link: &Link, pod: &mut Socket) -> Result<bool, NetError> {
    let names = request.names;
    let ending = link.group == names.ending_group();
    // Between its making and its naming a link has no alias, but its group.
    let unnamed = link.alias.is_empty() && (link.group == names.group() || ending);
    if !unnamed && link.alias != names.alias(request.uid) {
        return Err(NetError::ForeignLink {
            link: link.name.clone(),
            alias: link.alias.clone(),
        });
    }
    Ok(!ending && is_pair(pod, link)?)
}

fn open_within(path: &Path) -> Result<Socket, NetError> {
    Ok(namespace::visit(path, socket)??)
}

/// The same, where a link of the pod is to be made: it must not be kept from IPv6 by what the host's own interfaces
/// are kept from.
fn open_pod(request: &LinkRequest<'_>) -> Result<Socket, NetError> {
    let v6 = request.addresses.v6.is_some();
    let open = || {
        if v6 {
            sysctl::write(&sysctl::of_interface("default", "disable_ipv6"), "0")?;
        }
        socket()
    };
    Ok(namespace::visit(request.namespace, open)??)
}

fn is_pair(pod: &mut Socket, link: &Link) -> Result<bool, NetError> {
    let found = find_link(pod, Wanted::Index(link.peer))?;
    Ok(found.is_some_and(|found| found.peer == link.index))
}

fn create(host: &mut Socket, request: &LinkRequest<'_>, name: &str) -> Result<Link, NetError> {
    let namespace = File::open(request.namespace).doing_on("open the namespace", request.namespace)?;
    let mut batch = Batch::new();
    let flags = netlink::ACK | netlink::CREATE | netlink::EXCLUSIVE;
    let peer = |peer: &mut Message<'_>| {
        peer.text(libc::IFLA_IFNAME, POD_LINK)
            .u32(libc::IFLA_NET_NS_FD, namespace.as_raw_fd().cast_unsigned())
            .u32(libc::IFLA_MTU, request.mtu)
            .bytes(libc::IFLA_ADDRESS, &request.names.pod_mac(request.uid));
    };
    batch
        .message(libc::RTM_NEWLINK, flags, &link_header(0, false))
        .text(libc::IFLA_IFNAME, name)
        .u32(libc::IFLA_GROUP, request.names.group())
        .u32(libc::IFLA_MTU, request.mtu)
        .bytes(libc::IFLA_ADDRESS, &HOST_MAC)
        .nest(libc::IFLA_LINKINFO, |info| {
            info.text(libc::IFLA_INFO_KIND, "veth")
                .nest(libc::IFLA_INFO_DATA, |data| {
                    data.nest_after(PEER, &link_header(0, false), peer);
                });
        });
    let answers = host.execute(batch).doing("make the link", name)?;
    let made: Result<(), _> = answers.results.into_iter().collect();
    match made {
        // The host had no link of this name, so it is the pod's side that is there.
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {
            return Err(NetError::ForeignPeer {
                link: name.to_owned(),
            });
        }
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => return Err(NetError::NoVeth),
        made => made.doing("make the link", name)?,
    }
    let gone = || std::io::Error::from_raw_os_error(libc::ENODEV);
    let link = find_link(host, Wanted::Name(name))?;
    Ok(link.ok_or_else(gone).doing("find the new link", name)?)
}

fn set_up_host(host: &mut Socket, request: &LinkRequest<'_>, link: &Link) -> Result<(), NetError> {
    let mut steps = Steps::default();
    steps
        .step(
            "name",
            libc::RTM_SETLINK,
            netlink::ACK,
            &link_header(link.index, false),
        )
        .text(libc::IFLA_IFALIAS, &request.names.alias(request.uid));
    steps
        .step(
            "configure",
            libc::RTM_SETLINK,
            netlink::ACK,
            &link_header(link.index, false),
        )
        .nest(libc::IFLA_AF_SPEC, |families| {
            inet(families, request.from_loopback);
            if sysctl::has_ipv6() {
                families.nest(libc::AF_INET6 as u16, |inet6| {
                    inet6.u8(ADDRESS_GENERATION, NO_ADDRESSES);
                });
            }
        });
    if sysctl::has_ipv6() {
        // Before it is up: a pod must not be able to tell the host of routers.
        let off = if request.addresses.v6.is_some() { "0" } else { "1" };
        sysctl::write(&sysctl::of_interface(&link.name, "accept_ra"), "0")?;
        sysctl::write(&sysctl::of_interface(&link.name, "disable_ipv6"), off)?;
    }
    steps.up(link.index);
    let mac = request.names.pod_mac(request.uid);
    for address in request.addresses.list() {
        steps.neighbour(link.index, address, mac);
        steps.host_route(link.index, address);
    }
    Ok(steps.run(host, &link.name)?)
}

/// IPv4's settings of the host's side.
fn inet(families: &mut Message<'_>, from_loopback: bool) {
    families.nest(libc::AF_INET as u16, |inet| {
        inet.nest(INET_CONF, |conf| {
            conf.u32(FORWARDING, 1)
                .u32(ACCEPT_REDIRECTS, 0)
                .u32(REVERSE_PATH, 1)
                .u32(ROUTE_LOCALNET, u32::from(from_loopback));
        });
    });
}

/// Lays IPv4's settings on the links of earlier calls, which may have known another configuration.
pub(crate) fn configure_all(names: &HostNames, from_loopback: bool) -> Result<(), NetError> {
    let mut host = socket()?;
    for link in all_links(&mut host)? {
        if link.group != names.group() || names.uid_of_alias(&link.alias).is_none() {
            continue;
        }
        let mut batch = Batch::new();
        batch
            .message(libc::RTM_SETLINK, netlink::ACK, &link_header(link.index, false))
            .nest(libc::IFLA_AF_SPEC, |families| inet(families, from_loopback));
        remove::unless_gone(&mut host, batch, "configure", &link.name)?;
    }
    Ok(())
}

fn set_up_pod(pod: &mut Socket, request: &LinkRequest<'_>, peer: u32) -> Result<(), NetError> {
    let mut steps = Steps::default();
    if sysctl::has_ipv6() {
        steps
            .step(
                "configure",
                libc::RTM_SETLINK,
                netlink::ACK,
                &link_header(peer, false),
            )
            .nest(libc::IFLA_AF_SPEC, |families| {
                families.nest(libc::AF_INET6 as u16, |inet6| {
                    inet6.u8(ADDRESS_GENERATION, NO_ADDRESSES);
                });
            });
    }
    steps.up(peer);
    for address in request.addresses.list() {
        let gateway = match address {
            IpAddr::V4(_) => GATEWAY_V4,
            IpAddr::V6(_) => GATEWAY_V6,
        };
        steps.address(peer, address, libc::RT_SCOPE_UNIVERSE, true);
        steps.neighbour(peer, gateway, HOST_MAC);
        steps.default_route(peer, gateway);
    }
    let object = format!("{POD_LINK} of pod {}", request.uid);
    Ok(steps.run(pod, &object)?)
}

/// A host that has no IPv4 address at all could not speak to its pods: there, and only there, the link gets the
/// address that pods take for their router's.
fn give_source(host: &mut Socket, request: &LinkRequest<'_>, link: &Link) -> Result<(), NetError> {
    let Some(address) = request.addresses.v4 else {
        return Ok(());
    };
    let way = way_to(host, address.into(), false)?;
    if way.is_some_and(|way| !way.from_an_address) {
        let mut steps = Steps::default();
        steps.address(link.index, GATEWAY_V4, libc::RT_SCOPE_LINK, true);
        steps.run(host, &link.name)?;
    }
    Ok(())
}
