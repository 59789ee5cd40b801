//! Adoption: every pod of an earlier agent goes on under this one.
//!
//! Truth is what the host shows. A pod whose durable record is damaged is taken from the spec that lies in
//! its sandbox, with its progress where that is whole; without it, the numbers of its instances tell how often
//! its containers were started, and their exits. What no record and no sandbox explains is an orphan, and ended when every source has listed.
//! What could not be asked for is left alone: an error is not an absence.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use pinnace_api::document::from_document;
use pinnace_api::{Object, ObjectKey, Pod, PodUid};
use pinnace_core::event::EventType;
use pinnace_core::host::Host;
use pinnace_core::pod::{Backoff, PodIdentity, Progress};
use pinnace_core::ports::{Network, PodRuntime, PortResult, Records, Retry, Stored, Volumes};
use tokio::sync::oneshot;

use super::spawn::Start;
use super::{Manager, skeleton};
use crate::adapters::Adapters;
use crate::board::Readiness;
use crate::catalog::RunningAs;

/// Tries to learn from the host what is on it, before the agent goes on without that.
const TRIES: u32 = 5;
/// Between them.
const AGAIN: Backoff = Backoff {
    initial_millis: 100,
    factor: 3,
    max_millis: 5_000,
};

type Looks = Vec<oneshot::Receiver<()>>;

impl<A: Adapters> Manager<A> {
    /// Starts a worker for every pod that an earlier agent left.
    pub(super) async fn adopt(&mut self) {
        let mut known = BTreeSet::new();
        let mut looks = Looks::new();
        for record in self.recorded().await {
            match record {
                Stored::Whole(identity, progress) => {
                    known.insert(identity.uid.clone());
                    looks.extend(self.adopt_one(identity, progress, false));
                }
                Stored::Damaged { uid, set_aside, why } => {
                    let set_aside = set_aside.display();
                    let message = format!("a damaged pod record was set aside as {set_aside}: {why}");
                    tracing::error!(uid = uid.as_ref().map(PodUid::as_str), "{message}");
                    self.node_event("RecordDamaged", message);
                }
            }
        }
        for uid in self.on_the_host().await.difference(&known) {
            looks.extend(self.adopt_from_host(uid).await);
        }
        let (adopted, orphans) = (looks.len(), self.orphans.len());
        tracing::info!(adopted, orphans, "pods of an earlier agent");
        let board = Arc::clone(&self.shared.board);
        // A supervisor that does not answer holds up readiness, and nothing else.
        tokio::spawn(async move {
            for look in looks {
                // A worker that ended has looked too.
                let _ = look.await;
            }
            board.update_readiness(Readiness::adopted);
        });
    }

    /// All records. Without them nothing can be decided: they are waited for.
    async fn recorded(&self) -> Vec<Stored> {
        let mut tries = 0;
        loop {
            match self.shared.adapters.records().load().await {
                Ok(stored) => return stored,
                Err(error) => {
                    let message = format!("{}; trying again", error.chain());
                    tracing::error!("{message}");
                    self.node_event("RecordsUnreadable", message);
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(AGAIN.delay_millis(tries))).await;
                }
            }
        }
    }

    async fn on_the_host(&mut self) -> BTreeSet<PodUid> {
        let adapters = Arc::clone(&self.shared.adapters);
        let pods = self.insistently(|| adapters.runtime().list()).await;
        let volumes = self.insistently(|| adapters.volumes().list()).await;
        let networks = self.insistently(|| adapters.network().list()).await;
        let bare = networks.as_ref().is_ok_and(Vec::is_empty);
        self.services.host_was_bare = bare;
        pods.into_iter()
            .chain(volumes)
            .chain(networks)
            .flatten()
            .collect()
    }

    async fn adopt_from_host(&mut self, uid: &PodUid) -> Option<oneshot::Receiver<()>> {
        let adapters = Arc::clone(&self.shared.adapters);
        let stored = self.insistently(|| adapters.runtime().stored_identity(uid)).await;
        match stored {
            Ok(Some(identity)) if identity.uid == *uid => {
                let progress = self.insistently(|| adapters.records().load_progress(uid)).await;
                self.adopt_one(identity, progress.ok().flatten(), true)
            }
            // Damaged too: nothing is left that could tell whose it is.
            Err(error) if error.retry == Retry::Later => None,
            Ok(_) | Err(_) => {
                self.orphans.push(uid.clone());
                None
            }
        }
    }

    /// Asks again where that may help. An error has been reported.
    pub(super) async fn insistently<T, F>(&self, ask: impl Fn() -> F) -> PortResult<T>
    where
        F: Future<Output = PortResult<T>>,
    {
        let mut tries = 0;
        loop {
            let error = match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            tries += 1;
            if tries >= TRIES || error.retry == Retry::AfterChange {
                tracing::error!("{}", error.chain());
                self.node_event("AdoptionFailed", error.chain());
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(AGAIN.delay_millis(tries))).await;
        }
    }

    fn adopt_one(
        &mut self,
        identity: PodIdentity,
        progress: Option<Progress>,
        unsaved: bool,
    ) -> Option<oneshot::Receiver<()>> {
        let (pod, is_stand_in) = match from_document(&identity.document, "its record") {
            Ok(Object::Pod(pod)) => (pod, false),
            unreadable => (self.stand_in(&identity, &unreadable)?, true),
        };
        self.note_running(&identity);
        let boot = self.shared.adapters.host().boot_id();
        let progress = progress.filter(|progress| progress.boot == boot);
        let start = Start {
            unsaved,
            is_stand_in,
            ..Start::adopted(identity, progress, Arc::new(pod))
        };
        Some(self.spawn(start))
    }

    fn note_running(&mut self, identity: &PodIdentity) {
        let origin = &identity.origin;
        match (&origin.owner, &origin.revision) {
            (Some(owner), Some(revision)) => {
                let running = RunningAs::Revision(revision.clone());
                self.catalog.note_running(owner.clone(), running);
            }
            (Some(_), None) => {}
            (None, _) => {
                let running = RunningAs::Pod(identity.document.clone());
                self.catalog.note_running(key_of(identity), running);
            }
        }
    }

    /// A pod whose recorded document this agent cannot read (a newer one may have written it) goes on until
    /// its manifest changes or goes.
    fn stand_in(
        &self,
        identity: &PodIdentity,
        unreadable: &Result<Object, Vec<pinnace_api::Problem>>,
    ) -> Option<Pod> {
        let problem = match unreadable {
            Err(problems) => problems.first().map(ToString::to_string),
            Ok(object) => Some(format!("it is no pod: {}", object.key())),
        };
        let message = format!(
            "the pod's record cannot be read: {}; the pod goes on until its manifest changes or goes",
            problem.unwrap_or_default()
        );
        tracing::error!(uid = %identity.uid, pod = %identity.name, namespace = %identity.namespace, "{message}");
        self.event(key_of(identity), EventType::Warning, "FailedValidation", message);
        skeleton::of(identity)
    }

    /// What no record and no sandbox explains ends like any other pod: it is stopped, and all of it removed.
    pub(super) fn clear_orphans(&mut self) {
        let now = self.shared.adapters.host().now().wall;
        for uid in std::mem::take(&mut self.orphans) {
            let Some((identity, pod)) = skeleton::of_orphan(&uid, now) else {
                tracing::error!(%uid, "what an unknown pod left cannot be named, and stays");
                continue;
            };
            tracing::info!(%uid, "clearing what an unknown pod left");
            let start = Start {
                ends: true,
                is_stand_in: true,
                ..Start::adopted(identity, None, Arc::new(pod))
            };
            // Nobody waits for its first look.
            drop(self.spawn(start));
        }
    }

    pub(super) fn node_event(&self, reason: &str, message: String) {
        if let Some(node) = self.node.key() {
            self.event(node, EventType::Warning, reason, message);
        }
    }
}

fn key_of(identity: &PodIdentity) -> ObjectKey {
    ObjectKey {
        kind: "Pod".to_owned(),
        namespace: identity.namespace.clone(),
        name: identity.name.clone(),
    }
}
