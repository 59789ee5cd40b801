//! How many boxes there may be, and who goes without them where there are more.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use pinnace_api::{Namespace, ObjectName};

use super::boxes::{PeerBox, TooMany};
use super::compiled::Compiled;
use super::with_itself;
use crate::network::inputs::PodOnNetwork;
use crate::network::tables::{Direction, Excess, PolicyTable, RefusedPolicy};

/// The most boxes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Of one address of a pod in one direction.
    pub(super) of_pod: usize,
    /// Of all together.
    pub(super) of_node: usize,
}

impl Default for Limits {
    /// The kernel copies a set of ranges whenever one of them changes: with 64,000 a change takes a tenth of a second,
    /// and laying all of them down five.
    fn default() -> Self {
        Self {
            of_pod: 8 * 1024,
            of_node: 64 * 1024,
        }
    }
}

/// What a pod is to be allowed in a direction, all of it or nothing.
pub(super) struct Grant<'g> {
    pub(super) pod: &'g PodOnNetwork,
    pub(super) direction: Direction,
    /// Of each of its addresses.
    pub(super) boxes: Result<Vec<Rc<[PeerBox]>>, TooMany>,
    /// Those that select the pod in this direction.
    pub(super) policies: Vec<&'g Compiled<'g>>,
}

impl Grant<'_> {
    fn count(&self) -> usize {
        let of_all = |boxes: &Vec<Rc<[PeerBox]>>| boxes.iter().map(|one| one.len()).sum();
        self.boxes.as_ref().map_or(usize::MAX, of_all)
    }
}

/// A policy's name, or a pod's.
type Name = (Namespace, ObjectName);

/// Policies with what is too many of them and the pods that go without.
type Refused = BTreeMap<Name, (Excess, BTreeSet<Name>)>;

/// Puts what is granted into the table, and who is refused. The smallest come first, so that one with a great many
/// takes nothing from the others.
pub(super) fn grant(mut grants: Vec<Grant<'_>>, limits: Limits, table: &mut PolicyTable) {
    grants.sort_by_key(Grant::count);
    let mut left = limits.of_node;
    let mut refused = Refused::new();
    for grant in &grants {
        let (boxes, excess) = match &grant.boxes {
            Ok(boxes) if grant.count() <= left => {
                left -= grant.count();
                (boxes.as_slice(), None)
            }
            Ok(_) => {
                let limit = limits.of_node;
                (&[][..], Some(Excess::OfNode { limit }))
            }
            Err(TooMany) => {
                let limit = limits.of_pod;
                (&[][..], Some(Excess::OfPod { limit }))
            }
        };
        for (place, address) in grant.pod.addresses.iter().enumerate() {
            let boxes = boxes.get(place).map_or(&[][..], |boxes| boxes);
            table
                .allowed
                .extend(with_itself(boxes, grant.direction, *address));
        }
        if let Some(excess) = excess {
            refuse(&mut refused, grant, excess);
        }
    }
    let told = refused.into_iter().filter_map(|(policy, (excess, pods))| {
        let others = pods.len().saturating_sub(1);
        let pod = pods.into_iter().next()?;
        Some((policy, RefusedPolicy { excess, pod, others }))
    });
    table.refused = told.collect();
}

/// Names the policies that allow anything in this direction; one that only isolates is not to blame.
fn refuse(refused: &mut Refused, grant: &Grant<'_>, excess: Excess) {
    let blamed = grant.policies.iter().filter(|one| one.allows(grant.direction));
    for compiled in blamed {
        let meta = &compiled.policy.meta;
        let name = (meta.namespace.clone(), meta.name.clone());
        let (_, pods) = refused.entry(name).or_insert((excess, BTreeSet::new()));
        let meta = &grant.pod.pod.meta;
        pods.insert((meta.namespace.clone(), meta.name.clone()));
    }
}
