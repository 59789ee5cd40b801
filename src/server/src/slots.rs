//! Bounds the connections of a face without letting idle peers keep the busy ones out.
//!
//! When all slots are taken, a new connection takes the place of the oldest one that has no request under way
//! (or of the oldest at all). Thus a peer that opens many connections and says nothing pushes out itself.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::AbortHandle;

/// Whether a connection has a request under way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Busy(Arc<AtomicBool>);

impl Busy {
    /// Marks the connection busy until the guard is dropped.
    pub(crate) fn enter(&self) -> BusyGuard {
        self.0.store(true, Ordering::Relaxed);
        BusyGuard(self.clone())
    }
    fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// See [`Busy::enter`].
pub(crate) struct BusyGuard(Busy);

impl Drop for BusyGuard {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Relaxed);
    }
}

struct Slot {
    task: AbortHandle,
    busy: Busy,
}

/// The connections of one face.
pub(crate) struct Slots {
    most: usize,
    taken: Mutex<VecDeque<Slot>>,
}

impl Slots {
    /// At most `most` connections (at least one).
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            taken: Mutex::new(VecDeque::new()),
        }
    }

    /// Takes a slot for a connection's task, ending another connection if there is no free one.
    pub(crate) fn enter(&self, task: AbortHandle, busy: Busy) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.retain(|slot| !slot.task.is_finished());
        while taken.len() >= self.most {
            let victim = taken.iter().position(|slot| !slot.busy.get()).unwrap_or(0);
            if let Some(slot) = taken.remove(victim) {
                slot.task.abort();
            }
        }
        taken.push_back(Slot { task, busy });
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        for slot in self
            .taken
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .drain(..)
        {
            slot.task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> tokio::task::JoinHandle<()> {
        tokio::spawn(std::future::pending())
    }

    #[tokio::test]
    async fn oldest_idle_connection_gives_way() {
        let slots = Slots::new(2);
        let (first, second, third) = (sleeper(), sleeper(), sleeper());
        let busy = Busy::default();
        let _request = busy.enter();
        slots.enter(first.abort_handle(), busy.clone());
        slots.enter(second.abort_handle(), Busy::default());
        slots.enter(third.abort_handle(), Busy::default());
        assert!(second.await.unwrap_err().is_cancelled());
        assert!(!first.is_finished() && !third.is_finished());
    }

    #[tokio::test]
    async fn all_connections_end_with_the_face() {
        let slots = Slots::new(2);
        let task = sleeper();
        slots.enter(task.abort_handle(), Busy::default());
        drop(slots);
        assert!(task.await.unwrap_err().is_cancelled());
    }
}
