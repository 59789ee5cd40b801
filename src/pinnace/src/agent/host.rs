//! The host's clocks and chance, as the engine asks for them.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use pinnace_api::PodUid;
use pinnace_core::host::Host;
use pinnace_core::time::{BootId, BootMillis, Now, WallMillis};

/// The real host; the boot's identity is read once.
pub struct RealHost {
    boot: BootId,
}

impl RealHost {
    /// Reads the boot's identity.
    pub fn new() -> Result<Self, pinnace_sys::SysError> {
        Ok(Self {
            boot: BootId(pinnace_sys::clock::boot_id()?),
        })
    }
}

impl Host for RealHost {
    fn now(&self) -> Now {
        Now {
            boot: BootMillis(pinnace_sys::clock::boottime_millis()),
            wall: WallMillis(pinnace_sys::clock::wall_millis()),
        }
    }

    fn boot_id(&self) -> BootId {
        self.boot.clone()
    }

    fn new_pod_uid(&self) -> PodUid {
        loop {
            // The kernel refuses random bytes never for long, and a UID must not be made of anything less.
            match pinnace_sys::random::uuid().map(PodUid::new) {
                Ok(Ok(uid)) => return uid,
                failed => tracing::error!(?failed, "no random bytes for a UID"),
            }
        }
    }

    fn random(&self) -> u64 {
        // Keyed by the system's randomness, another value at each call: enough for names.
        RandomState::new().build_hasher().finish()
    }
}
