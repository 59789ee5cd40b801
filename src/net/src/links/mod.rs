//! Pods' links: a routed veth pair each.
//!
//! ```text
//!   pod's namespace                        host
//!   eth0  10.244.0.7/32                    pn0123456789ab   group, alias `pinnace <tag> <uid>`
//!         default via 169.254.1.1   ═════  10.244.0.7/32 by device
//!         (for ever at the host's address) (10.244.0.7 for ever at the pod's)
//! ```
//!
//! Neither side ever asks the link for an address, so nobody can answer falsely. The pair is made with its peer
//! inside the pod's namespace, and what is set is in an order that a crash at any point leaves to be completed:
//! the alias comes first, so a link is never without its pod's name for longer than between two requests, and
//! then its lease names it.

mod look;
mod message;
mod pair;
mod remove;
mod shape;

pub(crate) use look::{Wanted, find_link, way_to};
pub(crate) use message::{Steps, socket};
pub(crate) use pair::{LinkRequest, configure_all, ensure, is_whole};
pub(crate) use remove::{Sweeper, give_up, is_there, list};
pub(crate) use shape::{Shape, probe, shape};

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The pod's side.
pub(crate) const POD_LINK: &str = "eth0";
/// What every pod takes for its router; no interface needs to have it.
pub(crate) const GATEWAY_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 1, 1));
/// The same of IPv6.
pub(crate) const GATEWAY_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1));
