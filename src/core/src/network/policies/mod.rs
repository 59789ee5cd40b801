//! NetworkPolicies and pods to what each isolated pod may hear and say.
//!
//! - A pod is isolated in a direction where any policy of its namespace selects it for that direction; then all
//!   is allowed that any of those policies' rules allows, and what the pod says to itself.
//! - Pods in the host's network are neither isolated nor peers: their address is the node's.
//! - A named port is looked up in the pod that receives the traffic; where nobody names it, it allows nothing.
//! - The boxes of a pod that is selected as another was are reckoned once for both.

mod boxes;
mod compiled;
mod ranges;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;

use pinnace_api::service::IpFamily;
use pinnace_api::{Namespace, NetworkPolicy};

use super::inputs::{NamespaceLabels, PodOnNetwork};
use super::tables::{Allowed, Direction, PolicyTable};
use boxes::{PeerBox, boxes};
use compiled::{Compiled, Part, World};

/// What is allowed to and from the isolated pods.
pub fn policy_table<'p>(
    policies: impl IntoIterator<Item = &'p NetworkPolicy>,
    pods: &[PodOnNetwork],
    namespaces: &NamespaceLabels,
) -> PolicyTable {
    let world = World::of(pods, namespaces);
    let mut by_namespace: BTreeMap<&Namespace, Vec<Compiled<'_>>> = BTreeMap::new();
    for policy in policies {
        let compiled = Compiled::of(policy, &world);
        by_namespace
            .entry(&policy.meta.namespace)
            .or_default()
            .push(compiled);
    }
    let mut maker = Maker::default();
    for one in world.pods() {
        let meta = &one.pod.meta;
        let policies = by_namespace
            .get(&meta.namespace)
            .map(Vec::as_slice)
            .unwrap_or_default();
        for direction in [Direction::Ingress, Direction::Egress] {
            let selected = policies.iter().enumerate().filter(|(_, compiled)| {
                compiled.isolates(direction) && compiled.policy.pod_selector.matches(&meta.labels)
            });
            let selected: Vec<_> = selected.collect();
            if !selected.is_empty() {
                maker.isolate(one, direction, &selected);
            }
        }
    }
    maker.table
}

/// What boxes depend on: the direction, the family, the policies, and the ports that names stand for.
type Key<'k> = (Direction, IpFamily, &'k Namespace, Vec<usize>, Vec<Part>);

#[derive(Default)]
struct Maker<'k> {
    table: PolicyTable,
    known: BTreeMap<Key<'k>, Vec<PeerBox>>,
}

impl<'k> Maker<'k> {
    fn isolate(&mut self, one: &'k PodOnNetwork, direction: Direction, selected: &[(usize, &Compiled<'_>)]) {
        let indices: Vec<usize> = selected.iter().map(|(index, _)| *index).collect();
        for address in &one.addresses {
            let isolated = match direction {
                Direction::Ingress => &mut self.table.ingress_isolated,
                Direction::Egress => &mut self.table.egress_isolated,
            };
            isolated.insert(*address);
            let family = IpFamily::of(*address);
            let named: Vec<Part> = match direction {
                Direction::Ingress => {
                    let named = selected
                        .iter()
                        .flat_map(|(_, compiled)| compiled.named_in(one, family));
                    named.collect()
                }
                Direction::Egress => Vec::new(),
            };
            let namespace = &one.pod.meta.namespace;
            let key = (direction, family, namespace, indices.clone(), named);
            let found = self.known.entry(key).or_insert_with_key(|(.., named)| {
                let parts = selected
                    .iter()
                    .flat_map(|(_, compiled)| compiled.parts(direction, family));
                boxes(parts.chain(named))
            });
            self.table.allowed.extend(with_itself(found, direction, *address));
        }
    }
}

/// The boxes of the pod, with all that it says to itself.
fn with_itself(found: &[PeerBox], direction: Direction, pod: IpAddr) -> Vec<Allowed> {
    let itself = ranges::of_address(pod);
    let is_allowed =
        |one: &PeerBox| one.protocol.is_none() && one.peers.0 <= itself.0 && itself.1 <= one.peers.1;
    let of_box = |one: &PeerBox| Allowed {
        direction,
        pod,
        peer_first: ranges::address(pod, one.peers.0),
        peer_last: ranges::address(pod, one.peers.1),
        protocol: one.protocol,
        port_first: one.ports.0,
        port_last: one.ports.1,
    };
    let mut allowed: Vec<Allowed> = found.iter().map(of_box).collect();
    if !found.iter().any(is_allowed) {
        allowed.push(of_box(&PeerBox::everything(itself)));
    }
    allowed
}
