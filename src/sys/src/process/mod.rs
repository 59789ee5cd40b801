//! Processes: held by pidfd or told by (pid, start time), never by a bare pid, which the kernel may give to
//! another at any time.

mod capability;
mod pidfd;

use std::ffi::CString;
use std::io;
use std::path::{Path, PathBuf};

pub use capability::{Capabilities, CapabilitySet, capabilities, capability_name, capability_number};
pub use pidfd::Pidfd;

use crate::error::{Doing, SysError, SysResult};
use crate::file;

/// The most that `/proc/PID/stat` and the like may hold.
const PROC_FILE_MAX: u64 = 64 * 1024;

/// Bounds how many arenas the C library's allocator keeps: each holds memory back for threads that come and
/// go. To be called before threads are started; elsewhere than under glibc it does nothing.
pub fn bound_malloc_arenas(arenas: i32) {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt takes two plain numbers, and M_ARENA_MAX only bounds what later allocations may make.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, arenas);
    }
    #[cfg(not(target_env = "gnu"))]
    let _ = arenas;
}

/// What `/proc/PID/stat` tells of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessStat {
    /// The command's name, up to 15 bytes; may hold anything.
    pub command: String,
    /// `R`, `S`, `D`, `Z`, ….
    pub state: char,
    /// The parent.
    pub parent: u32,
    /// When it started, in clock ticks since boot: with the pid it is unique within a boot.
    pub start_time: u64,
}

impl ProcessStat {
    /// It has ended and only waits to be reaped.
    pub fn is_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

/// Reads `/proc/PID/stat`.
pub fn stat(pid: u32) -> SysResult<ProcessStat> {
    let path = PathBuf::from(format!("/proc/{pid}/stat"));
    let content = file::read_limited(&path, PROC_FILE_MAX).map_err(gone_is_not_found)?;
    parse_stat(&String::from_utf8_lossy(&content)).ok_or_else(|| {
        SysError::on(
            "parse",
            &path,
            io::ErrorKind::InvalidData,
            "not in the kernel's format",
        )
    })
}

/// When a process started, in clock ticks since boot; an error of kind `NotFound` where there is none.
pub fn start_time(pid: u32) -> SysResult<u64> {
    stat(pid).map(|stat| stat.start_time)
}

/// Whether the very process that had this pid and start time still runs (a zombie does not).
pub fn is_alive(pid: u32, start_time: u64) -> bool {
    stat(pid).is_ok_and(|stat| stat.start_time == start_time && !stat.is_ended())
}

fn gone_is_not_found(mut error: SysError) -> SysError {
    if error.errno() == Some(libc::ESRCH) {
        error.source = io::Error::from(io::ErrorKind::NotFound);
    }
    error
}

fn parse_stat(text: &str) -> Option<ProcessStat> {
    // The command may hold blanks and brackets; only its last bracket ends it.
    let (head, tail) = text.rsplit_once(')')?;
    let (_, command) = head.split_once('(')?;
    let mut fields = tail.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    // Field 22 of the file; state is field 3, the parent field 4.
    let start_time = fields.nth(22 - 5)?.parse().ok()?;
    Some(ProcessStat {
        command: command.to_owned(),
        state,
        parent,
        start_time,
    })
}

/// What came of a wish for an `oom_score_adj`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OomScoreAdj {
    /// It is set.
    Set,
    /// Without CAP_SYS_RESOURCE the value may not go below what it was; it stays.
    Refused {
        /// The value that stands.
        still: i32,
    },
}

/// Sets `oom_score_adj` (-1000 to 1000) of a process, of this one where `pid` is `None`.
pub fn set_oom_score_adj(pid: Option<u32>, value: i32) -> SysResult<OomScoreAdj> {
    let path = match pid {
        Some(pid) => PathBuf::from(format!("/proc/{pid}/oom_score_adj")),
        None => PathBuf::from("/proc/self/oom_score_adj"),
    };
    match std::fs::write(&path, value.to_string()) {
        Ok(()) => Ok(OomScoreAdj::Set),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let still = oom_score_adj(&path)?;
            Ok(if still == value {
                OomScoreAdj::Set
            } else {
                OomScoreAdj::Refused { still }
            })
        }
        Err(error) => Err(error).doing_on("write", &path).map_err(gone_is_not_found),
    }
}

fn oom_score_adj(path: &Path) -> SysResult<i32> {
    let text = file::read_text(path, 64)?;
    text.trim()
        .parse()
        .map_err(|_| SysError::on("parse", path, io::ErrorKind::InvalidData, "not a number"))
}

/// Makes this process the parent of all orphans among its descendants.
pub fn set_child_subreaper() -> SysResult<()> {
    nix::sys::prctl::set_child_subreaper(true).doing("become the subreaper of", "descendants")
}

/// Names this thread (for the main thread: the process), cut to the kernel's 15 bytes.
pub fn set_name(name: &str) -> SysResult<()> {
    let cut: Vec<u8> = name.bytes().filter(|byte| *byte != 0).take(15).collect();
    let name = CString::new(cut).map_err(io::Error::from);
    name.and_then(|name| Ok(nix::sys::prctl::set_name(&name)?))
        .doing("name", "the thread")
}

/// Sees to it that no program that this process executes inherits a descriptor beside the three standard streams.
pub fn hand_down_no_descriptors() -> SysResult<()> {
    for (fd, _) in inheritable_descriptors()? {
        if fd > 2 {
            // SAFETY: it sets a flag of a descriptor and touches no memory; whoever owns the descriptor keeps it.
            let set = unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
            if set < 0 && io::Error::last_os_error().raw_os_error() != Some(libc::EBADF) {
                return Err(io::Error::last_os_error()).doing("keep back", format!("descriptor {fd}"));
            }
        }
    }
    Ok(())
}

/// Descriptors of this process that a program executed by it would inherit, with what they lead to; the
/// standard streams are left out.
pub fn inheritable_descriptors() -> SysResult<Vec<(i32, PathBuf)>> {
    let path = Path::new("/proc/self/fdinfo");
    let mut inheritable = Vec::new();
    for entry in std::fs::read_dir(path).doing_on("list", path)? {
        let entry = entry.doing_on("list", path)?;
        let name = entry.file_name();
        let Some(number) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        // One that is closed meanwhile (the listing's own, for one) is not inherited.
        let Ok(info) = file::read_text(&entry.path(), PROC_FILE_MAX) else {
            continue;
        };
        if number > 2 && !is_close_on_exec(&info) {
            let target = std::fs::read_link(format!("/proc/self/fd/{number}")).unwrap_or_default();
            inheritable.push((number, target));
        }
    }
    Ok(inheritable)
}

fn is_close_on_exec(fdinfo: &str) -> bool {
    let flags = fdinfo.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|text| i64::from_str_radix(text.trim(), 8).ok());
    flags.is_some_and(|flags| flags & i64::from(libc::O_CLOEXEC) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_command_is_called() {
        let line = "42 (a) b (c)) S 7 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 1 2 3\n";
        let stat = parse_stat(line).unwrap();
        assert_eq!(stat.command, "a) b (c)");
        assert_eq!((stat.state, stat.parent, stat.start_time), ('S', 7, 987_654));
        assert_eq!(parse_stat("42 (x) S 1"), None);
    }

    #[test]
    fn a_process_is_alive_only_with_its_own_start_time() {
        let pid = std::process::id();
        let started = start_time(pid).unwrap();
        assert!(is_alive(pid, started));
        assert!(!is_alive(pid, started + 1));
        assert!(!is_alive(0, started));
    }

    #[test]
    fn a_zombie_is_not_alive() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pidfd = Pidfd::open(child.id()).unwrap();
        let started = start_time(child.id()).unwrap();
        assert!(pidfd.wait_exit(Some(std::time::Duration::from_secs(10))).unwrap());
        assert!(!is_alive(child.id(), started));
        child.wait().unwrap();
        assert!(start_time(child.id()).unwrap_err().is_not_found());
    }

    #[test]
    fn oom_score_adj_goes_up_and_reports_where_it_may_not_go_down() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Some(child.id());
        let before = oom_score_adj(&PathBuf::from(format!("/proc/{}/oom_score_adj", child.id()))).unwrap();
        let up = set_oom_score_adj(pid, 1000);
        let down = set_oom_score_adj(pid, -1000);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(up.unwrap(), OomScoreAdj::Set, "was {before}");
        let privileged = capabilities().unwrap().effective.has("CAP_SYS_RESOURCE");
        match down.unwrap() {
            OomScoreAdj::Set => assert!(privileged),
            OomScoreAdj::Refused { still } => assert_eq!((privileged, still), (false, 1000)),
        }
    }

    #[test]
    fn a_descriptor_without_close_on_exec_is_found() {
        let (first, second) = rustix::pipe::pipe().unwrap();
        let found = inheritable_descriptors().unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&first);
        assert!(found.iter().any(|(fd, _)| *fd == number));
        rustix::io::fcntl_setfd(&first, rustix::io::FdFlags::CLOEXEC).unwrap();
        let found = inheritable_descriptors().unwrap();
        assert!(!found.iter().any(|(fd, _)| *fd == number));
        drop(second);
    }

    #[test]
    fn names_are_cut_to_what_the_kernel_takes() {
        let name = std::thread::spawn(|| {
            set_name("a-name-that-is-far-too-long").unwrap();
            std::fs::read_to_string("/proc/thread-self/comm").unwrap()
        });
        assert_eq!(name.join().unwrap(), "a-name-that-is-\n");
    }
}
