//! NoExecute taints: since when each is there, and which pods it has ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use pinnace_api::{Document, Pod};
use pinnace_core::admission::{self, Eviction, TaintSince};
use pinnace_core::event::EventType;
use pinnace_core::host::Host;
use pinnace_core::node::Taint;
use pinnace_core::time::BootMillis;

use super::admit::{key_of, name_of};
use super::{Manager, PodName};
use crate::adapters::Adapters;

/// When each taint of the node appeared, and whom they ended.
///
/// In memory only, like those of Kubernetes' own controller: after a restart of the agent a pod that bears a
/// taint for a while bears it for that long again.
#[derive(Debug, Default)]
pub(super) struct TaintClock {
    taints: Vec<TaintSince>,
    /// Pods that bore a taint for as long as they would: on a cluster nobody makes them anew, so their
    /// manifests wait until the taints or the manifests change.
    evicted: BTreeMap<PodName, Document>,
}

impl TaintClock {
    pub fn new(taints: &[Taint], now: BootMillis) -> Self {
        let mut clock = Self::default();
        clock.follow(taints, now);
        clock
    }

    /// A taint that was there already keeps its instant.
    pub fn follow(&mut self, taints: &[Taint], now: BootMillis) {
        let before = std::mem::take(&mut self.taints);
        if !before.iter().map(|known| &known.taint).eq(taints) {
            self.evicted.clear();
        }
        let since = |taint: &Taint| {
            let known = before.iter().find(|known| known.taint == *taint);
            known.map_or(now, |known| known.since)
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
        !self.evicted.is_empty() && self.evicted.get(&name_of(pod)) == Some(&pod.document)
    }

    /// What no manifest wants any more is forgotten.
    pub fn keep_only(&mut self, wanted: impl Fn(&PodName) -> bool) {
        self.evicted.retain(|name, _| wanted(name));
    }
}

impl<A: Adapters> Manager<A> {
    /// Ends pods that a NoExecute taint ends now; the others' instants are kept for the timer.
    pub(super) fn end_evicted(&mut self) {
        let now = self.shared.adapters.host().now().boot;
        let mut evicted = Vec::new();
        for (uid, entry) in self.pods.iter_mut() {
            entry.evict_at = None;
            let finished = entry.identity.finished.is_some() || self.shared.board.is_finished(uid);
            if entry.is_ending() || entry.is_stand_in || finished {
                continue;
            }
            match admission::eviction(&entry.pod, &self.taints.taints, entry.admitted_at, now) {
                Eviction::Keep => {}
                Eviction::EvictAt(at) => entry.evict_at = Some(at),
                Eviction::EvictNow => {
                    evicted.push((Arc::clone(&entry.pod), entry.owner().is_none()));
                    entry.end(None);
                }
            }
        }
        for (pod, is_plain) in evicted {
            let key = key_of(&pod);
            let text = format!("Marking for deletion Pod {}/{}", key.namespace, key.name);
            self.event(key, EventType::Normal, Eviction::REASON, text);
            // A controller's pod has a name of its own; whether another is made is the controller's affair.
            if is_plain {
                self.taints.evicted.insert(name_of(&pod), pod.document.clone());
            }
        }
    }
}
