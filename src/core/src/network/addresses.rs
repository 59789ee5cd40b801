//! A pod's own addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// At most one address of each family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct PodAddresses {
    /// The IPv4 address.
    pub v4: Option<Ipv4Addr>,
    /// The IPv6 address.
    pub v6: Option<Ipv6Addr>,
    /// IPv6 comes first in `podIPs`: the node's first range is of that family.
    #[serde(default)]
    pub v6_first: bool,
}

impl PodAddresses {
    /// The addresses in the order of `podIPs`.
    pub fn list(&self) -> Vec<IpAddr> {
        let mut list: Vec<IpAddr> = self.v4.map(IpAddr::V4).into_iter().collect();
        list.extend(self.v6.map(IpAddr::V6));
        if self.v6_first {
            list.reverse();
        }
        list
    }
}

/// What the host shows of a pod's network. Of a pod in the host's network it is always `Absent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NetworkState {
    /// No link, address, lease or element of it.
    #[default]
    Absent,
    /// Parts are there: attaching again completes them, detaching removes them.
    Partial,
    /// Whole.
    Attached(PodAddresses),
}

impl NetworkState {
    /// The pod's addresses, where its network is whole.
    pub fn addresses(&self) -> Option<PodAddresses> {
        match self {
            NetworkState::Attached(addresses) => Some(*addresses),
            NetworkState::Absent | NetworkState::Partial => None,
        }
    }
}

/// What a pod needs to be told of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterDns {
    /// Addresses of the node's DNS server; empty where it has none (`ClusterFirst` then means `Default`).
    pub servers: Vec<IpAddr>,
    /// `cluster.local`, say.
    pub domain: String,
}
