//! Instants: the boot-time clock for all that is measured, the wall clock for people, the boot's id to tell
//! whether an instant of the former still means anything.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use crate::error::{SysError, SysResult};
use crate::file;

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Milliseconds since boot, time asleep included (`CLOCK_BOOTTIME`).
pub fn boottime_millis() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000)
}

/// Milliseconds since 1970 on the wall clock; 0 where that clock stands before 1970.
pub fn wall_millis() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

/// The id of this boot, as the kernel made it.
pub fn boot_id() -> SysResult<String> {
    let path = Path::new(BOOT_ID);
    let text = file::read_text(path, 64)?;
    let id = text.trim();
    if id.is_empty() {
        return Err(SysError::on(
            "read",
            path,
            std::io::ErrorKind::InvalidData,
            "empty",
        ));
    }
    Ok(id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_time_clock_never_steps_back() {
        let first = boottime_millis();
        assert!(first > 0);
        assert!(boottime_millis() >= first);
    }

    #[test]
    fn the_wall_clock_is_in_milliseconds() {
        // The year 2020 in milliseconds; in seconds or microseconds the bounds would not hold.
        assert!((1_577_836_800_000..100_000_000_000_000).contains(&wall_millis()));
    }

    #[test]
    fn the_boot_id_is_a_uuid_and_stays() {
        let id = boot_id().unwrap();
        assert_eq!(id.len(), 36);
        assert_eq!(boot_id().unwrap(), id);
    }
}
