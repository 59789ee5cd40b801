//! A process held by descriptor: no signal can reach another that got its pid later.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::start_time;
use crate::clock;
use crate::error::{Doing, SysError, SysResult};

/// A process, held; close-on-exec, and readable (for epoll and poll) once the process has ended.
#[derive(Debug)]
pub struct Pidfd {
    fd: OwnedFd,
    pid: u32,
}

impl Pidfd {
    /// Holds the process that has this pid now; an error of kind `NotFound` where there is none.
    pub fn open(pid: u32) -> SysResult<Self> {
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let Some(raw) = raw else {
            let invalid = io::Error::from(io::ErrorKind::InvalidInput);
            return Err(invalid).doing("hold the process", pid);
        };
        match pidfd_open(raw, PidfdFlags::empty()) {
            Ok(fd) => Ok(Self { fd, pid }),
            Err(rustix::io::Errno::SRCH) => Err(not_found(pid)),
            Err(error) => Err(error).doing("hold the process", pid),
        }
    }

    /// Holds the very process that had this pid and start time; an error of kind `NotFound` where it is
    /// gone, even if another has its pid.
    pub fn open_started(pid: u32, started: u64) -> SysResult<Self> {
        let held = Self::open(pid)?;
        // Asked after it is held: if the start time is right now, it was right then.
        if start_time(pid)? == started {
            Ok(held)
        } else {
            Err(not_found(pid))
        }
    }

    /// The pid it was opened with.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends a signal by its number, real-time ones included; 0 only asks. Answers false where the process
    /// is gone already.
    pub fn signal(&self, signal: i32) -> SysResult<bool> {
        // SAFETY: the descriptor is open for the whole call; a null siginfo is allowed and means what
        // kill(2) would fill in; flags are 0.
        let sent = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.fd.as_raw_fd(),
                signal,
                std::ptr::null::<libc::siginfo_t>(),
                0,
            )
        };
        if sent == 0 {
            return Ok(true);
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() == Some(libc::ESRCH) {
            return Ok(false);
        }
        Err(error).doing("signal the process", self.pid)
    }

    /// Waits until the process has ended (it may still be a zombie), at most so long; answers whether it has.
    pub fn wait_exit(&self, limit: Option<Duration>) -> SysResult<bool> {
        let limit = limit.map(|limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
        let begun = clock::boottime_millis();
        loop {
            let spent = clock::boottime_millis().saturating_sub(begun);
            let left = limit.map(|limit| Duration::from_millis(limit.saturating_sub(spent)));
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            let mut polled = [PollFd::new(&self.fd, PollFlags::IN)];
            match poll(&mut polled, left.as_ref()) {
                Ok(0) => return Ok(false),
                Ok(_) => return Ok(true),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).doing("wait for the process", self.pid),
            }
        }
    }
}

impl AsFd for Pidfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Pidfd {
    fn as_raw_fd(&self) -> i32 {
        self.fd.as_raw_fd()
    }
}

fn not_found(pid: u32) -> SysError {
    SysError::new("hold the process", pid, io::Error::from(io::ErrorKind::NotFound))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_held_process_is_signalled_and_waited_for() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let started = start_time(child.id()).unwrap();
        let held = Pidfd::open_started(child.id(), started).unwrap();
        assert!(
            Pidfd::open_started(child.id(), started + 1)
                .unwrap_err()
                .is_not_found()
        );
        assert!(!held.wait_exit(Some(Duration::from_millis(1))).unwrap());
        assert!(held.signal(libc::SIGRTMIN() + 3).unwrap());
        assert!(held.wait_exit(Some(Duration::from_secs(10))).unwrap());
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGRTMIN() + 3));
        assert!(!held.signal(libc::SIGKILL).unwrap());
    }

    #[test]
    fn a_pid_that_no_process_has_is_not_found() {
        let mut child = Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert!(Pidfd::open(pid).unwrap_err().is_not_found());
        assert!(Pidfd::open(0).is_err());
        assert!(Pidfd::open(u32::MAX).is_err());
    }
}
