//! The pods that have a worker.

use std::collections::BTreeMap;
use std::sync::Arc;

use pinnace_api::{ObjectKey, Pod, PodUid};
use pinnace_core::admission::Accounted;
use pinnace_core::pod::{Desired, PodIdentity};
use pinnace_core::time::BootMillis;
use tokio::sync::watch;

use super::PodName;

/// One pod and the order that its worker follows.
pub(super) struct Entry {
    /// As it was written when the pod was taken.
    pub identity: PodIdentity,
    /// The pod as admitted.
    pub pod: Arc<Pod>,
    /// What it counts for against the node.
    pub accounted: Accounted,
    /// When it was admitted or adopted.
    pub admitted_at: BootMillis,
    /// The order.
    pub desired: watch::Sender<Desired>,
    /// When a taint that the pod bears for a while ends it.
    pub evict_at: Option<BootMillis>,
}

impl Entry {
    /// Whether the pod is on its way out.
    pub fn is_ending(&self) -> bool {
        !matches!(*self.desired.borrow(), Desired::Run(_))
    }

    /// The controller's object that made it.
    pub fn owner(&self) -> Option<&ObjectKey> {
        self.identity.origin.owner.as_ref()
    }

    /// Orders the pod's end; later orders may only shorten the grace period.
    pub fn end(&self, grace_period_seconds: Option<u32>) {
        self.desired.send_if_modified(|desired| {
            let order = Desired::Remove {
                pod: Arc::clone(&self.pod),
                grace_period_seconds,
            };
            let changes = *desired != order;
            let shortens = match desired {
                Desired::Remove {
                    grace_period_seconds: before,
                    ..
                } => grace_period_seconds.is_some_and(|grace| before.is_none_or(|before| grace < before)),
                _ => true,
            };
            if changes && shortens {
                *desired = order;
            }
            changes && shortens
        });
    }
}

/// All of them, by UID.
#[derive(Default)]
pub(super) struct Pods {
    entries: BTreeMap<PodUid, Entry>,
}

impl Pods {
    pub fn insert(&mut self, uid: PodUid, entry: Entry) {
        self.entries.insert(uid, entry);
    }

    pub fn remove(&mut self, uid: &PodUid) {
        self.entries.remove(uid);
    }

    pub fn get(&self, uid: &PodUid) -> Option<&Entry> {
        self.entries.get(uid)
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&PodUid, &Entry)> {
        self.entries.iter()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&PodUid, &mut Entry)> {
        self.entries.iter_mut()
    }

    /// All pods of this name: at most one that is not ending, and those that are.
    pub fn of_name<'p>(&'p self, name: &'p PodName) -> impl Iterator<Item = (&'p PodUid, &'p Entry)> {
        self.entries
            .iter()
            .filter(move |(_, entry)| entry.identity.namespace == name.0 && entry.identity.name == name.1)
    }

    /// All pods that a controller's object made.
    pub fn of_owner<'p>(&'p self, owner: &'p ObjectKey) -> impl Iterator<Item = (&'p PodUid, &'p Entry)> {
        self.entries
            .iter()
            .filter(move |(_, entry)| entry.owner() == Some(owner))
    }

    pub fn next_eviction(&self) -> Option<BootMillis> {
        self.entries
            .values()
            .filter(|entry| !entry.is_ending())
            .filter_map(|entry| entry.evict_at)
            .min()
    }
}
