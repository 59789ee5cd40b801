//! One execution of one plugin, bounded in time and in what it may say.
//!
//! The plugin is the leader of a process group of its own, so that what it executes in turn ends with it where
//! the time is over. It is not ended with the agent: what it began it completes, and its input, where that is a
//! pod's lock ([`super::lock`]), tells the next agent for how long.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use pinnace_sys::process::Pidfd;
use pinnace_sys::{Doing, SysError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};

/// The most that a plugin may answer.
pub(crate) const MAX_ANSWER: usize = 1024 * 1024;
/// What is kept of its error output, and of each text of its error object.
const MAX_WORDS: usize = 4096;
/// Its output may be held open by others for this long after its end.
const AFTERWARDS: Duration = Duration::from_secs(1);
/// A program that is just being written is tried again so often, after a pause.
const BUSY_TRIES: u32 = 20;
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// What became of an execution that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The host refused.
    #[error(transparent)]
    Host(#[from] SysError),
    /// It took too long, and was ended.
    #[error("netplugin did not end within {seconds} seconds, and was killed")]
    TimedOut {
        /// The limit.
        seconds: u64,
    },
    /// It said too much, and was ended.
    #[error("netplugin answered more than {MAX_ANSWER} bytes, and was killed")]
    TooLong,
    /// It failed, and says why.
    #[error("{}", with_details(.msg, .details))]
    Failed {
        /// Its error code: below 100 the specification's.
        code: u64,
        /// Its message.
        msg: String,
        /// More of it; may be empty.
        details: String,
    },
    /// It failed, and answered something that is no error object.
    #[error("netplugin failed but error parsing its diagnostic message {answer:?}")]
    Unreadable {
        /// What it answered.
        answer: String,
        /// What is wrong with that.
        #[source]
        source: serde_json::Error,
    },
    /// It failed, and only its error output tells why.
    #[error("netplugin failed: {words:?}")]
    Words {
        /// The error output.
        words: String,
    },
    /// It failed without a word.
    #[error("netplugin failed with no error message: {status}")]
    Silent {
        /// How it ended.
        status: ExitStatus,
    },
}

fn with_details(msg: &str, details: &str) -> String {
    match details {
        "" => msg.to_owned(),
        details => format!("{msg}; {details}"),
    }
}

/// The error object of the specification.
#[derive(serde::Deserialize)]
struct ErrorObject {
    #[serde(default)]
    code: u64,
    #[serde(default)]
    msg: String,
    #[serde(default)]
    details: String,
}

/// Executes a plugin to its end; answers what it printed.
pub(crate) fn run(
    program: &Path,
    environment: &[(String, String)],
    input: File,
    limit: Duration,
) -> Result<Vec<u8>, RunError> {
    let mut child = spawn(program, environment, input)?;
    let listened = listen(&mut child, Instant::now() + limit);
    if !matches!(listened, Ok(Heard { end: End::Ended, .. })) {
        // Not waited for yet, so the number is still its own.
        let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    }
    let status = child.wait().doing_on("wait for", program)?;
    let heard = listened?;
    match heard.end {
        End::Ended if status.success() => Ok(heard.answer),
        End::Ended => Err(failure(status, &heard)),
        End::OutOfTime => Err(RunError::TimedOut {
            seconds: limit.as_secs(),
        }),
        End::TooLong => Err(RunError::TooLong),
    }
}

fn spawn(program: &Path, environment: &[(String, String)], input: File) -> Result<Child, RunError> {
    let mut command = Command::new(program);
    command
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::from(input))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut tries = 0;
    loop {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && tries < BUSY_TRIES => {
                tries += 1;
                std::thread::sleep(BUSY_PAUSE);
            }
            spawned => return Ok(spawned.doing_on("execute", program)?),
        }
    }
}

enum End {
    Ended,
    OutOfTime,
    TooLong,
}

struct Heard {
    answer: Vec<u8>,
    words: Vec<u8>,
    end: End,
}

/// Reads both outputs until the plugin ended and closed them.
fn listen(child: &mut Child, mut deadline: Instant) -> Result<Heard, RunError> {
    let process = Pidfd::open(child.id())?;
    let mut stdout = Output::new(child.stdout.take(), MAX_ANSWER)?;
    let mut stderr = Output::new(child.stderr.take(), MAX_WORDS)?;
    let mut ended = false;
    let end = loop {
        if stdout.is_over {
            break End::TooLong;
        }
        if ended && stdout.pipe.is_none() && stderr.pipe.is_none() {
            break End::Ended;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break if ended { End::Ended } else { End::OutOfTime };
        }
        let mut polled: Vec<PollFd<'_>> = Vec::with_capacity(3);
        polled.extend(stdout.pipe.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        polled.extend(stderr.pipe.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        if !ended {
            polled.push(PollFd::new(&process, PollFlags::IN));
        }
        match poll(&mut polled, Timespec::try_from(left).ok().as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).doing("wait for the plugin", child.id())?,
        }
        stdout.read()?;
        stderr.read()?;
        if !ended && process.wait_exit(Some(Duration::ZERO))? {
            ended = true;
            deadline = Instant::now() + AFTERWARDS;
        }
    };
    Ok(Heard {
        answer: stdout.bytes,
        words: stderr.bytes,
        end,
    })
}

/// One output: kept up to a bound, read to its end.
struct Output<P> {
    pipe: Option<P>,
    bytes: Vec<u8>,
    max: usize,
    /// There was more than is kept.
    is_over: bool,
}

impl<P: Read + AsFd> Output<P> {
    fn new(pipe: Option<P>, max: usize) -> Result<Self, RunError> {
        if let Some(pipe) = &pipe {
            rustix::io::ioctl_fionbio(pipe, true).doing("prepare", "the plugin's output")?;
        }
        Ok(Self {
            pipe,
            bytes: Vec::new(),
            max,
            is_over: false,
        })
    }

    /// Reads some of what is there.
    fn read(&mut self) -> Result<(), RunError> {
        let mut buffer = [0; 8192];
        let Some(pipe) = &mut self.pipe else {
            return Ok(());
        };
        match pipe.read(&mut buffer) {
            Ok(0) => self.pipe = None,
            Ok(count) => {
                let room = self.max - self.bytes.len();
                self.is_over |= count > room;
                self.bytes.extend(buffer.iter().take(count.min(room)));
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) => {}
            Err(error) => return Err(error).doing("read", "the plugin's output")?,
        }
        Ok(())
    }
}

/// In libcni's words.
fn failure(status: ExitStatus, heard: &Heard) -> RunError {
    if heard.answer.is_empty() {
        let words = plain(&String::from_utf8_lossy(&heard.words));
        return match words.as_str() {
            "" => RunError::Silent { status },
            _ => RunError::Words { words },
        };
    }
    match serde_json::from_slice::<ErrorObject>(&heard.answer) {
        Ok(error) => RunError::Failed {
            code: error.code,
            msg: plain(&error.msg),
            details: plain(&error.details),
        },
        Err(source) => RunError::Unreadable {
            answer: plain(&String::from_utf8_lossy(&heard.answer)),
            source,
        },
    }
}

/// Without what a terminal or a log would take for more than text.
fn plain(text: &str) -> String {
    let clean = |sign: char| if sign.is_control() { ' ' } else { sign };
    text.trim().chars().take(MAX_WORDS).map(clean).collect()
}

#[cfg(test)]
mod tests;
