//! Descriptors that systemd kept over a restart, or opened for the service (`sd_listen_fds`).
//!
//! They begin at number 3; `LISTEN_PID` says whom they are for, so that a child, which has the variables too,
//! does not take them for its own.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

const FIRST: RawFd = 3;
/// More are not taken: systemd keeps 64 for the unit.
const MAX: usize = 256;

/// Whether they were taken: they have one owner.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The descriptors with their names (`FDNAME`, empty where there is none), closed in children from now on.
/// The second call answers none. To be called before anything else is opened.
pub fn take() -> Vec<(String, OwnedFd)> {
    let variable = |name| std::env::var(name).ok();
    let count = announced(
        variable("LISTEN_PID").as_deref(),
        variable("LISTEN_FDS").as_deref(),
        std::process::id(),
    );
    if count == 0 || TAKEN.swap(true, Ordering::AcqRel) {
        return Vec::new();
    }
    let names = variable("LISTEN_FDNAMES").unwrap_or_default();
    let names = names
        .split(':')
        .map(str::to_owned)
        .chain(std::iter::repeat(String::new()));
    let numbers = FIRST..FIRST + RawFd::try_from(count).unwrap_or(0);
    names
        .zip(numbers)
        .filter_map(|(name, number)| Some((name, own(number)?)))
        .collect()
}

/// How many are announced to the process `pid`.
fn announced(for_pid: Option<&str>, count: Option<&str>, pid: u32) -> usize {
    if for_pid.and_then(|text| text.parse().ok()) != Some(pid) {
        return 0;
    }
    let count = count.and_then(|text| text.parse().ok()).unwrap_or(0);
    if count > MAX { 0 } else { count }
}

fn own(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: the descriptor was handed over to this process by number, and nobody in it owns that number: this
    // runs once (`TAKEN`), for each number once, before anything else is opened. A number that is not open is
    // refused by fcntl and forgotten without being closed.
    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
    match fcntl(&descriptor, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)) {
        Ok(_) => Some(descriptor),
        Err(_) => {
            std::mem::forget(descriptor);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_announced_to_another_or_beyond_count_are_none() {
        assert_eq!(announced(Some("7"), Some("2"), 7), 2);
        assert_eq!(announced(Some("8"), Some("2"), 7), 0);
        assert_eq!(announced(None, Some("2"), 7), 0);
        assert_eq!(announced(Some("7"), Some("many"), 7), 0);
        assert_eq!(announced(Some("7"), Some("-1"), 7), 0);
        assert_eq!(announced(Some("7"), Some("100000"), 7), 0);
        assert_eq!(announced(Some("7"), None, 7), 0);
    }
}
