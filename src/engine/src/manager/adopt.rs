//! Adoption: every pod of an earlier agent goes on under this one.
//!
//! Truth is what the host shows. A pod whose durable record is damaged is taken from the spec that lies in
//! its sandbox; what no record and no sandbox explains is an orphan, cleared when every source has listed.

use std::collections::BTreeSet;
use std::sync::Arc;

use pinnace_api::document::from_document;
use pinnace_api::{Namespace, Object, ObjectKey, ObjectName, Pod, PodUid};
use pinnace_core::event::{Event, EventType};
use pinnace_core::host::Host;
use pinnace_core::pod::{PodIdentity, Progress};
use pinnace_core::ports::{PodRuntime, Records, Stored, Volumes};
use tokio::sync::oneshot;

use super::Manager;
use crate::adapters::Adapters;

impl<A: Adapters> Manager<A> {
    /// Starts a worker for every pod that an earlier agent left.
    pub(super) async fn adopt(&mut self) {
        let adapters = self.shared.adapters.clone();
        let boot = adapters.host().boot_id();
        let stored = loop {
            match adapters.records().load().await {
                Ok(stored) => break stored,
                Err(error) => {
                    tracing::error!("{}; trying again", error.chain());
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                }
            }
        };
        let mut known = BTreeSet::new();
        let mut looks = Vec::new();
        for record in stored {
            match record {
                Stored::Whole(identity, progress) => {
                    let progress = progress.filter(|progress| progress.boot == boot);
                    known.insert(identity.uid.clone());
                    looks.extend(self.adopt_one(identity, progress));
                }
                Stored::Damaged { uid, set_aside, why } => {
                    self.report_damaged(uid.as_ref(), &set_aside, &why)
                }
            }
        }
        for uid in self.on_the_host().await.difference(&known) {
            match adapters.runtime().stored_identity(uid).await {
                Ok(Some(identity)) => looks.extend(self.adopt_from_sandbox(identity).await),
                Ok(None) => self.orphans.push(uid.clone()),
                Err(error) => {
                    tracing::warn!(%uid, "{}", error.chain());
                    self.orphans.push(uid.clone());
                }
            }
        }
        let count = looks.len();
        for look in looks {
            // A worker that ended has looked too.
            let _ = look.await;
        }
        tracing::info!(
            adopted = count,
            orphans = self.orphans.len(),
            "pods of an earlier agent"
        );
        self.shared
            .board
            .update_readiness(crate::board::Readiness::adopted);
    }

    async fn on_the_host(&self) -> BTreeSet<PodUid> {
        let adapters = &self.shared.adapters;
        let mut found = BTreeSet::new();
        for listed in [adapters.runtime().list().await, adapters.volumes().list().await] {
            match listed {
                Ok(uids) => found.extend(uids),
                Err(error) => tracing::error!("{}", error.chain()),
            }
        }
        found
    }

    async fn adopt_from_sandbox(&mut self, identity: PodIdentity) -> Option<oneshot::Receiver<()>> {
        if let Err(error) = self.shared.adapters.records().save_identity(&identity).await {
            tracing::error!(uid = %identity.uid, "{}", error.chain());
        }
        self.adopt_one(identity, None)
    }

    fn adopt_one(
        &mut self,
        identity: PodIdentity,
        progress: Option<Progress>,
    ) -> Option<oneshot::Receiver<()>> {
        let read = from_document(&identity.document, "its record");
        let Ok(Object::Pod(pod)) = read else {
            // Never cleared: a newer agent may have written it. It keeps running, and is said so.
            tracing::error!(uid = %identity.uid, pod = %identity.name, namespace = %identity.namespace,
                problem = ?read.err(), "the recorded pod cannot be read; it is left as it is");
            return None;
        };
        let pod: Arc<Pod> = Arc::new(pod);
        Some(self.spawn(identity, progress, pod, None))
    }

    fn report_damaged(&self, uid: Option<&PodUid>, set_aside: &std::path::Path, why: &str) {
        let message = format!(
            "a damaged pod record was set aside as {}: {why}",
            set_aside.display()
        );
        tracing::error!(uid = uid.map(PodUid::as_str), "{message}");
        // A node's name is an object's name too.
        let Ok(name) = ObjectName::new(self.node.name.as_str()) else {
            return;
        };
        let node = ObjectKey {
            kind: "Node".to_owned(),
            namespace: Namespace::default(),
            name,
        };
        self.event(node, EventType::Warning, "RecordDamaged", message);
    }

    pub(super) fn event(&self, object: ObjectKey, kind: EventType, reason: &str, message: String) {
        let at = self.shared.adapters.host().now().wall;
        self.shared.board.record(Event {
            kind,
            reason: reason.to_owned(),
            message,
            object,
            at,
        });
    }
}
