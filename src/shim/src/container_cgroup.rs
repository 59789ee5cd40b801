//! A container's own cgroup: its processes, its out-of-memory kills, its end.
//!
//! It is read from the first process and believed only where it cannot be an ancestor of our own, so that
//! nothing but the container can be hit.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use pinnace_sys::file;
use pinnace_sys::process::Pidfd;

const MOUNT: &str = "/sys/fs/cgroup";
const MAX_FILE_BYTES: u64 = 1 << 20;
const MAX_GROUPS: usize = 4096;

/// Where a container's cgroup lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerCgroup {
    directory: PathBuf,
    unified: bool,
}

impl ContainerCgroup {
    /// The cgroup of a container's first process; `None` where it has none of its own.
    pub fn of(pid: u32) -> Option<Self> {
        let unified = Path::new(MOUNT).join("cgroup.controllers").exists();
        let path_of = |process: &str| {
            let text = file::read_text(Path::new(&format!("/proc/{process}/cgroup")), MAX_FILE_BYTES).ok()?;
            parse_membership(&text, unified)
        };
        let (theirs, ours) = (path_of(&pid.to_string())?, path_of("self")?);
        if Path::new(&ours).starts_with(&theirs) {
            return None;
        }
        let hierarchy = if unified {
            MOUNT.into()
        } else {
            format!("{MOUNT}/memory")
        };
        Some(Self {
            directory: PathBuf::from(format!("{hierarchy}{theirs}")),
            unified,
        })
    }

    /// How often the kernel killed a process here for memory.
    pub fn oom_kills(&self) -> u64 {
        let name = if self.unified {
            "memory.events"
        } else {
            "memory.oom_control"
        };
        let text = file::read_text(&self.directory.join(name), MAX_FILE_BYTES).unwrap_or_default();
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
    }

    /// All processes here and below.
    pub fn processes(&self) -> Vec<u32> {
        let mut found = Vec::new();
        let mut groups = VecDeque::from([self.directory.clone()]);
        let mut visited = 0;
        while let Some(group) = groups.pop_front()
            && visited < MAX_GROUPS
        {
            visited += 1;
            let text = file::read_text(&group.join("cgroup.procs"), MAX_FILE_BYTES).unwrap_or_default();
            found.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()));
            let entries = std::fs::read_dir(&group)
                .into_iter()
                .flatten()
                .filter_map(Result::ok);
            let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            groups.extend(directories.map(|entry| entry.path()));
        }
        found
    }

    /// Sends SIGKILL to all processes here and below; true where there was none any more.
    pub fn kill(&self) -> bool {
        if self.unified && std::fs::write(self.directory.join("cgroup.kill"), "1").is_ok() {
            return self.processes().is_empty();
        }
        let processes = self.processes();
        // A pid that was read may be another's by now: each is held first, and signalled only if it is still
        // listed.
        let held: Vec<Pidfd> = processes
            .iter()
            .filter_map(|pid| Pidfd::open(*pid).ok())
            .collect();
        let still = if held.is_empty() {
            Vec::new()
        } else {
            self.processes()
        };
        for process in held.iter().filter(|process| still.contains(&process.pid())) {
            let _ = process.signal(libc::SIGKILL);
        }
        processes.is_empty()
    }
}

/// The path in the hierarchy that accounts memory.
fn parse_membership(text: &str, unified: bool) -> Option<String> {
    text.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let wanted = match unified {
            true => number == "0" && controllers.is_empty(),
            false => controllers.split(',').any(|name| name == "memory"),
        };
        (wanted && path.starts_with('/')).then(|| path.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_that_of_the_memory_hierarchy() {
        let v1 = "4:cpu,cpuacct:/a\n3:memory:/kubepods/x\n0::/unified\n";
        assert_eq!(parse_membership(v1, false).as_deref(), Some("/kubepods/x"));
        assert_eq!(parse_membership(v1, true).as_deref(), Some("/unified"));
        assert_eq!(parse_membership("1:cpu:/a\n", false), None);
    }

    #[test]
    fn our_own_cgroup_is_never_taken_for_a_containers() {
        assert_eq!(ContainerCgroup::of(std::process::id()), None);
    }
}
