//! `pinnace-shim log URI`: the writer behind a `binary://` URI, for shims that are not ours.
//!
//! containerd's convention: the container's stdout is on descriptor 3, its stderr on 4, and 5 is closed once
//! the logger is ready. It ends when both streams have ended; SIGTERM and its like only end it after all that
//! was written so far is in the log.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::file::{LogFile, OpenLogError};
use super::pump::{Pump, Scratch, Turn};
use super::record::StreamName;
use super::uri::{LogTarget, LogUriError};

/// What a logger cannot do without.
#[derive(Debug, thiserror::Error)]
pub enum LoggerError {
    /// The argument.
    #[error("read the log's URI")]
    Uri(#[from] LogUriError),
    /// The file.
    #[error("begin the log")]
    Log(#[from] OpenLogError),
    /// Descriptor 3 or 4.
    #[error("take the stream on descriptor {descriptor}")]
    Stream {
        /// 3 or 4.
        descriptor: i32,
        /// Why not.
        #[source]
        source: Errno,
    },
    /// Signals, polling.
    #[error("{operation}")]
    Kernel {
        /// What was tried.
        operation: &'static str,
        /// Why not.
        #[source]
        source: Errno,
    },
}

const STDOUT: i32 = 3;
const STDERR: i32 = 4;
const READY: i32 = 5;

/// Runs until both streams have ended.
pub fn run(uri: &str) -> Result<(), LoggerError> {
    let target = LogTarget::parse(uri)?;
    let signals = ending_signals()?;
    let log = Rc::new(RefCell::new(LogFile::open(&target)?));
    let mut pumps = vec![
        Pump::new(reopen(STDOUT)?, StreamName::Stdout, Rc::clone(&log)),
        Pump::new(reopen(STDERR)?, StreamName::Stderr, log),
    ];
    // The originals are not needed any more, and closing the last one says that we are ready.
    for descriptor in [STDOUT, STDERR, READY] {
        let _ = nix::unistd::close(descriptor);
    }
    let mut scratch = Scratch::default();
    while !pumps.is_empty() {
        let (streams, told_to_end) = wait(&pumps, &signals)?;
        if told_to_end {
            for pump in &mut pumps {
                pump.drain(&mut scratch);
            }
            break;
        }
        let mut ready = streams.into_iter();
        pumps.retain_mut(|pump| !ready.next().unwrap_or(false) || pump.turn(&mut scratch) != Turn::Ended);
    }
    Ok(())
}

/// Opening a pipe anew through /proc gives a description of our own, whose O_NONBLOCK nobody else sees, and
/// which is close-on-exec.
fn reopen(descriptor: i32) -> Result<OwnedFd, LoggerError> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::open(format!("/proc/self/fd/{descriptor}"), flags, Mode::empty())
        .map_err(|source| LoggerError::Stream { descriptor, source })
}

fn ending_signals() -> Result<SignalFd, LoggerError> {
    let failed = |errno: nix::Error| LoggerError::Kernel {
        operation: "watch signals",
        source: Errno::from_raw_os_error(errno as i32),
    };
    let mut set = SigSet::empty();
    set.add(Signal::SIGTERM);
    set.add(Signal::SIGINT);
    set.add(Signal::SIGHUP);
    set.thread_block().map_err(failed)?;
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map_err(failed)
}

fn wait(pumps: &[Pump], signals: &SignalFd) -> Result<(Vec<bool>, bool), LoggerError> {
    let mut fds: Vec<PollFd<'_>> = pumps
        .iter()
        .map(|pump| PollFd::from_borrowed_fd(pump.source(), PollFlags::IN))
        .chain([PollFd::new(signals, PollFlags::IN)])
        .collect();
    match poll(&mut fds, None) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(source) => {
            return Err(LoggerError::Kernel {
                operation: "poll the streams",
                source,
            });
        }
    }
    let mut ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
    let told_to_end = ready.pop().unwrap_or(false);
    Ok((ready, told_to_end))
}
