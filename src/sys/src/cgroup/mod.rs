//! Control groups, one face for both versions.
//!
//! With version 1 each controller has a hierarchy of its own (or shares one, as `cpu,cpuacct`), and there may
//! be others without controllers: `name=systemd`, and in hybrid mode a unified one. A [`Cgroup`] is one path
//! in all of them: made in all, emptied in all, removed from all. With version 2 there is the unified
//! hierarchy alone. Only what is mounted is used; nothing is ever mounted here.
//!
//! | module | does |
//! | --- | --- |
//! | `detect` | finds the hierarchies in the list of mounts |
//! | `create` | makes groups, hands controllers down, moves processes out of the way |
//! | `limits` | writes limits |
//! | `stats` | reads what a group used |
//! | `held` | the same, of a group that is read again and again |
//! | `end` | kills all processes of a group, removes groups |

mod create;
mod detect;
mod end;
mod held;
mod limits;
mod stats;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use held::HeldCgroup;
pub use limits::CgroupLimits;
pub use stats::{CgroupStats, CpuStats, IoStats, MemoryStats, PidsStats};

use crate::error::{Doing, SysError, SysResult};
use crate::file;
use crate::path::check_descending;

/// The most that is read of one file of a group; lists of processes are the longest.
const FILE_MAX: u64 = 16 << 20;
/// Groups are never looked for deeper than this beneath a group.
const MAX_DEPTH: u32 = 64;

/// Which version holds the controllers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupVersion {
    /// Version 1, or hybrid: the controllers are in version 1.
    V1,
    /// The unified hierarchy alone.
    V2,
}

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// Its controllers (version 1); `name=…` for one without.
    pub controllers: Vec<String>,
    /// It is the unified one.
    pub unified: bool,
}

/// The hierarchies of this host.
#[derive(Debug, Clone)]
pub struct Cgroups {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    version: CgroupVersion,
    hierarchies: Vec<Hierarchy>,
}

impl Cgroups {
    /// Which version holds the controllers.
    pub fn version(&self) -> CgroupVersion {
        self.inner.version
    }

    /// All mounted hierarchies.
    pub fn hierarchies(&self) -> &[Hierarchy] {
        &self.inner.hierarchies
    }

    /// The group of this path in all hierarchies; a leading `/` is allowed, `..` is not. The group need not
    /// be there.
    pub fn group(&self, path: impl AsRef<Path>) -> SysResult<Cgroup> {
        let path = path.as_ref();
        let relative = path.strip_prefix("/").unwrap_or(path);
        check_descending(relative)?;
        Ok(Cgroup {
            groups: self.clone(),
            relative: relative.to_owned(),
        })
    }

    /// The mounted hierarchy that has a controller.
    fn with_controller(&self, controller: &str) -> Option<&Hierarchy> {
        let has = |hierarchy: &&Hierarchy| match self.inner.version {
            CgroupVersion::V1 => hierarchy.controllers.iter().any(|name| name == controller),
            CgroupVersion::V2 => hierarchy.unified,
        };
        self.inner.hierarchies.iter().find(has)
    }
}

/// One group: a path in all hierarchies. Only a name, until [`Cgroup::create`] is called.
#[derive(Debug, Clone)]
pub struct Cgroup {
    groups: Cgroups,
    relative: PathBuf,
}

impl Cgroup {
    /// The path within the hierarchies, without a leading `/`.
    pub fn relative(&self) -> &Path {
        &self.relative
    }

    /// A group beneath this one.
    pub fn child(&self, name: impl AsRef<Path>) -> SysResult<Cgroup> {
        self.groups.group(self.relative.join(name))
    }

    /// The directory of the group in the hierarchy of a controller (with version 2: of any).
    pub fn directory(&self, controller: &str) -> Option<PathBuf> {
        let hierarchy = self.groups.with_controller(controller)?;
        Some(hierarchy.mount_point.join(&self.relative))
    }

    /// The directories of the group in all hierarchies.
    pub fn directories(&self) -> impl Iterator<Item = PathBuf> {
        let hierarchies = self.groups.inner.hierarchies.iter();
        hierarchies.map(|hierarchy| hierarchy.mount_point.join(&self.relative))
    }

    /// Whether the group is there in any hierarchy.
    pub fn exists(&self) -> bool {
        self.directories().any(|directory| directory.is_dir())
    }

    /// Whether the group is there in every hierarchy.
    pub fn is_complete(&self) -> bool {
        self.directories().all(|directory| directory.is_dir())
    }

    /// Names of the groups directly beneath, in any hierarchy; none where the group is not there.
    pub fn children(&self) -> SysResult<Vec<String>> {
        let mut names = Vec::new();
        for directory in self.directories() {
            names.extend(subdirectories(&directory)?);
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// Moves a process into the group, in all hierarchies.
    pub fn add_process(&self, pid: u32) -> SysResult<()> {
        for directory in self.directories() {
            write(&directory.join("cgroup.procs"), &pid.to_string())?;
        }
        Ok(())
    }

    /// The processes of this group and of all beneath it, in any hierarchy, in order.
    pub fn processes(&self) -> SysResult<Vec<u32>> {
        let mut pids = Vec::new();
        for directory in self.directories() {
            for group in groups_beneath(&directory)? {
                pids.extend(read_pids(&group)?);
            }
        }
        pids.sort_unstable();
        pids.dedup();
        Ok(pids)
    }

    /// Reads a file of the group in a controller's hierarchy; `None` where hierarchy, group or file is not
    /// there.
    pub fn read(&self, controller: &str, name: &str) -> SysResult<Option<String>> {
        match self.directory(controller) {
            Some(directory) => read_if_there(&directory.join(name)),
            None => Ok(None),
        }
    }

    /// Writes a file of the group in a controller's hierarchy.
    pub fn write(&self, controller: &str, name: &str, value: &str) -> SysResult<()> {
        let Some(directory) = self.directory(controller) else {
            let why = io::Error::new(io::ErrorKind::Unsupported, "the controller is not mounted");
            return Err(SysError::new("write the cgroup file", name, why));
        };
        write(&directory.join(name), value)
    }
}

fn write(path: &Path, value: &str) -> SysResult<()> {
    use std::io::Write as _;
    let opened = std::fs::OpenOptions::new().write(true).truncate(true).open(path);
    opened
        .and_then(|mut file| file.write_all(value.as_bytes()))
        .doing_on("write", path)
}

fn read_if_there(path: &Path) -> SysResult<Option<String>> {
    match file::read_text(path, FILE_MAX) {
        Ok(text) => Ok(Some(text)),
        // ENODEV: the group is being removed.
        Err(error) if error.is_not_found() || error.errno() == Some(libc::ENODEV) => Ok(None),
        Err(error) => Err(error),
    }
}

fn read_pids(directory: &Path) -> SysResult<Vec<u32>> {
    let text = match read_if_there(&directory.join("cgroup.procs")) {
        // A threaded group of version 2: its processes are listed by the group above.
        Err(error) if error.errno() == Some(libc::EOPNOTSUPP) => None,
        other => other?,
    };
    let lines = text.as_deref().unwrap_or_default().lines();
    // 0 stands for a process of another PID namespace: nothing can be done to it by number.
    Ok(lines
        .filter_map(|line| line.parse().ok())
        .filter(|pid| *pid != 0)
        .collect())
}

fn subdirectories(directory: &Path) -> SysResult<Vec<String>> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).doing_on("list", directory),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.doing_on("list", directory)?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir())
            && let Ok(name) = entry.file_name().into_string()
        {
            names.push(name);
        }
    }
    Ok(names)
}

/// The directory and all beneath it, each before what is beneath it.
fn groups_beneath(directory: &Path) -> SysResult<Vec<PathBuf>> {
    let mut found = vec![directory.to_owned()];
    let mut level = found.clone();
    for _ in 0..MAX_DEPTH {
        let mut next = Vec::new();
        for above in &level {
            next.extend(subdirectories(above)?.iter().map(|name| above.join(name)));
        }
        if next.is_empty() {
            return Ok(found);
        }
        found.extend_from_slice(&next);
        level = next;
    }
    Err(SysError::on(
        "list",
        directory,
        io::ErrorKind::FileTooLarge,
        "groups nested too deep",
    ))
}

#[cfg(test)]
mod tests;
