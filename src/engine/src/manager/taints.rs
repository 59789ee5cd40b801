//! NoExecute taints: since when each is there, and which pods it has ended.

use std::collections::BTreeMap;

use pinnace_api::{Pod, PodUid};
use pinnace_core::admission::{self, Eviction};
use pinnace_core::event::EventType;
use pinnace_core::host::Host;
use pinnace_core::node::{EvictedPod, Taint, TaintSince};
use pinnace_core::time::Moment;

use super::admit::{key_of, name_of};
use super::{Manager, PodName};
use crate::adapters::Adapters;

/// When each taint of the node appeared, and whom they ended; part of the node's record.
#[derive(Debug, Default)]
pub(super) struct TaintClock {
    taints: Vec<TaintSince>,
    /// Pods that bore a taint for as long as they would, with their documents' digests: on a cluster nobody
    /// makes them anew, so their manifests wait until the taints or the manifests change.
    evicted: BTreeMap<PodName, String>,
}

impl TaintClock {
    /// As an earlier agent recorded it.
    pub fn recalled(taints: Vec<TaintSince>, evicted: Vec<EvictedPod>) -> Self {
        let by_name = |pod: EvictedPod| ((pod.namespace, pod.name), pod.document);
        Self {
            taints,
            evicted: evicted.into_iter().map(by_name).collect(),
        }
    }

    /// A taint that was there already keeps its instant.
    pub fn follow(&mut self, taints: &[Taint], now: &Moment) {
        let before = std::mem::take(&mut self.taints);
        if !before.iter().map(|known| &known.taint).eq(taints) {
            self.evicted.clear();
        }
        let since = |taint: &Taint| {
            let known = before.iter().find(|known| known.taint == *taint);
            known.map_or(now, |known| &known.since).clone()
        };
        self.taints = taints
            .iter()
            .map(|taint| TaintSince {
                since: since(taint),
                taint: taint.clone(),
            })
            .collect();
    }

    /// Whether the pod was ended by a taint, with the manifest and the taints that there are now.
    pub fn was_evicted(&self, pod: &Pod) -> bool {
        let evicted = self.evicted.get(&name_of(pod));
        evicted.is_some_and(|document| *document == pod.document.digest())
    }

    /// What no manifest wants any more is forgotten.
    pub fn keep_only(&mut self, wanted: impl Fn(&PodName) -> bool) {
        self.evicted.retain(|name, _| wanted(name));
    }

    /// The taints, for the node's record.
    pub fn taints(&self) -> &[TaintSince] {
        &self.taints
    }

    /// The pods that they ended, for the node's record.
    pub fn evicted(&self) -> impl Iterator<Item = EvictedPod> {
        self.evicted
            .iter()
            .map(|((namespace, name), document)| EvictedPod {
                namespace: namespace.clone(),
                name: name.clone(),
                document: document.clone(),
            })
    }
}

impl<A: Adapters> Manager<A> {
    /// This instant, for records.
    pub(super) fn moment(&self) -> Moment {
        let host = self.shared.adapters.host();
        Moment::now(&host.boot_id(), host.now())
    }

    /// Finds the pods that a NoExecute taint ends now, and takes note of them; the others' instants are kept
    /// for the timer.
    pub(super) fn due_evictions(&mut self) -> Vec<PodUid> {
        let host = self.shared.adapters.host();
        let (boot, now) = (host.boot_id(), host.now());
        let (mut due, mut spared) = (Vec::new(), Vec::new());
        for (uid, entry) in self.pods.iter_mut() {
            let awaited = entry.evict_at.take().is_some();
            let finished = entry.identity.finished.is_some() || self.shared.board.is_finished(uid);
            if entry.is_ending() || entry.is_stand_in || finished {
                continue;
            }
            let admitted = entry.identity.created();
            match admission::eviction(&entry.pod, &self.taints.taints, &admitted, &boot, now) {
                Eviction::Keep if awaited => spared.push(key_of(&entry.pod)),
                Eviction::Keep => {}
                Eviction::EvictAt(at) => entry.evict_at = Some(at),
                Eviction::EvictNow => {
                    due.push(uid.clone());
                    // A controller's pod has a name of its own; whether another is made is the controller's
                    // affair.
                    if entry.owner().is_none() {
                        let document = entry.pod.document.digest();
                        self.taints.evicted.insert(name_of(&entry.pod), document);
                    }
                }
            }
        }
        for key in spared {
            let text = format!("Cancelling deletion of Pod {}/{}", key.namespace, key.name);
            self.event(key, EventType::Normal, Eviction::REASON, text);
        }
        due
    }

    /// Ends these pods.
    pub(super) fn evict(&self, due: &[PodUid]) {
        for entry in due.iter().filter_map(|uid| self.pods.get(uid)) {
            let key = key_of(&entry.pod);
            let text = format!("Marking for deletion Pod {}/{}", key.namespace, key.name);
            self.event(key, EventType::Normal, Eviction::REASON, text);
            entry.end(None);
        }
    }
}
