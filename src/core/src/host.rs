//! What only the machine can tell: time and chance.

use pinnace_api::PodUid;

use crate::time::{BootId, Now};

/// Clocks and randomness; a fake stands in for tests.
pub trait Host: Send + Sync + 'static {
    /// Both clocks.
    fn now(&self) -> Now;
    /// The current boot of the machine.
    fn boot_id(&self) -> BootId;
    /// A new UID, never given before.
    fn new_pod_uid(&self) -> PodUid;
    /// Random bytes, for the names of pods that controllers make.
    fn random(&self) -> u64;
}
