//! UDP flows that the rules no longer lead where they went: connection tracking would keep them there for as long
//! as the client goes on, so they are ended when their way changes.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use pinnace_api::pod::Protocol;

use super::conntrack::{self, Flow};
use super::element::{Concat, Data, Elements, Key, leads_to, number};
use super::services::value;
use super::set::{Kind, Set};
use super::state::{Edit, State};

/// Maps by which packets find their way, and how many of their keys' last bytes are not of the front.
const WAYS: [(Kind, usize); 6] = [
    (Kind::Services, 0),
    (Kind::Endpoints, 4),
    (Kind::HostPorts, 0),
    (Kind::NodePorts, 0),
    (Kind::NodeEndpoints, 4),
    (Kind::HostPortsAny, 0),
];

/// Ends those that the edits, which are carried out, leave without their way. What is there is right without it,
/// so a failure is only told.
pub(super) fn end_stale(state: &mut State, edits: &[Edit]) {
    for v4 in [true, false] {
        let fronts = fronts(edits, v4);
        if fronts.is_empty() {
            continue;
        }
        let ended = state.talk(|state, socket| {
            let stale = |flow: &Flow| is_stale(state, &fronts, flow);
            conntrack::end_udp(socket, v4, common_port(&fronts), stale)
        });
        if let Err(error) = ended {
            let cause = error.source.to_string();
            tracing::warn!(%error, cause, "UDP flows to former endpoints may go on");
        }
    }
}

/// The UDP fronts (address, protocol, port) and (protocol, port) of which anything changed.
fn fronts(edits: &[Edit], v4: bool) -> BTreeSet<Concat> {
    let of = |edit: &Edit| {
        let (_, without) = WAYS.iter().find(|(kind, _)| *kind == edit.set.kind)?;
        let key = &edit.key.first.0;
        let front = Concat(key.get(..key.len().checked_sub(*without)?)?.to_vec());
        let is_udp = front.0.iter().nth_back(7) == Some(&number(Protocol::Udp));
        (edit.set.v4 == v4 && is_udp).then_some(front)
    };
    edits.iter().filter_map(of).collect()
}

/// The destination port of all fronts, where it is one.
fn common_port(fronts: &BTreeSet<Concat>) -> Option<u16> {
    let port = |front: &Concat| {
        let [high, low, _, _] = front.0.last_chunk::<4>().copied().unwrap_or_default();
        u16::from_be_bytes([high, low])
    };
    let ports: BTreeSet<u16> = fronts.iter().map(port).collect();
    match (ports.first(), ports.len()) {
        (Some(port), 1) => Some(*port),
        _ => None,
    }
}

fn is_stale(state: &State, fronts: &BTreeSet<Concat>, flow: &Flow) -> bool {
    let v4 = flow.to.is_ipv4();
    let of_node = Concat::default().protocol(Protocol::Udp).port(flow.to.port());
    let of_address = Concat::of(flow.to.ip())
        .protocol(Protocol::Udp)
        .port(flow.to.port());
    let known = |kind| state.seen(Set { kind, v4 });
    let leads = |kind| known(kind).is_some_and(|known| known.contains_key(&Key::from(of_address.clone())));
    if fronts.contains(&of_address) {
        return !is_endpoint(known(Kind::Endpoints), &of_address, flow.answered_by)
            && !is_endpoint(known(Kind::HostPorts), &of_address, flow.answered_by);
    }
    // An address with a way of its own does not take the node's.
    if !fronts.contains(&of_node) || leads(Kind::Services) || leads(Kind::HostPorts) {
        return false;
    }
    // What was not led anywhere is another's flow, but if it came to this host.
    (flow.answered_by != flow.to || is_of_host(flow.to.ip()))
        && !is_endpoint(known(Kind::NodeEndpoints), &of_node, flow.answered_by)
        && !is_endpoint(known(Kind::HostPortsAny), &of_node, flow.answered_by)
}

fn is_endpoint(elements: Option<&Elements>, front: &Concat, endpoint: SocketAddr) -> bool {
    leads_to(
        elements,
        &front.0,
        &Data::Value(value(endpoint.ip(), endpoint.port())),
    )
}

/// Only addresses of the host can be bound.
fn is_of_host(address: IpAddr) -> bool {
    UdpSocket::bind(SocketAddr::new(address, 0)).is_ok()
}
