//! What the node gives to Services: cluster addresses and ports of its own.
//!
//! - What a Service has it keeps, as long as the manifest asks for nothing else and the ranges have it.
//! - A manifest's own wish is granted or refused in Kubernetes' words; a Service that is refused gets nothing.
//! - What is given freely lies where the Service's name points to, above the part of the range that
//!   Kubernetes keeps for wishes: the same manifests get the same addresses, on every node.
//! - Addresses in [`ServiceRanges::reserved`] are nobody's.

mod books;
mod families;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use pinnace_api::Service;
use pinnace_api::service::{IpFamily, ServiceKind, ServicePort};

use super::inputs::{ServiceAllocations, ServiceName, ServiceRanges};
use crate::ports::ServiceAllocation;
use books::Books;

pub(super) use families::families;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Allocated {
    /// Every Service that can be served, those without addresses too.
    pub allocations: ServiceAllocations,
    /// What is to be recorded before any of them is served: the same, and what the others had; until their
    /// manifests are put right, nobody else is given it, but for what they ask to change.
    pub record: ServiceAllocations,
    /// Why the others cannot.
    pub problems: Vec<AllocationProblem>,
}

/// Why a Service is not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllocationProblem {
    /// The Service.
    pub service: ServiceName,
    /// The field, `spec.clusterIPs`, say.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

/// Something that cannot be given.
#[derive(Debug)]
pub(super) struct Refusal {
    field: String,
    message: String,
}

/// Gives every Service what it needs; `before` is the record of the last time.
pub fn allocate<'s>(
    services: impl IntoIterator<Item = &'s Service>,
    before: &ServiceAllocations,
    ranges: &ServiceRanges,
) -> Allocated {
    let named: BTreeMap<ServiceName, &Service> = services
        .into_iter()
        .map(|service| {
            (
                (service.meta.namespace.clone(), service.meta.name.clone()),
                service,
            )
        })
        .collect();
    let mut books = Books::new(&named, before, ranges);
    let mut allocated = Allocated::default();
    // Wishes first: what is given freely can lie anywhere.
    let (wishing, others): (Vec<_>, Vec<_>) = named.iter().partition(|(_, service)| has_wish(service));
    for (name, service) in wishing.into_iter().chain(others) {
        match give(name, service, before.get(name), &mut books) {
            Ok(given) => {
                allocated.allocations.insert(name.clone(), given);
            }
            Err(Refusal { field, message }) => allocated.problems.push(AllocationProblem {
                service: name.clone(),
                field,
                message,
            }),
        }
    }
    for problem in &allocated.problems {
        let name = &problem.service;
        let had = before
            .get(name)
            .map(|had| (name.clone(), books.left_of(name, had)));
        allocated.record.extend(had);
    }
    let given = allocated.allocations.iter();
    allocated
        .record
        .extend(given.map(|(name, given)| (name.clone(), given.clone())));
    allocated
        .problems
        .sort_by(|one, other| one.service.cmp(&other.service));
    allocated
}

/// The name that a Service's port has among the node ports given: `TCP/80`.
pub(super) fn port_key(port: &ServicePort) -> String {
    format!("{}/{}", port.protocol.as_str(), port.port)
}

/// The addresses that the manifest asks for; `None` of a Service that has none.
fn wished(service: &Service) -> Option<&[IpAddr]> {
    match &service.spec.kind {
        ServiceKind::ClusterIp { addresses } | ServiceKind::NodePort { addresses } => Some(addresses),
        ServiceKind::Headless | ServiceKind::ExternalName(_) => None,
    }
}

fn has_node_ports(service: &Service) -> bool {
    matches!(service.spec.kind, ServiceKind::NodePort { .. })
}

fn has_wish(service: &Service) -> bool {
    let wishes_port =
        has_node_ports(service) && service.spec.ports.iter().any(|port| port.node_port.is_some());
    wishes_port || wished(service).is_some_and(|addresses| !addresses.is_empty())
}

/// All that one Service gets, or nothing of it.
fn give<'b>(
    name: &'b ServiceName,
    service: &Service,
    before: Option<&ServiceAllocation>,
    books: &mut Books<'b>,
) -> Result<ServiceAllocation, Refusal> {
    let mut given = ServiceAllocation::default();
    if matches!(service.spec.kind, ServiceKind::ExternalName(_)) {
        return Ok(given);
    }
    let families = families(&service.spec, &books.ranges.cluster)?;
    if let Some(wished) = wished(service) {
        for (index, family) in families.iter().enumerate() {
            let address = match wished.get(index) {
                Some(address) => books.wish_address(name, *address, wished)?,
                None => books.free_address(name, *family, kept_address(before, *family))?,
            };
            given.cluster_ips.push(address);
        }
    }
    if has_node_ports(service) {
        given.node_ports = node_ports(name, service, before, books)?;
    }
    books.enter(name, &given);
    Ok(given)
}

fn kept_address(before: Option<&ServiceAllocation>, family: IpFamily) -> Option<IpAddr> {
    let mut addresses = before?.cluster_ips.iter().copied();
    addresses.find(|address| IpFamily::of(*address) == family)
}

fn node_ports<'b>(
    name: &'b ServiceName,
    service: &Service,
    before: Option<&ServiceAllocation>,
    books: &Books<'b>,
) -> Result<BTreeMap<String, u16>, Refusal> {
    let ports = &service.spec.ports;
    let mut given = BTreeMap::new();
    let mut own = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        if let Some(wish) = port.node_port {
            books.wish_port(name, wish, index)?;
            given.insert(port_key(port), wish);
            own.insert(wish);
        }
    }
    for port in ports.iter().filter(|port| port.node_port.is_none()) {
        let key = port_key(port);
        // A port that is served by two protocols has one number for both, as in a cluster.
        let twin = ports.iter().filter(|other| other.port == port.port);
        let twin = twin
            .filter_map(|other| given.get(&port_key(other)).copied())
            .next();
        let kept = before.and_then(|before| before.node_ports.get(&key).copied());
        let number = match twin {
            Some(number) => number,
            None => books.free_port(name, &key, kept, &own)?,
        };
        own.insert(number);
        given.insert(key, number);
    }
    Ok(given)
}
