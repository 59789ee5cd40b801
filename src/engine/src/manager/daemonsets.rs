//! DaemonSets: their controller is asked at every reconciliation.

use std::collections::BTreeMap;
use std::sync::Arc;

use pinnace_api::{DaemonSet, ObjectKey, Pod};
use pinnace_core::controllers::daemonset::{self, DaemonPod, DaemonPodState, Decision, FailedBackoff};
use pinnace_core::event::EventType;
use pinnace_core::host::Host;
use pinnace_core::pod::Origin;
use pinnace_core::time::BootMillis;

use super::Manager;
use super::admit::{Wanted, name_of};
use super::reconcile::Wishes;
use crate::adapters::Adapters;
use crate::board::DaemonSetView;

/// What is kept of DaemonSets between two questions.
#[derive(Debug, Default)]
pub(super) struct DaemonSets {
    backoffs: BTreeMap<ObjectKey, FailedBackoff>,
    views: Vec<DaemonSetView>,
    /// When the controller wants to be asked again.
    pub wake_at: Option<BootMillis>,
}

impl DaemonSets {
    /// Begins a round over all sets.
    pub fn begin(&mut self) {
        self.views.clear();
        self.wake_at = None;
    }

    /// Ends it: what no set of this round needs is forgotten.
    pub fn finish(&mut self) -> Vec<DaemonSetView> {
        let views = std::mem::take(&mut self.views);
        self.backoffs
            .retain(|key, _| views.iter().any(|view| view.key == *key));
        views
    }
}

impl<A: Adapters> Manager<A> {
    /// The pods that a DaemonSet wants here; those that it does not want any more are ended.
    pub(super) fn of_daemonset(
        &mut self,
        key: &ObjectKey,
        set: &Arc<DaemonSet>,
        source: &str,
        wishes: &mut Wishes,
    ) {
        let mut decision = self.ask(key, set);
        let elsewhere = self
            .pods
            .of_owner(key)
            .any(|(_, entry)| self.may_come_from_elsewhere(&entry.identity.origin, source));
        if !elsewhere && self.draining.is_none() {
            self.daemonsets.backoffs.insert(key.clone(), decision.backoff);
            if self.delete(key, &decision) {
                // A pod that only waited is gone at once, and nobody else will say so.
                decision = self.ask(key, set);
                self.daemonsets.backoffs.insert(key.clone(), decision.backoff);
                self.delete(key, &decision);
            }
            let sooner = [self.daemonsets.wake_at, decision.wake_at];
            self.daemonsets.wake_at = sooner.into_iter().flatten().min();
            if let Some(pod) = decision.create.take() {
                wishes.pods.push(self.made(key, pod, source, &decision.revision));
            }
        }
        self.keep(key, wishes);
        self.daemonsets.views.push(DaemonSetView {
            key: key.clone(),
            set: Arc::clone(set),
            revision: decision.revision,
            misfit: decision.misfit,
            counts: decision.counts,
        });
    }

    fn ask(&self, key: &ObjectKey, set: &DaemonSet) -> Decision {
        let host = self.shared.adapters.host();
        let backoff = self.daemonsets.backoffs.get(key).copied().unwrap_or_default();
        let pods = self.daemon_pods(key);
        daemonset::decide(set, &self.node, &pods, backoff, host.random(), host.now().boot)
    }

    fn made(&self, key: &ObjectKey, pod: Pod, source: &str, revision: &str) -> Wanted {
        let text = format!("Created pod: {}", pod.meta.name);
        self.event(key.clone(), EventType::Normal, "SuccessfulCreate", text);
        let origin = Origin {
            source: source.to_owned(),
            owner: Some(key.clone()),
            revision: Some(revision.to_owned()),
        };
        let pod = Arc::new(pod);
        Wanted { pod, origin }
    }

    fn daemon_pods(&self, key: &ObjectKey) -> Vec<DaemonPod> {
        let running = self.pods.of_owner(key).map(|(uid, entry)| DaemonPod {
            name: entry.identity.name.clone(),
            uid: uid.clone(),
            revision: entry.identity.origin.revision.clone(),
            created_at: entry.identity.created_at,
            state: if entry.is_ending() {
                DaemonPodState::Terminating
            } else {
                self.shared.board.daemon_state(uid)
            },
        });
        let waiting = self
            .waiting
            .values()
            .filter(|waiting| waiting.origin.owner.as_ref() == Some(key));
        let waiting = waiting.map(|waiting| DaemonPod {
            name: waiting.pod.meta.name.clone(),
            uid: waiting.uid.clone(),
            revision: waiting.origin.revision.clone(),
            created_at: waiting.since.wall,
            state: if waiting.is_refused() {
                DaemonPodState::Failed
            } else {
                DaemonPodState::Pending
            },
        });
        running.chain(waiting).collect()
    }

    /// Ends what is to go; true if a pod went that only waited.
    fn delete(&mut self, key: &ObjectKey, decision: &Decision) -> bool {
        let mut waited = false;
        for deletion in &decision.delete {
            let ended = self
                .pods
                .get(&deletion.uid)
                .map(|entry| entry.end(None))
                .is_some();
            let before = self.waiting.len();
            self.waiting.retain(|_, waiting| waiting.uid != deletion.uid);
            let gone = self.waiting.len() != before;
            waited |= gone;
            if ended || gone {
                let text = format!("Deleted pod: {}", deletion.name);
                self.event(key.clone(), EventType::Normal, deletion.why.reason(), text);
            }
        }
        waited
    }

    /// The set's pods that stay as they are; those that wait are asked about again.
    fn keep(&self, key: &ObjectKey, wishes: &mut Wishes) {
        let running = self.pods.of_owner(key);
        let running = running.filter(|(_, entry)| !entry.is_ending());
        wishes.kept.extend(running.map(|(_, entry)| name_of(&entry.pod)));
        let waiting = self.waiting.values();
        let waiting = waiting.filter(|waiting| waiting.origin.owner.as_ref() == Some(key));
        wishes.pods.extend(waiting.map(|waiting| Wanted {
            pod: Arc::clone(&waiting.pod),
            origin: waiting.origin.clone(),
        }));
    }
}
