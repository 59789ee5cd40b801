//! Instants that survive a restart of the agent.

/// An instant on the boot-time clock (`CLOCK_BOOTTIME`), in milliseconds since boot.
///
/// It goes on while the machine sleeps, never jumps, and means something only together with a boot id.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize,
)]
pub struct BootMillis(pub u64);

impl BootMillis {
    /// This instant and `millis` more.
    pub fn after(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }
    /// Milliseconds from `earlier` to this instant, 0 if it lies ahead.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// An instant of the wall clock for people and statuses, in milliseconds since 1970 (UTC).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize,
)]
pub struct WallMillis(pub u64);

/// Both clocks, read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Now {
    /// For decisions.
    pub boot: BootMillis,
    /// For people.
    pub wall: WallMillis,
}

/// Identity of a boot of the machine, `/proc/sys/kernel/random/boot_id`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct BootId(pub String);
