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
    /// The order.
    pub desired: watch::Sender<Desired>,
    /// When a taint that the pod bears for a while ends it.
    pub evict_at: Option<BootMillis>,
    /// `pod` is only a stand-in: what the real one tolerates is not known.
    pub is_stand_in: bool,
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
            if let Desired::Remove {
                grace_period_seconds: before,
                ..
            } = desired
            {
                let shortens =
                    grace_period_seconds.is_some_and(|grace| before.is_none_or(|before| grace < before));
                if !shortens {
                    return false;
                }
            }
            *desired = Desired::Remove {
                pod: Arc::clone(&self.pod),
                grace_period_seconds,
            };
            true
        });
    }
}

/// All of them, by UID, name and owner.
#[derive(Default)]
pub(super) struct Pods {
    entries: BTreeMap<PodUid, Entry>,
    names: BTreeMap<PodName, Vec<PodUid>>,
    owners: BTreeMap<ObjectKey, Vec<PodUid>>,
}

impl Pods {
    pub fn insert(&mut self, uid: PodUid, entry: Entry) {
        self.remove(&uid);
        let name = (entry.identity.namespace.clone(), entry.identity.name.clone());
        self.names.entry(name).or_default().push(uid.clone());
        if let Some(owner) = entry.owner() {
            self.owners.entry(owner.clone()).or_default().push(uid.clone());
        }
        self.entries.insert(uid, entry);
    }

    pub fn remove(&mut self, uid: &PodUid) {
        let Some(entry) = self.entries.remove(uid) else {
            return;
        };
        if let Some(owner) = entry.owner() {
            drop_from(&mut self.owners, owner, uid);
        }
        let name = (entry.identity.namespace, entry.identity.name);
        drop_from(&mut self.names, &name, uid);
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

    /// All pods of this name: those that are ending, and as a rule at most one that is not.
    pub fn of_name<'p>(&'p self, name: &PodName) -> impl Iterator<Item = &'p Entry> + use<'p> {
        let uids = self.names.get(name).into_iter().flatten();
        uids.filter_map(|uid| self.entries.get(uid))
    }

    /// All pods that a controller's object made.
    pub fn of_owner<'p>(
        &'p self,
        owner: &ObjectKey,
    ) -> impl Iterator<Item = (&'p PodUid, &'p Entry)> + use<'p> {
        let uids = self.owners.get(owner).into_iter().flatten();
        uids.filter_map(|uid| self.entries.get_key_value(uid))
    }

    pub fn next_eviction(&self) -> Option<BootMillis> {
        self.entries
            .values()
            .filter(|entry| !entry.is_ending())
            .filter_map(|entry| entry.evict_at)
            .min()
    }
}

fn drop_from<K: Ord>(index: &mut BTreeMap<K, Vec<PodUid>>, key: &K, uid: &PodUid) {
    if let Some(uids) = index.get_mut(key) {
        uids.retain(|other| other != uid);
        if uids.is_empty() {
            index.remove(key);
        }
    }
}
