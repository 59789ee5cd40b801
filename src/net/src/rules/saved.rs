//! What iptables' own program says of the table `filter`: bounded in time and size.

use std::io::{ErrorKind, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use pinnace_sys::{Doing, SysError, SysResult};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Where it is, if not in the path.
const PLACES: [&str; 3] = ["", "/usr/sbin/", "/sbin/"];
/// It takes some milliseconds.
const LIMIT: Duration = Duration::from_secs(5);
/// The kernel's own chains come first; what comes later is not looked at.
const TEXT_MAX_BYTES: usize = 4 << 20;
/// The table as it is written.
const TABLE: &str = "*filter";
/// Who speaks to nftables says so in its first line, and knows nothing of the legacy tables.
const NOT_LEGACY: &str = "nf_tables";

/// Why nothing is known.
#[derive(Debug, thiserror::Error)]
pub(super) enum SavedError {
    /// None of the programs is there.
    #[error("{program} is not installed")]
    NotInstalled { program: &'static str },
    /// It did not end.
    #[error("{program} did not end within {} s", .limit.as_secs())]
    Hangs { program: &'static str, limit: Duration },
    /// It failed.
    #[error("{program} ended without an answer")]
    Silent { program: &'static str },
    /// The host refused.
    #[error(transparent)]
    Host(#[from] SysError),
}

/// The first of these programs that is there and speaks of the legacy tables, with what it says.
pub(super) fn filter_table(programs: [&'static str; 2]) -> Result<(&'static str, String), SavedError> {
    let [wanted, _] = programs;
    for program in programs {
        let Some(child) = start(program)? else {
            continue;
        };
        let text = listen(child, program)?;
        if text.lines().next().is_some_and(|line| line.contains(NOT_LEGACY)) {
            continue;
        }
        if !text.lines().any(|line| line == TABLE) {
            return Err(SavedError::Silent { program });
        }
        return Ok((program, text));
    }
    Err(SavedError::NotInstalled { program: wanted })
}

fn start(program: &'static str) -> SysResult<Option<Child>> {
    for place in PLACES {
        let started = Command::new(format!("{place}{program}"))
            .args(["-t", "filter"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        match started {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            started => return started.map(Some).doing("start", program),
        }
    }
    Ok(None)
}

fn listen(mut child: Child, program: &'static str) -> Result<String, SavedError> {
    let heard = match child.stdout.take() {
        Some(output) => read(output, Instant::now() + LIMIT),
        None => Ok(None),
    };
    // It is gone already, or is not listened to any more.
    let _ = child.kill();
    child.wait().doing("wait for", program)?;
    let heard = heard.doing("listen to", program)?;
    let bytes = heard.ok_or(SavedError::Hangs {
        program,
        limit: LIMIT,
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// All of it, or as much as is looked at; `None` where it does not end in time.
fn read(mut output: ChildStdout, deadline: Instant) -> std::io::Result<Option<Vec<u8>>> {
    let mut text = Vec::new();
    let mut piece = vec![0; 64 << 10];
    while text.len() < TEXT_MAX_BYTES {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).ok();
        match poll(&mut [PollFd::new(&output, PollFlags::IN)], left.as_ref()) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        match output.read(&mut piece)? {
            0 => break,
            length => text.extend_from_slice(&piece[..length]),
        }
    }
    Ok(Some(text))
}
