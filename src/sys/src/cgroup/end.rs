//! The end of a group: of its processes first, then of itself.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Cgroup, groups_beneath, read_if_there, write};
use crate::error::{Doing, SysError, SysResult};
use crate::process::Pidfd;

/// The first pause between two looks, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));

impl Cgroup {
    /// Ends all processes of the group and of those beneath it by SIGKILL, and waits until none is left, at
    /// most so long (an error of kind `TimedOut`). A group that is not there is fine.
    pub fn kill(&self, limit: Duration) -> SysResult<()> {
        self.thaw()?;
        let mut pause = Pause::new(limit);
        loop {
            self.kill_at_once()?;
            let left = self.processes()?;
            if left.is_empty() {
                return Ok(());
            }
            self.signal_each(&left)?;
            if !pause.take() {
                let why = io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("processes left after SIGKILL: {left:?}"),
                );
                return Err(SysError::new(
                    "end all processes of the cgroup",
                    self.relative.display(),
                    why,
                ));
            }
        }
    }

    /// Removes the group and all beneath it from all hierarchies; one that is not there is fine. A group
    /// stays busy for a moment after its last process, so this tries again, at most so long. Goes on past
    /// an error, and answers the first.
    pub fn remove(&self, limit: Duration) -> SysResult<()> {
        let mut pause = Pause::new(limit);
        let mut first = Ok(());
        for directory in self.directories() {
            let removed = remove_directory(&directory, &mut pause);
            first = first.and(removed);
        }
        first
    }

    /// The kernel's own way, of version 2 and of the unified hierarchy in hybrid mode.
    fn kill_at_once(&self) -> SysResult<()> {
        let unified = self
            .groups
            .hierarchies()
            .iter()
            .find(|hierarchy| hierarchy.unified);
        let Some(unified) = unified else {
            return Ok(());
        };
        match write(&unified.mount_point.join(&self.relative).join("cgroup.kill"), "1") {
            // Kernels before 5.14 do not have it, and threaded groups do not do it.
            Err(error) if matches!(error.errno(), Some(libc::EOPNOTSUPP | libc::ENODEV)) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            other => other,
        }
    }

    /// A process that version 1's freezer holds does not even die.
    fn thaw(&self) -> SysResult<()> {
        let Some(directory) = self.directory("freezer") else {
            return Ok(());
        };
        for group in groups_beneath(&directory)? {
            let state = group.join("freezer.state");
            if read_if_there(&state)?.is_some_and(|state| state.trim() != "THAWED") {
                write(&state, "THAWED")?;
            }
        }
        Ok(())
    }

    /// A pid that was read may be another's by now: each is held first, and signalled only if the group
    /// still lists it.
    fn signal_each(&self, pids: &[u32]) -> SysResult<()> {
        let held: Vec<Pidfd> = pids.iter().filter_map(|pid| Pidfd::open(*pid).ok()).collect();
        let still = self.processes()?;
        for process in held {
            if still.binary_search(&process.pid()).is_ok() {
                process.signal(libc::SIGKILL)?;
            }
        }
        Ok(())
    }
}

fn remove_directory(directory: &Path, pause: &mut Pause) -> SysResult<()> {
    loop {
        let mut busy = None;
        for group in groups_beneath(directory)?.iter().rev() {
            match std::fs::remove_dir(group) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                    busy = Some((group.clone(), error))
                }
                Err(error) => return Err(error).doing_on("remove the cgroup", group),
            }
        }
        match busy {
            None => return Ok(()),
            Some(_) if pause.take() => {}
            Some((group, error)) => return Err(error).doing_on("remove the cgroup", &group),
        }
    }
}

/// Pauses that grow, until a limit.
struct Pause {
    until: Instant,
    next: Duration,
}

impl Pause {
    fn new(limit: Duration) -> Self {
        Self {
            until: Instant::now() + limit,
            next: PAUSE.0,
        }
    }

    /// Pauses; false where the time is up.
    fn take(&mut self) -> bool {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        std::thread::sleep(self.next.min(left));
        self.next = (self.next * 2).min(PAUSE.1);
        true
    }
}
