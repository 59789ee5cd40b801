//! A PID namespace that a pod's containers share (`shareProcessNamespace`), and its first process.
//!
//! Our shim's program makes both, see `pinnace-shim reaper`: the process is nobody's child for long, lives in the pod's
//! cgroup, and so is ended with it. A namespace whose first process is gone takes no process any more, so the sandbox
//! is broken then.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pinnace_shim::program::args::REAPER_GO;
use pinnace_sys::{Doing, SysError, mount, namespace, process};

use super::create::Request;
use crate::error::RuntimeError;
use crate::paths::PodPaths;
use crate::records::{self, ReaperRecord};

/// The file that pins the namespace.
pub const PID_PIN: &str = "pid";
const RECORD: &str = "reaper.json";
/// The group of the process within the pod's.
const GROUP: &str = "init";
/// It takes some milliseconds.
const LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(1);
const KILL_LIMIT: Duration = Duration::from_secs(10);
const MAX_ANSWER: u64 = 4096;

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum ReaperError {
    /// The program.
    #[error("execute {}", program.display())]
    Execute {
        /// Its path.
        program: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// It said that it cannot.
    #[error("make a PID namespace for the pod: {0}")]
    Failed(String),
    /// It did not end.
    #[error("making a PID namespace for the pod was not done within {} s", LIMIT.as_secs())]
    TimedOut,
}

/// Whether the pod has no such namespace, or one whose first process lives.
pub fn is_whole(paths: &PodPaths) -> Result<bool, RuntimeError> {
    let pin = paths.file(PID_PIN);
    match records::read::<ReaperRecord>(&paths.file(RECORD))? {
        Some(record) => Ok(namespace::is_pinned(&pin)? && process::is_alive(record.pid, record.start_time)),
        None => Ok(!pin.exists()),
    }
}

/// Makes the namespace where there is none that is whole.
pub fn ensure(request: &Request<'_>, paths: &PodPaths, cgroup: &str) -> Result<(), RuntimeError> {
    if paths.file(RECORD).exists() && is_whole(paths)? {
        return Ok(());
    }
    let group = request.cgroups.group(cgroup)?.child(GROUP)?;
    if group.exists() {
        group.kill(KILL_LIMIT)?;
    }
    let pin = paths.file(PID_PIN);
    if namespace::is_pinned(&pin)? {
        mount::unmount(&pin)?;
    }
    group.create()?;
    let program = request.shim;
    let failed = |source| ReaperError::Execute {
        program: program.to_owned(),
        source,
    };
    let mut child = Command::new(program)
        .arg("reaper")
        .arg(&paths.sandbox)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let outcome = begin(&mut child, |pid| group.add_process(pid));
    if outcome.is_err() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let pid = outcome?;
    let record = ReaperRecord {
        pid,
        start_time: process::start_time(pid)?,
    };
    records::write(&paths.file(RECORD), &record)
}

/// Lets the program go on once it is in the pod's cgroup, and reads the pid that it answers with.
fn begin(child: &mut Child, confine: impl Fn(u32) -> Result<(), SysError>) -> Result<u32, RuntimeError> {
    confine(child.id())?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin
            .write_all(REAPER_GO)
            .doing("tell", "the PID namespace's maker")?;
    }
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().doing("wait for", "the PID namespace's maker")? {
            break status;
        }
        if begun.elapsed() > LIMIT {
            return Err(ReaperError::TimedOut.into());
        }
        std::thread::sleep(POLL);
    };
    let (mut answer, mut complaint) = (String::new(), String::new());
    if let Some(stdout) = child.stdout.take() {
        let _ = stdout.take(MAX_ANSWER).read_to_string(&mut answer);
    }
    if let Some(stderr) = child.stderr.take() {
        let _ = stderr.take(MAX_ANSWER).read_to_string(&mut complaint);
    }
    match answer.trim().parse() {
        Ok(pid) if status.success() => Ok(pid),
        _ => Err(ReaperError::Failed(complaint.trim().to_owned()).into()),
    }
}
