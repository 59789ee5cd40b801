//! The order of addresses: another one in each answer, so that clients that take the first spread themselves.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// A source of orders. Not for secrets.
#[derive(Debug, Default)]
pub(super) struct Shuffle {
    keys: RandomState,
    count: AtomicU64,
}

impl Shuffle {
    /// Lays the items in some order, each as likely as any other.
    pub(super) fn shuffle<T>(&self, items: &mut [T]) {
        if items.len() < 2 {
            return;
        }
        let mut state = self.keys.hash_one(self.count.fetch_add(1, Ordering::Relaxed));
        for last in (1..items.len()).rev() {
            // An LCG of full period; its upper half is even enough for an order.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let chosen = (state >> 33) % (last as u64 + 1);
            items.swap(last, chosen as usize);
        }
    }
}
