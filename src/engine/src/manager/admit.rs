//! Admission: a wanted pod gets a worker, or waits and says why.

use std::sync::Arc;

use pinnace_api::{ObjectKey, Pod, PodUid};
use pinnace_core::admission::{self, Accounted, Verdict};
use pinnace_core::event::EventType;
use pinnace_core::host::Host;
use pinnace_core::pod::{Origin, PodIdentity};
use pinnace_core::ports::Telemetry;
use pinnace_core::time::{BootInstant, Now};

use super::spawn::Start;
use super::{Manager, PodName};
use crate::adapters::Adapters;

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

const EVICTED_BEFORE: &str = "the pod was evicted by a NoExecute taint, and is not started again while the \
    node's taints and its manifest stay as they are";

/// A pod that some object wants.
pub(super) struct Wanted {
    pub pod: Arc<Pod>,
    pub origin: Origin,
}

/// What counts against the node, gathered once in each reconciliation that needs it.
#[derive(Default)]
pub(super) struct Account(Option<Vec<Accounted>>);

impl Account {
    fn get<A: Adapters>(&mut self, manager: &Manager<A>) -> &mut Vec<Accounted> {
        self.0.get_or_insert_with(|| manager.accounted())
    }
}

impl<A: Adapters> Manager<A> {
    /// Asks whether a pod, of whose name there is no other, may run here; starts it, or lists it as waiting.
    pub(super) fn admit(&mut self, name: PodName, wanted: Wanted, account: &mut Account) {
        let before = self.waiting.get(&name);
        let same = before.filter(|waiting| waiting.pod.document == wanted.pod.document);
        if same.is_some_and(|waiting| waiting.is_refused() && !waiting.verdict.is_forbidden()) {
            return;
        }
        let running = account.get(self);
        let mut verdict = admission::admit(&wanted.pod, &self.node, running);
        if matches!(verdict, Verdict::Admitted { .. }) && self.taints.was_evicted(&wanted.pod) {
            verdict = Verdict::Unschedulable {
                message: EVICTED_BEFORE.to_owned(),
                details: Vec::new(),
            };
        }
        if same.is_some_and(|waiting| waiting.verdict == verdict) {
            return;
        }
        let host = self.shared.adapters.host();
        let (now, uid) = (
            host.now(),
            before.map_or_else(|| host.new_pod_uid(), |waiting| waiting.uid.clone()),
        );
        self.tell(&wanted.pod, &verdict);
        let Wanted { pod, origin } = wanted;
        if !matches!(verdict, Verdict::Admitted { .. }) {
            let waiting = WaitingPod {
                uid,
                pod,
                origin,
                verdict,
                since: now,
            };
            if waiting.is_refused() && waiting.origin.owner.is_some() {
                // Its controller was asked before, and will want to know.
                self.daemonsets.wake_at = Some(now.boot);
            }
            self.waiting.insert(name, waiting);
            return;
        }
        self.waiting.remove(&name);
        running.push(Accounted::of(uid.clone(), &pod));
        let identity = PodIdentity {
            version: 1,
            uid,
            namespace: name.0,
            name: name.1,
            origin,
            document: pod.document.clone(),
            created_at: now.wall,
            created_boot: Some(BootInstant {
                boot: host.boot_id(),
                at: now.boot,
            }),
            finished: None,
        };
        // Nobody waits for the first look of a new pod.
        drop(self.spawn(Start::new_pod(identity, pod, self.woken_at)));
    }

    /// What counts against the node: all pods that have not ended for good.
    fn accounted(&self) -> Vec<Accounted> {
        self.pods
            .iter()
            .filter(|(uid, entry)| entry.identity.finished.is_none() && !self.shared.board.is_finished(uid))
            .map(|(_, entry)| entry.accounted.clone())
            .collect()
    }

    /// Says in events and metrics what admission answered.
    fn tell(&self, pod: &Pod, verdict: &Verdict) {
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
                let text = with_details(message, details);
                self.event(key, EventType::Warning, Verdict::FAILED_SCHEDULING, text);
            }
            // As on a cluster, the condition alone tells of it.
            Verdict::Gated => telemetry.admission_verdict(verdict.label(), Verdict::SCHEDULING_GATED),
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
