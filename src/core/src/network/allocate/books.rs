//! Who has which address and port.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use pinnace_api::service::IpFamily;
use pinnace_api::{Cidr, Service};
use sha2::{Digest, Sha256};

use super::{Refusal, has_node_ports, port_key, wished};
use crate::network::inputs::{ServiceAllocations, ServiceName, ServiceRanges};
use crate::ports::ServiceAllocation;

/// Of a larger range, no more addresses than this are given freely.
const MOST_ADDRESSES: u128 = 1 << 20;

/// What is given, and what those keep that were given it before.
pub(super) struct Books<'b> {
    pub(super) ranges: &'b ServiceRanges,
    addresses: BTreeMap<IpAddr, &'b ServiceName>,
    ports: BTreeMap<u16, &'b ServiceName>,
    kept_addresses: BTreeMap<IpAddr, &'b ServiceName>,
    kept_ports: BTreeMap<u16, &'b ServiceName>,
}

impl<'b> Books<'b> {
    /// Nothing is given yet; what each Service had is kept for it, unless its manifest asks for something else.
    pub(super) fn new(
        services: &'b BTreeMap<ServiceName, &Service>,
        before: &ServiceAllocations,
        ranges: &'b ServiceRanges,
    ) -> Self {
        let mut books = Self {
            ranges,
            addresses: BTreeMap::new(),
            ports: BTreeMap::new(),
            kept_addresses: BTreeMap::new(),
            kept_ports: BTreeMap::new(),
        };
        for (name, service) in services {
            let Some(had) = before.get(name) else { continue };
            let wished = wished(service);
            for address in had.cluster_ips.iter().filter(|_| wished.is_some()) {
                let family = IpFamily::of(*address);
                let mut wishes = wished.into_iter().flatten();
                let other = wishes.any(|wish| IpFamily::of(*wish) == family && wish != address);
                if !other {
                    books.kept_addresses.entry(*address).or_insert(name);
                }
            }
            for port in service.spec.ports.iter().filter(|_| has_node_ports(service)) {
                let number = had.node_ports.get(&port_key(port));
                if let Some(number) = number
                    && port.node_port.is_none_or(|wish| wish == *number)
                {
                    books.kept_ports.entry(*number).or_insert(name);
                }
            }
        }
        books
    }

    /// The Service has this now.
    pub(super) fn enter(&mut self, name: &'b ServiceName, given: &ServiceAllocation) {
        for address in &given.cluster_ips {
            self.addresses.insert(*address, name);
        }
        for number in given.node_ports.values() {
            self.ports.insert(*number, name);
        }
    }

    /// What a Service had, without what others were given of it.
    pub(super) fn left_of(&self, name: &ServiceName, had: &ServiceAllocation) -> ServiceAllocation {
        let mut left = had.clone();
        left.cluster_ips
            .retain(|address| self.addresses.get(address).is_none_or(|holder| *holder == name));
        left.node_ports
            .retain(|_, number| self.ports.get(number).is_none_or(|holder| *holder == name));
        left
    }

    fn holder_of_address(&self, address: IpAddr, name: &ServiceName) -> Option<&ServiceName> {
        let holders = [self.addresses.get(&address), self.kept_addresses.get(&address)];
        holders
            .into_iter()
            .flatten()
            .copied()
            .find(|holder| *holder != name)
    }

    fn holder_of_port(&self, number: u16, name: &ServiceName) -> Option<&ServiceName> {
        let holders = [self.ports.get(&number), self.kept_ports.get(&number)];
        holders
            .into_iter()
            .flatten()
            .copied()
            .find(|holder| *holder != name)
    }

    /// The address that a manifest asks for, one of `all`.
    pub(super) fn wish_address(
        &self,
        name: &ServiceName,
        address: IpAddr,
        all: &[IpAddr],
    ) -> Result<IpAddr, Refusal> {
        let shown: Vec<String> = all.iter().map(|address| format!("\"{address}\"")).collect();
        let refuse = |why: String| Refusal {
            field: "spec.clusterIPs".to_owned(),
            message: format!(
                "Invalid value: [{}]: failed to allocate IP {address}: {why}",
                shown.join(",")
            ),
        };
        let range = self
            .ranges
            .cluster
            .iter()
            .find(|range| range.is_ipv4() == address.is_ipv4());
        match range {
            Some(range) if is_usable(*range, address) => {}
            Some(range) => {
                return Err(refuse(format!(
                    "the provided IP ({address}) is not in the valid range. The range of valid IPs is {range}"
                )));
            }
            None => {
                return Err(refuse(
                    "no range of its family is configured on this node".to_owned(),
                ));
            }
        }
        if self.ranges.reserved.contains(&address) {
            return Err(refuse(
                "provided IP is already allocated, to this node's own DNS server (clusterDNS)".to_owned(),
            ));
        }
        match self.holder_of_address(address, name) {
            None => Ok(address),
            Some((namespace, holder)) => Err(refuse(format!(
                "provided IP is already allocated, to Service {namespace}/{holder}"
            ))),
        }
    }

    /// The address that it had, or a free one.
    pub(super) fn free_address(
        &self,
        name: &ServiceName,
        family: IpFamily,
        kept: Option<IpAddr>,
    ) -> Result<IpAddr, Refusal> {
        let ranges = self.ranges.cluster.iter().copied();
        let range = ranges.clone().find(|range| IpFamily::of(range.first()) == family);
        let is_free = |address: &IpAddr| {
            !self.ranges.reserved.contains(address) && self.holder_of_address(*address, name).is_none()
        };
        let usable = |address: &IpAddr| range.is_some_and(|range| is_usable(range, *address));
        if let Some(kept) = kept.filter(|kept| usable(kept) && is_free(kept)) {
            return Ok(kept);
        }
        let found = range.and_then(|range| {
            let count = usable_count(range);
            let band = band(count, 16, 256);
            let places = places(
                count,
                band,
                seed(&[name.0.as_str(), name.1.as_str(), family.as_str()]),
            );
            let mut addresses = places.filter_map(|place| range.nth(u128::from(place) + 1));
            addresses.find(is_free)
        });
        found.ok_or_else(|| Refusal {
            field: "spec.clusterIPs".to_owned(),
            message: "failed to allocate a serviceIP: range is full".to_owned(),
        })
    }

    /// Whether the manifest can have the port that its `index`-th port asks for.
    pub(super) fn wish_port(&self, name: &ServiceName, number: u16, index: usize) -> Result<(), Refusal> {
        let range = &self.ranges.node_ports;
        let why = if !range.contains(&number) {
            let (first, last) = (range.start(), range.end());
            format!("provided port is not in the valid range. The range of valid ports is {first}-{last}")
        } else if self.ranges.reserved_node_ports.contains(&number) {
            "provided port is already allocated, to the agent itself".to_owned()
        } else if let Some((namespace, holder)) = self.holder_of_port(number, name) {
            format!("provided port is already allocated, to Service {namespace}/{holder}")
        } else {
            return Ok(());
        };
        Err(Refusal {
            field: format!("spec.ports[{index}].nodePort"),
            message: format!("Invalid value: {number}: {why}"),
        })
    }

    /// The port that it had, or a free one; none of its `own` others.
    pub(super) fn free_port(
        &self,
        name: &ServiceName,
        key: &str,
        kept: Option<u16>,
        own: &BTreeSet<u16>,
    ) -> Result<u16, Refusal> {
        let range = &self.ranges.node_ports;
        let is_free = |number: &u16| {
            let is_reserved = self.ranges.reserved_node_ports.contains(number) || own.contains(number);
            !is_reserved && self.holder_of_port(*number, name).is_none()
        };
        if let Some(kept) = kept.filter(|kept| range.contains(kept) && is_free(kept)) {
            return Ok(kept);
        }
        let count = u64::try_from(range.len()).unwrap_or_default();
        let seed = seed(&[name.0.as_str(), name.1.as_str(), key]);
        let mut ports = places(count, band(count, 32, 128), seed)
            .filter_map(|place| u16::try_from(u64::from(*range.start()) + place).ok());
        let found = ports.find(is_free);
        found.ok_or_else(|| Refusal {
            field: "spec.ports".to_owned(),
            message: "failed to allocate a nodePort: range is full".to_owned(),
        })
    }
}

/// Addresses of a range that a Service can have: neither its first, nor the last of an IPv4 one.
fn usable_count(range: Cidr) -> u64 {
    let width: u8 = if range.is_ipv4() { 32 } else { 128 };
    let all = 1_u128
        .checked_shl(u32::from(width - range.prefix()))
        .unwrap_or(u128::MAX);
    let usable = all.saturating_sub(if range.is_ipv4() { 2 } else { 1 });
    u64::try_from(usable.min(MOST_ADDRESSES)).unwrap_or(u64::MAX)
}

fn is_usable(range: Cidr, address: IpAddr) -> bool {
    let is_edge = address == range.first() || range.is_ipv4() && address == range.last();
    range.contains(address) && !is_edge
}

/// How much of a range is kept for wishes, as Kubernetes reckons it: a `step`-th, 16 at least and `most` at most;
/// nothing of a range of 16 or less.
fn band(count: u64, step: u64, most: u64) -> u64 {
    if count <= 16 {
        0
    } else {
        (count / step).clamp(16, most)
    }
}

/// All places of a range: those above the band first, from where the seed points to.
fn places(count: u64, band: u64, seed: u64) -> impl Iterator<Item = u64> {
    let above = count - band;
    let from_seed = (0..above).map(move |step| band + (seed % above + step) % above);
    from_seed.chain(0..band)
}

fn seed(parts: &[&str]) -> u64 {
    let hash = Sha256::digest(parts.join("/").as_bytes());
    hash.iter()
        .take(8)
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}
