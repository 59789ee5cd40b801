//! Services as elements.

use std::net::IpAddr;

use pinnace_api::pod::Protocol;
use pinnace_core::network::{Endpoint, PortEntry, ServiceEntry, ServiceForm, ServiceTable};

use super::chains::{EXACT, SLOTS};
use super::element::{Chain, Concat, Data};
use super::set::{Kind, Set};
use super::state::Tables;

/// The elements of all Services. Where two claim one address and port, the first keeps it.
pub(super) fn elements(table: &ServiceTable) -> Tables {
    let mut tables = Tables::new();
    for service in table.services.values() {
        match service.form {
            ServiceForm::Headless | ServiceForm::ExternalName(_) => continue,
            ServiceForm::ClusterIp | ServiceForm::NodePort => {}
        }
        for port in &service.ports {
            of_port(&mut tables, service, port);
        }
        for address in &service.external_ips {
            let key = Concat::of(*address);
            put(&mut tables, Kind::External, address.is_ipv4(), key, Data::Member);
        }
    }
    tables
}

/// For how many seconds clients are remembered, of all Services.
pub(super) fn timeouts(table: &ServiceTable) -> impl Iterator<Item = u32> {
    table.services.values().filter_map(seconds)
}

fn seconds(service: &ServiceEntry) -> Option<u32> {
    let affinity = service.client_ip_affinity?;
    Some(u32::try_from(affinity.as_secs()).unwrap_or(u32::MAX).max(1))
}

fn of_port(tables: &mut Tables, service: &ServiceEntry, port: &PortEntry) {
    for v4 in [true, false] {
        let of_family = |endpoint: &&Endpoint| endpoint.serving && endpoint.address.is_ipv4() == v4;
        let endpoints: Vec<&Endpoint> = port.endpoints.iter().filter(of_family).collect();
        let addresses = service.cluster_ips.iter().chain(&service.external_ips);
        for address in addresses.filter(|address| address.is_ipv4() == v4) {
            let front = Concat::of(*address).protocol(port.protocol).port(port.port);
            let kinds = [Kind::Services, Kind::Endpoints, Kind::Affine];
            lead(
                tables,
                kinds,
                v4,
                front,
                &endpoints,
                Chain::Endpoints,
                seconds(service),
            );
        }
        let has_family = service.cluster_ips.iter().any(|address| address.is_ipv4() == v4);
        if let (Some(node_port), true) = (port.node_port, has_family) {
            let front = node_front(port.protocol, node_port);
            let kinds = [Kind::NodePorts, Kind::NodeEndpoints, Kind::AffineNodes];
            lead(
                tables,
                kinds,
                v4,
                front,
                &endpoints,
                Chain::NodeEndpoints,
                seconds(service),
            );
        }
    }
}

fn node_front(protocol: Protocol, port: u16) -> Concat {
    Concat::default().protocol(protocol).port(port)
}

/// Leads what comes to `front` to one of the endpoints.
fn lead(
    tables: &mut Tables,
    [fronts, slots_of, affine]: [Kind; 3],
    v4: bool,
    front: Concat,
    endpoints: &[&Endpoint],
    chain: fn(u32) -> Chain,
    affinity: Option<u32>,
) {
    let count = slots(endpoints.len());
    let target = if count == 0 { Chain::Refuse } else { chain(count) };
    if !put(tables, fronts, v4, front.clone(), Data::Goto(target)) {
        return;
    }
    for (slot, endpoint) in (0..count).zip(endpoints.iter().cycle()) {
        let value = Data::Value(value(endpoint.address, endpoint.port));
        put(tables, slots_of, v4, front.clone().index(slot), value);
    }
    if let (Some(seconds), true) = (affinity, count > 0) {
        put(tables, affine, v4, front, Data::Goto(Chain::Affinity(seconds)));
    }
}

/// An address and a port, as maps lead to them.
pub(super) fn value(address: IpAddr, port: u16) -> Concat {
    Concat::of(address).port(port)
}

/// How many slots so many endpoints take.
fn slots(endpoints: usize) -> u32 {
    let [_, most] = SLOTS;
    let count = u32::try_from(endpoints).unwrap_or(most).min(most);
    if count <= EXACT {
        return count;
    }
    SLOTS.into_iter().find(|slots| count <= *slots).unwrap_or(most)
}

/// Answers false where the key is taken.
fn put(tables: &mut Tables, kind: Kind, v4: bool, key: Concat, data: Data) -> bool {
    let elements = tables.entry(Set { kind, v4 }).or_default();
    match elements.entry(key.into()) {
        std::collections::btree_map::Entry::Vacant(vacant) => {
            vacant.insert(data.into());
            true
        }
        std::collections::btree_map::Entry::Occupied(_) => false,
    }
}
