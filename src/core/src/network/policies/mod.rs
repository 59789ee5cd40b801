//! NetworkPolicies and pods to what each isolated pod may hear and say.
//!
//! - A pod is isolated in a direction where any policy of its namespace selects it for that direction; then all
//!   is allowed that any of those policies' rules allows, and what the pod says to itself.
//! - Pods in the host's network are neither isolated nor peers: their address is the node's.
//! - A named port is looked up in the pod that receives the traffic; where nobody names it, it allows nothing.
//! - The boxes of a pod that is selected as another was are reckoned once for both.
//! - There are limits to how many boxes a pod may have, and all together. Past them a pod stays isolated and is allowed
//!   nothing but itself, those with the most boxes first, and the policies that allow so much are named.

mod boxes;
mod compiled;
mod limits;
mod ranges;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;

use pinnace_api::service::IpFamily;
use pinnace_api::{Namespace, NetworkPolicy};

use super::inputs::{NamespaceLabels, PodOnNetwork};
use super::tables::{Allowed, Direction, PolicyTable};
use boxes::{PeerBox, TooMany, boxes};
use compiled::{Compiled, Part, World};
use limits::{Grant, Limits};

/// What is allowed to and from the isolated pods.
pub fn policy_table<'p>(
    policies: impl IntoIterator<Item = &'p NetworkPolicy>,
    pods: &[PodOnNetwork],
    namespaces: &NamespaceLabels,
) -> PolicyTable {
    table_within(policies, pods, namespaces, Limits::default())
}

fn table_within<'p>(
    policies: impl IntoIterator<Item = &'p NetworkPolicy>,
    pods: &[PodOnNetwork],
    namespaces: &NamespaceLabels,
    limits: Limits,
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
    let mut maker = Maker::new(limits);
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
    maker.finish()
}

/// What boxes depend on: the direction, the family, the policies, and the ports that names stand for.
type Key<'k> = (Direction, IpFamily, &'k Namespace, Vec<usize>, Vec<Part>);

struct Maker<'k> {
    table: PolicyTable,
    limits: Limits,
    known: BTreeMap<Key<'k>, Result<Rc<[PeerBox]>, TooMany>>,
    grants: Vec<Grant<'k>>,
}

impl<'k> Maker<'k> {
    fn new(limits: Limits) -> Self {
        Self {
            table: PolicyTable::default(),
            limits,
            known: BTreeMap::new(),
            grants: Vec::new(),
        }
    }

    fn isolate(
        &mut self,
        one: &'k PodOnNetwork,
        direction: Direction,
        selected: &[(usize, &'k Compiled<'k>)],
    ) {
        let isolated = match direction {
            Direction::Ingress => &mut self.table.ingress_isolated,
            Direction::Egress => &mut self.table.egress_isolated,
        };
        isolated.extend(&one.addresses);
        let addresses = one.addresses.iter();
        let boxes = addresses
            .map(|address| self.boxes(one, IpFamily::of(*address), direction, selected))
            .collect();
        self.grants.push(Grant {
            pod: one,
            direction,
            boxes,
            policies: selected.iter().map(|(_, compiled)| *compiled).collect(),
        });
    }

    /// What the policies allow to an address of this family.
    fn boxes(
        &mut self,
        one: &'k PodOnNetwork,
        family: IpFamily,
        direction: Direction,
        selected: &[(usize, &'k Compiled<'k>)],
    ) -> Result<Rc<[PeerBox]>, TooMany> {
        let indices: Vec<usize> = selected.iter().map(|(index, _)| *index).collect();
        let named: Vec<Part> = match direction {
            Direction::Ingress => {
                let named = selected
                    .iter()
                    .flat_map(|(_, compiled)| compiled.named_in(one, family));
                named.collect()
            }
            Direction::Egress => Vec::new(),
        };
        let limit = self.limits.of_pod;
        let key = (direction, family, &one.pod.meta.namespace, indices, named);
        let found = self.known.entry(key).or_insert_with_key(|(.., named)| {
            let parts = selected
                .iter()
                .flat_map(|(_, compiled)| compiled.parts(direction, family));
            boxes(parts.chain(named), limit).map(Rc::from)
        });
        found.clone()
    }

    fn finish(self) -> PolicyTable {
        let mut table = self.table;
        limits::grant(self.grants, self.limits, &mut table);
        table
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
