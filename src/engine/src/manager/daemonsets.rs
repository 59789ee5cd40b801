//! DaemonSets: their controller is asked at every reconciliation.

use std::collections::BTreeMap;
use std::sync::Arc;

use pinnace_api::{DaemonSet, ObjectKey, PodUid};
use pinnace_core::controllers::daemonset::{self, DaemonPod, DaemonPodState, Decision, FailedBackoff};
use pinnace_core::event::EventType;
use pinnace_core::host::Host;
use pinnace_core::pod::Origin;
use pinnace_core::time::BootMillis;

use super::Manager;
use super::desired::Wanted;
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
    ) -> Vec<Wanted> {
        let host = self.shared.adapters.host();
        let (random, now) = (host.random(), host.now().boot);
        let pods = self.daemon_pods(key);
        let backoff = self.daemonsets.backoffs.get(key).copied().unwrap_or_default();
        let decision = daemonset::decide(set, &self.node, &pods, backoff, random, now);
        self.daemonsets.backoffs.insert(key.clone(), decision.backoff);
        let sooner = [self.daemonsets.wake_at, decision.wake_at]
            .into_iter()
            .flatten()
            .min();
        self.daemonsets.wake_at = sooner;
        self.delete(key, &decision);
        let mut wanted = self.kept(key, &decision);
        if let Some(pod) = decision.create {
            let name = pod.meta.name.clone();
            self.event(
                key.clone(),
                EventType::Normal,
                "SuccessfulCreate",
                format!("Created pod: {name}"),
            );
            let origin = Origin {
                source: source.to_owned(),
                owner: Some(key.clone()),
                revision: Some(decision.revision.clone()),
            };
            wanted.push(Wanted {
                pod: Arc::new(pod),
                origin,
            });
        }
        self.daemonsets.views.push(DaemonSetView {
            key: key.clone(),
            set: Arc::clone(set),
            revision: decision.revision,
            misfit: decision.misfit,
            counts: decision.counts,
        });
        wanted
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

    fn delete(&mut self, key: &ObjectKey, decision: &Decision) {
        for deletion in &decision.delete {
            let ended = self.pods.get(&deletion.uid).is_some_and(|entry| {
                entry.end(None);
                true
            });
            let before = self.waiting.len();
            self.waiting.retain(|_, waiting| waiting.uid != deletion.uid);
            if ended || self.waiting.len() != before {
                let text = format!("Deleted pod: {}", deletion.name);
                self.event(key.clone(), EventType::Normal, deletion.why.reason(), text);
            }
        }
    }

    /// The set's pods that stay as they are.
    fn kept(&self, key: &ObjectKey, decision: &Decision) -> Vec<Wanted> {
        let deleted = |uid: &PodUid| decision.delete.iter().any(|deletion| deletion.uid == *uid);
        let running = self
            .pods
            .of_owner(key)
            .filter(|(uid, entry)| !entry.is_ending() && !deleted(uid));
        let running = running.map(|(_, entry)| Wanted {
            pod: Arc::clone(&entry.pod),
            origin: entry.identity.origin.clone(),
        });
        let waiting = self
            .waiting
            .values()
            .filter(|waiting| waiting.origin.owner.as_ref() == Some(key));
        let waiting = waiting.map(|waiting| Wanted {
            pod: Arc::clone(&waiting.pod),
            origin: waiting.origin.clone(),
        });
        running.chain(waiting).collect()
    }
}
