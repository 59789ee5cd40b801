//! What the manager remembers of the node across its own end: since when each taint is there, whom they ended,
//! and a drain under way.
//!
//! It is written before what follows from it is done: a pod that is evicted is recorded as such before it is
//! told to end, and a drain that is over is forgotten before anybody hears that it is. A full disk holds up
//! neither: the record is tried again, ever more slowly.

use pinnace_core::host::Host;
use pinnace_core::node::NodeRecord;
use pinnace_core::pod::Backoff;
use pinnace_core::ports::{Records, StoredNode};
use pinnace_core::time::BootMillis;

use super::Manager;
use super::drain::Draining;
use super::taints::TaintClock;
use crate::adapters::Adapters;

/// Between tries to write the record.
const AGAIN: Backoff = Backoff {
    initial_millis: 1_000,
    factor: 2,
    max_millis: 60_000,
};

/// The record as it was last written.
#[derive(Debug, Default)]
pub(super) struct Memory {
    written: NodeRecord,
    /// Tries that failed in a row.
    tries: u32,
    /// When the next is due.
    pub again_at: Option<BootMillis>,
}

impl<A: Adapters> Manager<A> {
    /// Takes up what an earlier agent recorded; its pods have been adopted.
    pub(super) async fn recall(&mut self) {
        let adapters = &self.shared.adapters;
        let stored = self.insistently(|| adapters.records().load_node()).await;
        let record = match stored {
            Ok(StoredNode::Whole(record)) => record,
            Ok(StoredNode::Damaged { set_aside, why }) => {
                let set_aside = set_aside.display();
                let message = format!("the node's damaged record was set aside as {set_aside}: {why}");
                tracing::error!("{message}");
                self.node_event("RecordDamaged", message);
                NodeRecord::default()
            }
            // An error has been reported; the record is written anew when there is anything to remember.
            Ok(StoredNode::Absent) | Err(_) => NodeRecord::default(),
        };
        self.memory.written = record.clone();
        self.taints = TaintClock::recalled(record.taints, record.evicted);
        self.taints.follow(&self.node.taints, &self.moment());
        let boot = self.shared.adapters.host().boot_id();
        let draining = record.draining.filter(|draining| draining.boot == boot);
        // One that has left nothing was over, but for the answer to whoever asked.
        if let Some(draining) = draining.filter(|_| !self.pods.is_empty()) {
            tracing::info!(pods = self.pods.len(), "an earlier agent's drain goes on");
            self.draining = Some(Draining::recalled(&draining));
        }
    }

    /// Writes the record, if it is not as it was written last.
    pub(super) async fn remember(&mut self) {
        let host = self.shared.adapters.host();
        let (boot, now) = (host.boot_id(), host.now().boot);
        let under_way = self.draining.as_ref().filter(|_| !self.pods.is_empty());
        let record = NodeRecord {
            taints: self.taints.taints().to_vec(),
            evicted: self.taints.evicted().collect(),
            draining: under_way.map(|draining| draining.to_record(boot)),
            ..NodeRecord::default()
        };
        if record == self.memory.written {
            self.memory.again_at = None;
            return;
        }
        if self.memory.again_at.is_some_and(|at| at > now) {
            return;
        }
        match self.shared.adapters.records().save_node(&record).await {
            Ok(()) => {
                self.memory = Memory {
                    written: record,
                    ..Memory::default()
                };
            }
            Err(error) => {
                tracing::error!("{}", error.chain());
                self.node_event("RecordNotSaved", error.chain());
                self.memory.tries = self.memory.tries.saturating_add(1);
                self.memory.again_at = Some(now.after(AGAIN.delay_millis(self.memory.tries)));
            }
        }
    }
}
