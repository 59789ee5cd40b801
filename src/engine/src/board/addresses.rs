//! How far the network follows pods' addresses.
//!
//! A pod's first container is started when the policies know of the pod: what a policy forbids is forbidden from
//! its first instruction.

use std::time::Duration;

use tokio::sync::{Notify, watch};

/// Changes, counted from 1, and up to which of them policies were applied.
#[derive(Debug)]
pub struct Addresses {
    changes: watch::Sender<u64>,
    changed: Notify,
    /// `None` where nobody follows: there is no network, no policy, or nothing to be applied yet.
    applied: watch::Sender<Option<u64>>,
}

impl Default for Addresses {
    fn default() -> Self {
        Self {
            changes: watch::Sender::new(0),
            changed: Notify::new(),
            applied: watch::Sender::new(None),
        }
    }
}

impl Addresses {
    /// A pod got or lost its addresses, or can be reached differently by them; answers the change's number.
    pub(super) fn change(&self) -> u64 {
        let mut number = 0;
        self.changes.send_modify(|count| {
            *count += 1;
            number = *count;
        });
        // Last: whoever is woken counts this one too.
        self.changed.notify_one();
        number
    }

    /// Returns when anything changed; several changes may count as one.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The newest change's number. What is on the board after this was asked holds that change too.
    pub fn newest(&self) -> u64 {
        *self.changes.borrow()
    }

    /// Policies hold for all changes up to this one; with `None`, nobody needs to wait for any.
    pub fn set_applied(&self, upto: Option<u64>) {
        self.applied.send_replace(upto);
    }

    /// Waits until policies hold for the change, but no longer than `limit`; false where that was too short. Where
    /// nobody follows, nothing is waited for.
    pub async fn applied(&self, change: u64, limit: Duration) -> bool {
        let mut applied = self.applied.subscribe();
        let holds = applied.wait_for(|applied| applied.is_none_or(|upto| upto >= change));
        tokio::time::timeout(limit, holds).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(2);

    #[tokio::test(start_paused = true)]
    async fn a_change_is_waited_for_where_somebody_follows() {
        let addresses = Addresses::default();
        let first = addresses.change();
        assert!(addresses.applied(first, Duration::ZERO).await, "nobody follows");
        addresses.set_applied(Some(first));
        assert!(addresses.applied(first, Duration::ZERO).await);
        let second = addresses.change();
        assert_eq!(addresses.newest(), second);
        assert!(!addresses.applied(second, LIMIT).await);
        addresses.set_applied(Some(second));
        assert!(addresses.applied(second, Duration::ZERO).await);
    }
}
