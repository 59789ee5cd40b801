//! What is wanted against what there is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pinnace_api::{Document, ObjectKey, Pod, PodUid};
use pinnace_core::admission::{self, Accounted, Eviction, TaintSince, Verdict};
use pinnace_core::event::EventType;
use pinnace_core::host::Host;
use pinnace_core::node::Taint;
use pinnace_core::pod::{Origin, PodIdentity, Progress, Record};
use pinnace_core::ports::{PodContext, Telemetry};
use pinnace_core::resources;
use pinnace_core::time::{BootMillis, Now};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::pods::Entry;
use super::{Manager, PodName};
use crate::adapters::Adapters;
use crate::source::Item;
use crate::worker::PodWorker;

/// A pod that is wanted and does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingPod {
    /// The UID that it will run with.
    pub uid: PodUid,
    /// The pod.
    pub pod: Arc<Pod>,
    /// What it comes from.
    pub origin: Origin,
    /// Why; never `Admitted`.
    pub verdict: Verdict,
    /// Since when it waits for this reason.
    pub since: Now,
}

impl WaitingPod {
    /// It has failed for good, and does not wait for the node to change.
    pub fn is_refused(&self) -> bool {
        matches!(self.verdict, Verdict::Refused { .. })
    }
}

/// When each taint of the node appeared, and whom they ended.
#[derive(Debug, Default)]
pub(super) struct TaintClock {
    pub taints: Vec<TaintSince>,
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
        let since = |taint: &Taint| {
            self.taints
                .iter()
                .find(|known| known.taint == *taint)
                .map_or(now, |known| known.since)
        };
        let before = std::mem::take(&mut self.evicted);
        if self.taints.iter().map(|known| &known.taint).eq(taints) {
            self.evicted = before;
        }
        self.taints = taints
            .iter()
            .map(|taint| TaintSince {
                since: since(taint),
                taint: taint.clone(),
            })
            .collect();
    }

    fn note_evicted(&mut self, pod: &Pod) {
        self.evicted.insert(name_of(pod), pod.document.clone());
    }

    fn was_evicted(&self, pod: &Pod) -> bool {
        self.evicted.get(&name_of(pod)) == Some(&pod.document)
    }
}

const EVICTED_BEFORE: &str = "the pod was evicted by a NoExecute taint, and is not started again while the \
    node's taints and its manifest stay as they are";

/// A pod that some object wants.
pub(super) struct Wanted {
    pub pod: Arc<Pod>,
    pub origin: Origin,
}

impl<A: Adapters> Manager<A> {
    /// Brings the set of pods towards what is wanted; safe to call at any time.
    pub(super) fn reconcile(&mut self) {
        self.end_evicted();
        if self.draining.is_some() {
            self.end_all();
        } else {
            let wanted = self.wanted();
            let names: BTreeSet<PodName> = wanted.iter().map(|one| name_of(&one.pod)).collect();
            if self.complete {
                self.end_unwanted(&names);
            }
            self.waiting.retain(|name, _| names.contains(name));
            for one in wanted {
                self.want(one);
            }
        }
        self.shared.board.set_waiting(self.waiting.values());
        self.finish_drain();
    }

    /// Every pod that the manifests want here, those of controllers included.
    fn wanted(&mut self) -> Vec<Wanted> {
        let objects: Vec<(ObjectKey, Item, String)> = self
            .catalog
            .objects()
            .iter()
            .map(|(key, chosen)| {
                (
                    key.clone(),
                    chosen.placed.item.clone(),
                    chosen.source.0.to_owned(),
                )
            })
            .collect();
        self.daemonsets.begin();
        let mut wanted = Vec::new();
        for (key, item, source) in objects {
            match item {
                Item::Pod(pod) => {
                    wanted.push(Wanted {
                        pod,
                        origin: Origin {
                            source,
                            owner: None,
                            revision: None,
                        },
                    });
                }
                Item::DaemonSet(set) => wanted.extend(self.of_daemonset(&key, &set, &source)),
                Item::Noted(_) => {}
            }
        }
        self.shared.board.set_daemonsets(self.daemonsets.finish());
        wanted
    }

    /// Brings one wanted pod towards running.
    fn want(&mut self, wanted: Wanted) {
        let name = name_of(&wanted.pod);
        let mut waits_for_end = false;
        for (_, entry) in self.pods.of_name(&name) {
            if entry.is_ending() {
                waits_for_end = true;
            } else if entry.identity.document == wanted.pod.document {
                return;
            } else {
                tracing::info!(pod = %name.1, namespace = %name.0, "the manifest changed: the pod is replaced");
                entry.end(None);
                waits_for_end = true;
            }
        }
        if !waits_for_end {
            self.admit(name, wanted);
        }
    }

    fn admit(&mut self, name: PodName, wanted: Wanted) {
        let running: Vec<Accounted> = self.accounted();
        let mut verdict = admission::admit(&wanted.pod, &self.node, &running);
        if matches!(verdict, Verdict::Admitted { .. }) && self.taints.was_evicted(&wanted.pod) {
            verdict = Verdict::Unschedulable {
                message: EVICTED_BEFORE.to_owned(),
                details: Vec::new(),
            };
        }
        let before = self.waiting.get(&name);
        if before
            .is_some_and(|waiting| waiting.verdict == verdict && waiting.pod.document == wanted.pod.document)
        {
            return;
        }
        let host = self.shared.adapters.host();
        let uid = before.map_or_else(|| host.new_pod_uid(), |waiting| waiting.uid.clone());
        self.tell(&wanted.pod, &verdict);
        if !matches!(verdict, Verdict::Admitted { .. }) {
            let Wanted { pod, origin } = wanted;
            let since = host.now();
            self.waiting.insert(
                name,
                WaitingPod {
                    uid,
                    pod,
                    origin,
                    verdict,
                    since,
                },
            );
            return;
        }
        self.waiting.remove(&name);
        let host = self.shared.adapters.host();
        let identity = PodIdentity {
            version: 1,
            uid,
            namespace: name.0,
            name: name.1,
            origin: wanted.origin,
            document: wanted.pod.document.clone(),
            created_at: host.now().wall,
            finished: None,
        };
        // Nobody waits for the first look of a new pod.
        drop(self.spawn(identity, None, wanted.pod, Some(self.listed_at)));
    }

    /// Says in events and metrics what admission answered.
    fn tell(&self, pod: &Arc<Pod>, verdict: &Verdict) {
        let key = key_of(pod);
        let telemetry = self.shared.adapters.telemetry();
        match verdict {
            Verdict::Admitted { notes } => {
                telemetry.admission_verdict(verdict.label(), "");
                let text = format!(
                    "Successfully assigned {}/{} to {}",
                    key.namespace, key.name, self.node.name
                );
                self.event(key.clone(), EventType::Normal, "Scheduled", text);
                for note in notes {
                    self.event(key.clone(), EventType::Warning, "Admitted", note.clone());
                }
            }
            Verdict::Unschedulable { message, details } => {
                telemetry.admission_verdict(verdict.label(), Verdict::UNSCHEDULABLE);
                self.event(
                    key,
                    EventType::Warning,
                    Verdict::FAILED_SCHEDULING,
                    with_details(message, details),
                );
            }
            Verdict::Refused {
                reason,
                message,
                details,
            } => {
                telemetry.admission_verdict(verdict.label(), reason);
                self.event(key, EventType::Warning, reason, with_details(message, details));
            }
        }
    }

    /// Starts a worker; the receiver is told when it has seen its pod for the first time.
    pub(super) fn spawn(
        &mut self,
        identity: PodIdentity,
        progress: Option<Progress>,
        pod: Arc<Pod>,
        seen_at: Option<Instant>,
    ) -> oneshot::Receiver<()> {
        let boot = self.shared.adapters.host().boot_id();
        let settings = self.settings.borrow().clone();
        let context = PodContext {
            uid: identity.uid.clone(),
            qos: resources::qos_class(&pod.spec),
            pod_cgroup: resources::pod_values(&pod.spec, &settings.cgroup),
            pod: Arc::clone(&pod),
        };
        let (desired, order) = watch::channel(pinnace_core::pod::Desired::Run(Arc::clone(&pod)));
        let entry = Entry {
            identity: identity.clone(),
            accounted: Accounted::of(identity.uid.clone(), &pod),
            admitted_at: self.shared.adapters.host().now().boot,
            pod,
            desired,
            evict_at: None,
        };
        let uid = identity.uid.clone();
        self.pods.insert(uid.clone(), entry);
        let worker = PodWorker {
            shared: Arc::clone(&self.shared),
            context,
            record: Record {
                identity,
                progress: progress.unwrap_or_else(|| Progress::new(boot)),
                failures: BTreeMap::new(),
                pod_failure: None,
            },
            desired: order,
            seen_at,
            images: BTreeMap::new(),
            images_changed: self.images_changed.clone(),
            unsaved: seen_at.is_some(),
        };
        let (looked, first_look) = oneshot::channel();
        let removed = self.removed.0.clone();
        tokio::spawn(async move {
            worker.run(looked).await;
            // The manager is gone only when the agent ends.
            let _ = removed.send(uid);
        });
        first_look
    }

    fn accounted(&self) -> Vec<Accounted> {
        self.pods
            .iter()
            .filter(|(uid, _)| !self.shared.board.is_finished(uid))
            .map(|(_, e)| e.accounted.clone())
            .collect()
    }

    /// Plain pods that no manifest wants any more; a controller's pods are ended by their controller, or
    /// here when it is gone.
    fn end_unwanted(&mut self, names: &BTreeSet<PodName>) {
        for (uid, entry) in self.pods.iter() {
            let name = (entry.identity.namespace.clone(), entry.identity.name.clone());
            if !names.contains(&name) && !entry.is_ending() {
                tracing::info!(%uid, pod = %name.1, namespace = %name.0, "no manifest wants the pod: it ends");
                entry.end(None);
            }
        }
    }

    /// Pods that a NoExecute taint ends now; the others' instants are kept for the timer.
    fn end_evicted(&mut self) {
        let now = self.shared.adapters.host().now().boot;
        let mut evicted = Vec::new();
        for (uid, entry) in self.pods.iter_mut() {
            if entry.is_ending() || self.shared.board.is_finished(uid) {
                continue;
            }
            entry.evict_at =
                match admission::eviction(&entry.pod, &self.taints.taints, entry.admitted_at, now) {
                    Eviction::Keep => None,
                    Eviction::EvictAt(at) => Some(at),
                    Eviction::EvictNow => {
                        evicted.push(Arc::clone(&entry.pod));
                        entry.end(None);
                        None
                    }
                };
        }
        for pod in evicted {
            let key = key_of(&pod);
            let text = format!("Marking for deletion Pod {}/{}", key.namespace, key.name);
            self.event(key, EventType::Normal, Eviction::REASON, text);
            self.taints.note_evicted(&pod);
        }
    }

    fn end_all(&mut self) {
        let grace = self
            .draining
            .as_ref()
            .and_then(|draining| draining.grace_period_seconds);
        for (_, entry) in self.pods.iter() {
            entry.end(grace);
        }
        self.waiting.clear();
    }

    fn finish_drain(&mut self) {
        let nothing_left = self.pods.is_empty();
        if let Some(draining) = self.draining.as_mut().filter(|_| nothing_left) {
            for done in draining.done.drain(..) {
                // Whoever asked may have gone away.
                let _ = done.send(());
            }
        }
    }
}

pub(super) fn name_of(pod: &Pod) -> PodName {
    (pod.meta.namespace.clone(), pod.meta.name.clone())
}

pub(super) fn key_of(pod: &Pod) -> ObjectKey {
    ObjectKey {
        kind: "Pod".to_owned(),
        namespace: pod.meta.namespace.clone(),
        name: pod.meta.name.clone(),
    }
}

fn with_details(message: &str, details: &[String]) -> String {
    let mut text = message.to_owned();
    for detail in details {
        text.push(' ');
        text.push_str(detail);
    }
    text
}
