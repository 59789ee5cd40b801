//! A pod's turn to start: few start at once, first come first served.
//!
//! The turn is kept over a whole plan, so that the first pods run while the last ones still wait, but not over
//! the wait for an image, which uses no CPU and may last.

use pinnace_core::pod::Desired;
use tokio::sync::{Semaphore, SemaphorePermit, watch};

/// One worker's claim.
pub(super) struct Turn<'s> {
    starts: &'s Semaphore,
    permit: Option<SemaphorePermit<'s>>,
    orders: watch::Receiver<Desired>,
}

/// The order changed: what was being made may not be wanted any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OrderChanged;

impl<'s> Turn<'s> {
    /// A claim that follows `orders`, as far as they are not taken yet.
    pub fn new(starts: &'s Semaphore, orders: watch::Receiver<Desired>) -> Self {
        Self {
            starts,
            permit: None,
            orders,
        }
    }

    /// Waits for the turn, unless it is there already.
    pub async fn take(&mut self) -> Result<(), OrderChanged> {
        self.check()?;
        if self.permit.is_some() {
            return Ok(());
        }
        // A place in the queue is given up with the wish.
        let permit = tokio::select! {
            permit = self.starts.acquire() => permit,
            _ = self.orders.changed() => return Err(OrderChanged),
        };
        // It is never closed; without a permit the work would only be less bounded.
        self.permit = permit.ok();
        Ok(())
    }

    /// Lets others start.
    pub fn give_up(&mut self) {
        self.permit = None;
    }

    /// What `work` answers, unless the order changes first.
    pub async fn unless_changed<T>(&mut self, work: impl Future<Output = T>) -> Result<T, OrderChanged> {
        // What is dropped half done is found, whole or not, when it is asked for again.
        tokio::select! {
            answer = work => Ok(answer),
            _ = self.orders.changed() => Err(OrderChanged),
        }
    }

    fn check(&self) -> Result<(), OrderChanged> {
        match self.orders.has_changed() {
            Ok(false) => Ok(()),
            Ok(true) | Err(_) => Err(OrderChanged),
        }
    }
}
