//! A pod's own elements: its sources, the detour to itself, its host ports.

use std::net::IpAddr;

use pinnace_api::PodUid;
use pinnace_core::network::PodAddresses;

use super::element::{Concat, Data, Elements, Entry, Key, number};
use super::set::{self, Kind, OF_PODS, Set};
use super::state::{Edit, State, Tables};
use super::{HostPort, RulesError, services};

/// What every pod with these addresses has.
pub(super) fn common(uid: &PodUid, addresses: &PodAddresses, link: &str) -> Tables {
    let mut tables = Tables::new();
    for address in addresses.list() {
        let source = Concat::default().link(link).address(address);
        put(&mut tables, Kind::Sources, address, source, uid, Data::Member);
        let detour = Concat::of(address).address(address);
        put(&mut tables, Kind::Hairpin, address, detour, uid, Data::Member);
    }
    tables
}

/// All that this pod is to have.
pub(super) fn wanted(uid: &PodUid, addresses: &PodAddresses, link: &str, host_ports: &[HostPort]) -> Tables {
    let mut tables = common(uid, addresses, link);
    for port in host_ports {
        for address in addresses.list() {
            let host = port.host_ip.filter(|ip| !ip.is_unspecified());
            // `0.0.0.0` and `::` are all addresses, of their own family.
            let family = port.host_ip.is_none_or(|ip| ip.is_ipv4() == address.is_ipv4());
            if !family {
                continue;
            }
            let (kind, key) = match host {
                Some(host) => (Kind::HostPorts, Concat::of(host)),
                None => (Kind::HostPortsAny, Concat::default()),
            };
            let key = key.protocol(port.protocol).port(port.host_port);
            let value = Data::Value(services::value(address, port.container_port));
            put(&mut tables, kind, address, key, uid, value);
        }
    }
    tables
}

fn put(tables: &mut Tables, kind: Kind, like: IpAddr, key: Concat, uid: &PodUid, data: Data) {
    let set = Set {
        kind,
        v4: like.is_ipv4(),
    };
    let entry = Entry {
        data,
        owner: Some(uid.as_str().to_owned()),
    };
    tables.entry(set).or_default().insert(key.into(), entry);
}

/// What is to be done for the pod to have that, and nothing else.
pub(super) fn edits(state: &mut State, uid: &PodUid, wanted: &Tables) -> Result<Vec<Edit>, RulesError> {
    let mut edits = Vec::new();
    let nothing = Elements::new();
    for set in set::both(&OF_PODS) {
        let known = state.elements(set)?;
        let wanted = wanted.get(&set).unwrap_or(&nothing);
        let stale = known
            .iter()
            .filter(|(key, entry)| is_owned(entry, uid) && !wanted.contains_key(key));
        edits.extend(stale.map(|(key, _)| Edit {
            set,
            key: key.clone(),
            entry: None,
        }));
        for (key, entry) in wanted {
            match known.get(key) {
                Some(there) if there == entry => continue,
                Some(there) if !is_owned(there, uid) => refuse_taken(set, key, there)?,
                _ => {}
            }
            edits.push(Edit {
                set,
                key: key.clone(),
                entry: Some(entry.clone()),
            });
        }
    }
    Ok(edits)
}

pub(super) fn is_owned(entry: &Entry, uid: &PodUid) -> bool {
    entry.owner.as_deref() == Some(uid.as_str())
}

/// A host port has one holder. Addresses have one by their lease: what another left of them is taken over.
fn refuse_taken(set: Set, key: &Key, there: &Entry) -> Result<(), RulesError> {
    if !matches!(set.kind, Kind::HostPorts | Kind::HostPortsAny) {
        return Ok(());
    }
    Err(RulesError::HostPortTaken {
        port: port_text(key),
        holder: there.owner.clone().unwrap_or_default(),
    })
}

/// The last two fields of a key, as `TCP/80`.
fn port_text(key: &Key) -> String {
    use pinnace_api::pod::Protocol;
    let fields = key.first.0.last_chunk::<8>().copied().unwrap_or_default();
    let [protocol, _, _, _, high, low, _, _] = fields;
    let name = match protocol {
        of if of == number(Protocol::Tcp) => "TCP",
        of if of == number(Protocol::Udp) => "UDP",
        _ => "SCTP",
    };
    format!("{name}/{}", u16::from_be_bytes([high, low]))
}
