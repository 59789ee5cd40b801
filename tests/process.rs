//! Processes as a test sees them from outside.

use std::path::Path;

/// A process, told from a later one of the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    started: u64,
}

impl Process {
    /// The process that has this number now.
    #[track_caller]
    pub fn now(pid: u32) -> Self {
        let started = pinnace_sys::process::start_time(pid).unwrap();
        Self { pid, started }
    }

    /// Whether it runs.
    pub fn is_alive(&self) -> bool {
        pinnace_sys::process::is_alive(self.pid, self.started)
    }
}

/// Numbers of all processes whose command line has all of these texts.
pub fn find(texts: &[&str]) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if texts.iter().all(|text| line.contains(text)) {
            found.push(pid);
        }
    }
    found
}

/// Shims of the node with this root; of one pod, where a UID is given.
pub fn shims(root: &Path, uid: Option<&str>) -> Vec<u32> {
    find(&["pinnace-shim", root.to_str().unwrap(), uid.unwrap_or_default()])
}

/// How many descriptors a process has open.
pub fn descriptors(pid: i32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// How many threads a process has: those of tokio's pool, which come and go with work that waits for the
/// disk, and all others.
pub fn threads(pid: i32) -> (usize, usize) {
    let mut counts = (0, 0);
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten() {
        let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        if name.starts_with("tokio") {
            counts.0 += 1;
        } else {
            counts.1 += 1;
        }
    }
    counts
}

/// Processes in the cgroups of the node with this root.
pub fn in_cgroups(root: &Path) -> Vec<u32> {
    let folder = format!("/{}/", crate::leaks::cgroup_folder(root));
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let pid: Option<u32> = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let groups = std::fs::read_to_string(entry.path().join("cgroup")).unwrap_or_default();
        found.extend(pid.filter(|_| groups.contains(&folder)));
    }
    found
}
