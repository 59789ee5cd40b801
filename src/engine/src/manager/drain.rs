//! Draining: every pod ends, and nothing starts any more.
//!
//! A drain lasts as long as the agent: started again, it runs what its sources want. Whoever wants the node to
//! stay empty gives it a taint, or stops the agent.

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

    /// Ends what there is, and answers when nothing is left.
    pub(super) fn carry_on_draining(&mut self) {
        let Some(draining) = &mut self.draining else {
            return;
        };
        self.waiting.clear();
        for (_, entry) in self.pods.iter() {
            entry.end(draining.grace_period_seconds);
        }
        if self.pods.is_empty() {
            for done in draining.done.drain(..) {
                // Whoever asked may have gone away.
                let _ = done.send(());
            }
        }
    }
}
