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

impl WallMillis {
    /// As Kubernetes writes a time: UTC, whole seconds, `2026-01-31T09:05:00Z`.
    pub fn rfc3339(self) -> String {
        let seconds = self.0 / 1000;
        let (year, month, day) = civil(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// Year, month and day of the Gregorian calendar, `days` after 1970-01-01.
///
/// Years are counted from March, so that the leap day is a year's last; 719,468 days lie between the first of
/// March of the year 0 and 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

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

/// An instant on the boot-time clock of one boot.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BootInstant {
    /// The boot.
    pub boot: BootId,
    /// The instant.
    pub at: BootMillis,
}

/// A recorded instant whose age a later agent can tell: by the boot-time clock within the boot, so that no
/// jump of the wall clock changes it, and by the wall clock after a restart of the machine.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Moment {
    /// On the wall clock.
    pub wall: WallMillis,
    /// On the boot-time clock; records of early releases lack it.
    #[serde(default)]
    pub boot: Option<BootInstant>,
}

impl Moment {
    /// This instant.
    pub fn now(boot: &BootId, now: Now) -> Self {
        let boot = boot.clone();
        Self {
            wall: now.wall,
            boot: Some(BootInstant { boot, at: now.boot }),
        }
    }

    /// Milliseconds from this instant to now; 0 if it lies ahead.
    pub fn age_millis(&self, boot: &BootId, now: Now) -> u64 {
        match &self.boot {
            Some(then) if then.boot == *boot => now.boot.since(then.at),
            _ => now.wall.0.saturating_sub(self.wall.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_by_the_boot_time_clock_within_a_boot_and_by_the_wall_clock_beyond() {
        let at = |boot, wall| Now {
            boot: BootMillis(boot),
            wall: WallMillis(wall),
        };
        let (one, two) = (BootId("1".to_owned()), BootId("2".to_owned()));
        let then = Moment::now(&one, at(5_000, 100_000));
        assert_eq!(then.age_millis(&one, at(65_000, 7)), 60_000);
        assert_eq!(then.age_millis(&one, at(65_000, 9_000_000)), 60_000);
        assert_eq!(then.age_millis(&two, at(1_000, 130_000)), 30_000);
        assert_eq!(then.age_millis(&two, at(1_000, 99_000)), 0);
        let early = Moment { boot: None, ..then };
        assert_eq!(early.age_millis(&one, at(65_000, 101_000)), 1_000);
    }

    #[test]
    fn times_are_written_as_kubernetes_writes_them() {
        let cases = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399_999, "2000-02-28T23:59:59Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (951_868_800_000, "2000-03-01T00:00:00Z"),
            (1_709_251_199_000, "2024-02-29T23:59:59Z"),
            (1_767_225_599_000, "2025-12-31T23:59:59Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
        ];
        for (millis, text) in cases {
            assert_eq!(WallMillis(millis).rfc3339(), text);
        }
    }
}
