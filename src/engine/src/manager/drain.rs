//! Draining: every pod ends, and nothing starts any more.
//!
//! A drain lasts as long as the agent: started again, it runs what its sources want. Only while pods are still
//! ending does the next agent go on with it. Whoever wants the node to stay empty gives it a taint, or stops
//! the agent.

use pinnace_core::node::DrainUnderWay;
use pinnace_core::time::BootId;
use tokio::sync::oneshot;

use super::Manager;
use crate::adapters::Adapters;

/// A drain that was asked for.
#[derive(Default)]
pub(super) struct Draining {
    grace_period_seconds: Option<u32>,
    /// Whoever waits until nothing is left.
    done: Vec<oneshot::Sender<()>>,
}

impl Draining {
    /// One that an earlier agent began; whoever waited for it is gone.
    pub fn recalled(record: &DrainUnderWay) -> Self {
        Self {
            grace_period_seconds: record.grace_period_seconds,
            done: Vec::new(),
        }
    }

    /// For the node's record.
    pub fn to_record(&self, boot: BootId) -> DrainUnderWay {
        DrainUnderWay {
            boot,
            grace_period_seconds: self.grace_period_seconds,
        }
    }
}

impl<A: Adapters> Manager<A> {
    /// Takes note of the wish; the reconciliation that follows carries it out.
    pub(super) fn drain(&mut self, grace_period_seconds: Option<u32>, done: oneshot::Sender<()>) {
        tracing::info!(pods = self.pods.len(), "draining");
        let draining = self.draining.get_or_insert_default();
        draining.grace_period_seconds = grace_period_seconds;
        // Those that gave up waiting are not kept.
        draining.done.retain(|waiting| !waiting.is_closed());
        draining.done.push(done);
    }

    /// Ends what there is.
    pub(super) fn carry_on_draining(&mut self) {
        let Some(draining) = &self.draining else {
            return;
        };
        self.waiting.clear();
        for (_, entry) in self.pods.iter() {
            entry.end(draining.grace_period_seconds);
        }
    }

    /// Answers those that wait for a drain, when nothing is left.
    pub(super) fn answer_drained(&mut self) {
        if !self.pods.is_empty() {
            return;
        }
        for done in self
            .draining
            .iter_mut()
            .flat_map(|draining| draining.done.drain(..))
        {
            // Whoever asked may have gone away.
            let _ = done.send(());
        }
    }
}
