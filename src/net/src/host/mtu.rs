//! The largest packet of pods' links: that of the interface that leads outside, so that nothing needs to be
//! cut up on the way.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pinnace_sys::SysResult;

use crate::links::{Wanted, find_link, socket, way_to};

/// Where no interface leads outside.
const ETHERNET: u32 = 1500;
/// IPv6 needs as much; a veth pair can carry no more.
const SMALLEST: u32 = 1280;
const LARGEST: u32 = 65_535;
/// Addresses of the outside: the kernel is only asked for the way to them.
const OUTSIDE: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(1, 0, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 1)),
];

/// That of the default route's interface.
pub(crate) fn mtu() -> SysResult<u32> {
    let mut host = socket()?;
    for address in OUTSIDE {
        let Some(way) = way_to(&mut host, address, false)? else {
            continue;
        };
        let link = match way.interface {
            Some(index) => find_link(&mut host, Wanted::Index(index))?,
            None => None,
        };
        if let Some(link) = link.filter(|link| link.name != "lo") {
            return Ok(link.mtu.clamp(SMALLEST, LARGEST));
        }
    }
    Ok(ETHERNET)
}
