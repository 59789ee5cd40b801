//! What the node's network is made of.

use std::net::IpAddr;

use pinnace_api::Cidr;
use pinnace_sys::Layout;

use crate::rules::RulesConfig;

/// Configuration of [`crate::Net`].
#[derive(Debug, Clone)]
pub struct NetConfig {
    /// The root, of which paths and names are made.
    pub layout: Layout,
    /// Where pods' addresses come from: one range of each family at most, the first being that of `podIP`.
    pub pod_ranges: Vec<Cidr>,
    /// Addresses that are put on the loopback interface, for the DNS server to listen on.
    pub loopback_addresses: Vec<IpAddr>,
    /// Largest packet of pods' links; `None` takes that of the interface of the default route.
    pub mtu: Option<u32>,
    /// What the rules are made of.
    pub rules: RulesConfig,
}
