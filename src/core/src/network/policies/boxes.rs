//! Overlapping peers and ports to boxes that lie apart.
//!
//! A line is swept over the peers' addresses; between two ends of ranges the same parts are in force, and their
//! ports are laid together. Neighbours with the same ports become one box.

use std::collections::{BTreeMap, BTreeSet};

use pinnace_api::pod::Protocol;

use super::compiled::Part;
use super::ranges::{Range, merged, merged_peers};

/// Peers and ports that are allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PeerBox {
    pub(super) peers: Range,
    /// `None`: every protocol, on every port.
    pub(super) protocol: Option<Protocol>,
    pub(super) ports: (u16, u16),
}

impl PeerBox {
    pub(super) fn everything(peers: Range) -> Self {
        Self {
            peers,
            protocol: None,
            ports: (0, u16::MAX),
        }
    }
}

/// The most that is compared to find the boxes of one pod: overlapping parts, summed over the places where any of them
/// begins or ends.
const OVERLAPS_MAX: usize = 1 << 20;

/// More than there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany;

/// All that the parts allow; no two boxes of a protocol overlap, nor does one with those of every protocol. It stops
/// where it finds more than `limit`.
pub(super) fn boxes<'p>(
    parts: impl Iterator<Item = &'p Part>,
    limit: usize,
) -> Result<Vec<PeerBox>, TooMany> {
    let mut everything = Vec::new();
    let mut by_protocol: BTreeMap<Protocol, Vec<Strip<'p>>> = BTreeMap::new();
    for part in parts {
        let mut ports: BTreeMap<Protocol, Vec<(u16, u16)>> = BTreeMap::new();
        for (protocol, range) in &part.ports {
            match protocol {
                None => everything.extend_from_slice(&part.peers),
                Some(protocol) => ports.entry(*protocol).or_default().push(*range),
            }
        }
        for (protocol, ports) in ports {
            let peers = part.peers.as_slice();
            by_protocol
                .entry(protocol)
                .or_default()
                .push(Strip { peers, ports });
        }
    }
    let everything = merged_peers(everything);
    let mut found: Vec<PeerBox> = everything.iter().copied().map(PeerBox::everything).collect();
    for (protocol, strips) in by_protocol {
        for (peers, ports) in sweep(&strips, &everything, limit)? {
            let of_ports = |ports| PeerBox {
                peers,
                protocol: Some(protocol),
                ports,
            };
            found.extend(ports.into_iter().map(of_ports));
        }
    }
    if found.len() > limit {
        return Err(TooMany);
    }
    Ok(found)
}

/// Peers with ports of one protocol.
struct Strip<'p> {
    peers: &'p [Range],
    ports: Vec<(u16, u16)>,
}

type Ports = Vec<(u16, u16)>;

/// Ranges of peers in their order, each with the ports of all strips there; nothing where `covered` lies.
fn sweep(strips: &[Strip<'_>], covered: &[Range], limit: usize) -> Result<Vec<(Range, Ports)>, TooMany> {
    // Where a strip begins and where it is past, in the order of addresses.
    let mut turns: BTreeMap<u128, Vec<usize>> = BTreeMap::new();
    let all = strips.iter().map(|strip| strip.peers).chain([covered]);
    for (index, peers) in all.enumerate() {
        for (first, last) in peers {
            turns.entry(*first).or_default().push(index);
            if let Some(past) = last.checked_add(1) {
                turns.entry(past).or_default().push(index);
            }
        }
    }
    let mut known: BTreeMap<Vec<usize>, Ports> = BTreeMap::new();
    let mut active: BTreeSet<usize> = BTreeSet::new();
    let mut found: Vec<(Range, Ports)> = Vec::new();
    let (mut boxes, mut overlaps) = (0, 0);
    let mut places = turns.into_iter().peekable();
    while let Some((from, turning)) = places.next() {
        for index in turning {
            if !active.remove(&index) {
                active.insert(index);
            }
        }
        if active.is_empty() || active.contains(&strips.len()) {
            continue;
        }
        overlaps += active.len();
        if overlaps > OVERLAPS_MAX {
            return Err(TooMany);
        }
        let last = places.peek().map_or(u128::MAX, |(next, _)| next - 1);
        let key: Vec<usize> = active.iter().copied().collect();
        let ports = known.entry(key).or_insert_with_key(|key| together(strips, key));
        match found.last_mut() {
            Some((before, same)) if before.1.checked_add(1) == Some(from) && same == ports => before.1 = last,
            _ => {
                boxes += ports.len();
                if boxes > limit {
                    return Err(TooMany);
                }
                found.push(((from, last), ports.clone()));
            }
        }
    }
    Ok(found)
}

fn together(strips: &[Strip<'_>], active: &[usize]) -> Ports {
    let strips = active.iter().filter_map(|index| strips.get(*index));
    let ports = strips.flat_map(|strip| &strip.ports).copied().collect();
    merged(ports, |last: u16| last.checked_add(1))
}
