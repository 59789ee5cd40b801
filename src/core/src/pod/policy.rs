//! How long the machine waits before it tries again.

use super::tries::{FailedStep, FailureReason};

/// Delays that grow by a factor up to a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first delay.
    pub initial_millis: u64,
    /// What each further delay is multiplied with; 0 counts as 1.
    pub factor: u32,
    /// The longest delay.
    pub max_millis: u64,
}

impl Backoff {
    /// The delay after the `tries`-th try in a row that failed, counted from 1.
    pub fn delay_millis(&self, tries: u32) -> u64 {
        let mut delay = self.initial_millis.min(self.max_millis);
        for _ in 1..tries {
            let next = self.after_millis(delay);
            if next == delay {
                break;
            }
            delay = next;
        }
        delay
    }

    /// The delay that follows a delay of `millis`; after none, the first.
    pub fn after_millis(&self, millis: u64) -> u64 {
        if millis == 0 {
            return self.initial_millis.min(self.max_millis);
        }
        millis
            .saturating_mul(u64::from(self.factor.max(1)))
            .min(self.max_millis)
    }
}

/// All that can be configured of the pod's machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Between restarts of a container that ends; its first restart waits for nothing.
    pub restart: Backoff,
    /// A container that ran this long starts its back-off anew.
    pub restart_reset_millis: u64,
    /// Between tries to get an image.
    pub image: Backoff,
    /// Between tries to make a sandbox, a volume or a container, or to write a record.
    pub creation: Backoff,
    /// Between tries to stop or remove something.
    pub removal: Backoff,
    /// SIGKILL is sent again to what has not ended after this time.
    pub kill_again_millis: u64,
}

impl Policy {
    /// The delay after the `tries`-th failure in a row of one kind.
    pub fn retry_millis(&self, step: FailedStep, reason: FailureReason, tries: u32) -> u64 {
        let backoff = match (step, reason) {
            (FailedStep::End, _) => self.removal,
            (_, FailureReason::ErrImagePull) => self.image,
            _ => self.creation,
        };
        backoff.delay_millis(tries)
    }
}

impl Default for Policy {
    /// The kubelet's figures where it has them.
    fn default() -> Self {
        let slow = Backoff {
            initial_millis: 10_000,
            factor: 2,
            max_millis: 300_000,
        };
        Self {
            restart: slow,
            restart_reset_millis: 600_000,
            image: slow,
            creation: Backoff {
                initial_millis: 1_000,
                factor: 2,
                max_millis: 300_000,
            },
            removal: Backoff {
                initial_millis: 100,
                factor: 2,
                max_millis: 30_000,
            },
            kill_again_millis: 10_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_from_ten_seconds_to_five_minutes() {
        let delays: Vec<u64> = (1..=8)
            .map(|tries| Policy::default().restart.delay_millis(tries) / 1000)
            .collect();
        assert_eq!(delays, [10, 20, 40, 80, 160, 300, 300, 300]);
    }

    #[test]
    fn a_delay_of_any_number_of_tries_is_found_at_once_and_within_its_limit() {
        let odd = Backoff {
            initial_millis: 7,
            factor: 0,
            max_millis: 5,
        };
        assert_eq!(odd.delay_millis(u32::MAX), 5);
        let flat = Backoff {
            initial_millis: 7,
            factor: 1,
            max_millis: 50,
        };
        assert_eq!(flat.delay_millis(u32::MAX), 7);
        let huge = Backoff {
            initial_millis: u64::MAX,
            factor: u32::MAX,
            max_millis: u64::MAX,
        };
        assert_eq!(huge.delay_millis(u32::MAX), u64::MAX);
    }

    #[test]
    fn images_wait_longer_than_removals() {
        let policy = Policy::default();
        let image = policy.retry_millis(FailedStep::Create, FailureReason::ErrImagePull, 1);
        let removal = policy.retry_millis(FailedStep::End, FailureReason::ErrImagePull, 1);
        assert_eq!((image, removal), (10_000, 100));
    }
}
