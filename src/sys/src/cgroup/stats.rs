//! What a group used, read in one unit whatever the version.

mod v1;
mod v2;

use super::{Cgroup, CgroupVersion};
use crate::error::SysResult;

/// What a group used; a part is `None` where the host does not have its controller.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CgroupStats {
    /// CPU time.
    pub cpu: Option<CpuStats>,
    /// Memory.
    pub memory: Option<MemoryStats>,
    /// Processes and threads.
    pub pids: Option<PidsStats>,
    /// Block devices, by number.
    pub io: Vec<IoStats>,
}

/// CPU time, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CpuStats {
    /// All of it.
    pub usage_ns: u64,
    /// Outside the kernel.
    pub user_ns: u64,
    /// Within the kernel.
    pub system_ns: u64,
    /// Enforcement periods that passed; 0 without a quota.
    pub periods: u64,
    /// Those of them in which the group had to wait.
    pub throttled_periods: u64,
    /// How long it waited.
    pub throttled_ns: u64,
}

/// Memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryStats {
    /// All that is charged to the group.
    pub usage_bytes: u64,
    /// Usage without the file pages that could go at once, as Kubernetes counts it.
    pub working_set_bytes: u64,
    /// The most that was ever used; `None` where the kernel does not keep it (version 2 before 5.19).
    pub max_usage_bytes: Option<u64>,
    /// Anonymous memory.
    pub rss_bytes: u64,
    /// File pages.
    pub cache_bytes: u64,
    /// File pages mapped by a process.
    pub mapped_file_bytes: u64,
    /// Memory that was swapped out.
    pub swap_bytes: u64,
    /// File pages not used lately.
    pub inactive_file_bytes: u64,
    /// File pages used lately.
    pub active_file_bytes: u64,
    /// The limit; `None` without one.
    pub limit_bytes: Option<u64>,
    /// Times that the limit was reached.
    pub limit_hits: u64,
    /// Processes killed for want of memory, in this group and beneath.
    pub oom_kills: u64,
    /// Page faults.
    pub page_faults: u64,
    /// Those that had to read.
    pub major_page_faults: u64,
}

/// Processes and threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PidsStats {
    /// Processes and threads now.
    pub current: u64,
    /// The limit; `None` without one.
    pub limit: Option<u64>,
}

/// What went to and from one block device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IoStats {
    /// The device's major number.
    pub major: u32,
    /// Its minor number.
    pub minor: u32,
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub write_bytes: u64,
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
}

impl Cgroup {
    /// Reads all statistics; all parts are empty where the group is not there.
    pub fn stats(&self) -> SysResult<CgroupStats> {
        Ok(CgroupStats {
            cpu: self.cpu_stats()?,
            memory: self.memory_stats()?,
            pids: self.pids_stats()?,
            io: self.io_stats()?,
        })
    }

    /// CPU time.
    pub fn cpu_stats(&self) -> SysResult<Option<CpuStats>> {
        cpu(self)
    }

    /// Memory.
    pub fn memory_stats(&self) -> SysResult<Option<MemoryStats>> {
        memory(self, || self.oom_kills())
    }

    /// Block devices.
    pub fn io_stats(&self) -> SysResult<Vec<IoStats>> {
        match self.groups.version() {
            CgroupVersion::V1 => v1::io(self),
            CgroupVersion::V2 => v2::io(self),
        }
    }

    /// Processes and threads.
    pub fn pids_stats(&self) -> SysResult<Option<PidsStats>> {
        pids(self)
    }

    /// How many processes of the group and of those beneath it were killed for want of memory; `None` where
    /// the host does not count it or the group is not there.
    pub fn oom_kills(&self) -> SysResult<Option<u64>> {
        match self.groups.version() {
            CgroupVersion::V1 => v1::oom_kills(self),
            CgroupVersion::V2 => v2::oom_kills(self),
        }
    }
}

/// A group's files, by path or by directories held open.
pub(super) trait Files {
    fn version(&self) -> CgroupVersion;
    /// What `parse` makes of a file; `None` where hierarchy, group or file is not there.
    fn with<T>(&self, controller: &str, name: &str, parse: impl FnOnce(&str) -> T) -> SysResult<Option<T>>;
}

impl Files for Cgroup {
    fn version(&self) -> CgroupVersion {
        self.groups.version()
    }

    fn with<T>(&self, controller: &str, name: &str, parse: impl FnOnce(&str) -> T) -> SysResult<Option<T>> {
        Ok(self.read(controller, name)?.as_deref().map(parse))
    }
}

pub(super) fn cpu(files: &impl Files) -> SysResult<Option<CpuStats>> {
    match files.version() {
        CgroupVersion::V1 => v1::cpu(files),
        CgroupVersion::V2 => v2::cpu(files),
    }
}

/// `kills` is asked for only where no file that is read anyway tells them.
pub(super) fn memory(
    files: &impl Files,
    kills: impl FnOnce() -> SysResult<Option<u64>>,
) -> SysResult<Option<MemoryStats>> {
    match files.version() {
        CgroupVersion::V1 => v1::memory(files, kills),
        CgroupVersion::V2 => v2::memory(files),
    }
}

/// The files' names are those of both versions.
pub(super) fn pids(files: &impl Files) -> SysResult<Option<PidsStats>> {
    let Some(current) = number(files, "pids", "pids.current")? else {
        return Ok(None);
    };
    let limit = number(files, "pids", "pids.max")?;
    Ok(Some(PidsStats { current, limit }))
}

/// A file of one number; `max` and what is no number are `None`.
pub(super) fn number(files: &impl Files, controller: &str, name: &str) -> SysResult<Option<u64>> {
    Ok(files
        .with(controller, name, |text| text.trim().parse().ok())?
        .flatten())
}

/// The numbers of these keys in lines of `key number`.
fn fields<const N: usize>(text: &str, keys: [&str; N]) -> [Option<u64>; N] {
    let mut found = [None; N];
    for (key, value) in text.lines().filter_map(|line| line.split_once(' ')) {
        if let Some(place) = keys.iter().position(|wanted| *wanted == key) {
            found[place] = value.trim().parse().ok();
        }
    }
    found
}

/// [`fields`] of a file, with 0 for what is not there.
fn counts<const N: usize>(
    files: &impl Files,
    controller: &str,
    name: &str,
    keys: [&str; N],
) -> SysResult<Option<[u64; N]>> {
    files.with(controller, name, |text| {
        fields(text, keys).map(|count| count.unwrap_or(0))
    })
}

fn device(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
