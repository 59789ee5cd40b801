//! The first process of a PID namespace that a pod's containers share: it reaps what they orphan, and nothing else.
//!
//! ```text
//! agent ──▶ pinnace-shim reaper FOLDER      in the pod's cgroup, ends once all is made
//!              └─ in the pod's namespaces, and a PID namespace that is new: /pause
//! ```
//!
//! The namespace lives as long as this process, and ends with it; it is found by the pod's cgroup, and by the file
//! `pid` in the sandbox's folder, which pins the namespace. A container may look at it, so there is nothing to be had
//! of it: its root is an empty directory, it has no user's rights, no capability and no descriptor, and it cannot be
//! traced. Signals from within the pod do not reach it.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Gid, Uid, chdir, pivot_root, setgroups, setresgid, setresuid};
use pinnace_sys::{SysError, namespace, process};

use super::args::REAPER_GO;
use crate::chain::chain;

/// What it is called, so that people know it from other clusters.
const NAME: &str = "/pause";
/// Whom it runs as: nobody whom an image knows.
const NOBODY: u32 = 65_535;
const READY: &[u8] = b"ready";
/// Of what goes wrong, no more is told.
const MAX_ANSWER: u64 = 4096;

/// Why there is no such process.
#[derive(Debug, thiserror::Error)]
pub enum ReaperError {
    /// The pod's namespaces, or the pin.
    #[error(transparent)]
    Sys(#[from] SysError),
    /// A step in this process.
    #[error("{step}")]
    Step {
        /// What was tried.
        step: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The new process could not make itself harmless.
    #[error("the first process of the PID namespace did not begin: {0}")]
    NotBegun(String),
}

fn step<T>(step: &'static str, result: Result<T, impl Into<io::Error>>) -> Result<T, ReaperError> {
    result.map_err(|error| ReaperError::Step {
        step,
        source: error.into(),
    })
}

/// Whether this process was started under the name of the first process.
pub fn is_called(name: Option<&OsStr>) -> bool {
    name.is_some_and(|name| name == NAME)
}

/// Makes the namespace and its first process for the sandbox in `folder`, and answers with its pid. Waits for
/// [`REAPER_GO`] first: whoever started it puts it into the pod's cgroup before that.
pub fn start(folder: &Path) -> Result<String, ReaperError> {
    let mut told = Vec::new();
    let read = io::stdin().take(MAX_ANSWER).read_to_end(&mut told);
    step("wait for the start", read)?;
    if told != REAPER_GO {
        return Err(ReaperError::NotBegun("whoever started it is gone".to_owned()));
    }
    for name in ["net", "ipc", "uts"] {
        let pin = folder.join(name);
        if namespace::is_pinned(&pin)? {
            namespace::enter(&pin)?;
        }
    }
    process::hand_down_no_descriptors()?;
    step("make a PID namespace", unshare(CloneFlags::CLONE_NEWPID))?;
    let mut child = step(
        "start the first process of the PID namespace",
        Command::new("/proc/self/exe")
            .arg0(NAME)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn(),
    )?;
    let mut answer = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        step(
            "read its answer",
            stdout.take(MAX_ANSWER).read_to_end(&mut answer),
        )?;
    }
    if answer != READY {
        let _ = child.kill();
        return Err(ReaperError::NotBegun(
            String::from_utf8_lossy(&answer).into_owned(),
        ));
    }
    if let Err(error) = namespace::pin_pid_namespace(child.id(), &folder.join("pid")) {
        let _ = child.kill();
        let _ = child.wait();
        return Err(error.into());
    }
    Ok(child.id().to_string())
}

/// Is that process, until it is killed.
pub fn run() -> ExitCode {
    let mut told = io::stdout();
    let outcome = isolate();
    let answer = match &outcome {
        Ok(_) => READY.to_vec(),
        Err(error) => chain(error).into_bytes(),
    };
    let written = told.write_all(&answer).and_then(|()| told.flush());
    match (outcome, written) {
        (Ok(nothing), Ok(())) if nix::unistd::dup2_stdout(&nothing).is_ok() => {
            drop(nothing);
            reap()
        }
        _ => ExitCode::FAILURE,
    }
}

/// Gives all away; answers with what takes standard output's place.
fn isolate() -> Result<std::fs::File, ReaperError> {
    let nothing = step(
        "open /dev/null",
        std::fs::File::options().write(true).open("/dev/null"),
    )?;
    step("block signals", SigSet::all().thread_block())?;
    process::set_name("pause")?;
    empty_root()?;
    step("leave all groups", setgroups(&[]))?;
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    step("change the group", setresgid(group, group, group))?;
    step("change the user", setresuid(user, user, user))?;
    step("give up new privileges", nix::sys::prctl::set_no_new_privs())?;
    step("forbid tracing", nix::sys::prctl::set_dumpable(false))?;
    Ok(nothing)
}

fn empty_root() -> Result<(), ReaperError> {
    const NONE: Option<&str> = None;
    let place = PathBuf::from("/proc");
    step("make a mount namespace", unshare(CloneFlags::CLONE_NEWNS))?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    step("part the mounts", mount(NONE, "/", NONE, private, NONE))?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_RDONLY;
    let mounted = mount(
        Some("none"),
        &place,
        Some("tmpfs"),
        flags,
        Some("size=4k,nr_inodes=2,mode=555"),
    );
    step("mount an empty root", mounted)?;
    step("go there", chdir(&place))?;
    // The old root lies upon the new one then, and goes.
    step("change the root", pivot_root(".", "."))?;
    step("leave the old root", umount2(".", MntFlags::MNT_DETACH))?;
    step("go to the new root", chdir("/"))
}

fn reap() -> ExitCode {
    let mut ended = SigSet::empty();
    ended.add(Signal::SIGCHLD);
    loop {
        let _ = ended.wait();
        while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            if status == WaitStatus::StillAlive {
                break;
            }
        }
    }
}
