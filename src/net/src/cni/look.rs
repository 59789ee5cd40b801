//! What a pod's namespace shows.

use std::net::IpAddr;
use std::path::Path;

use nix::ifaddrs::getifaddrs;
use pinnace_core::network::PodAddresses;
use pinnace_sys::{Doing, SysResult, namespace};

use super::INTERFACE;

/// Interfaces and addresses of a namespace.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    addresses: Vec<IpAddr>,
    /// The pod's interface is there.
    pub has_interface: bool,
}

impl Seen {
    /// Looks; nothing is there where no namespace is pinned.
    pub(crate) fn within(namespace: &Path) -> SysResult<Self> {
        if !namespace::is_pinned(namespace)? {
            return Ok(Self::default());
        }
        namespace::visit(namespace, look)?
    }

    /// The pod has all of these.
    pub(crate) fn has(&self, addresses: &PodAddresses) -> bool {
        addresses
            .list()
            .iter()
            .all(|address| self.addresses.contains(address))
    }
}

fn look() -> SysResult<Seen> {
    let mut seen = Seen::default();
    for entry in getifaddrs().doing("list", "the addresses of a namespace")? {
        seen.has_interface |= entry.interface_name == INTERFACE;
        let Some(address) = entry.address else { continue };
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        let v6 = address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip()));
        seen.addresses.extend(v4.or(v6));
    }
    Ok(seen)
}
