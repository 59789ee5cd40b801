//! A group held open, to be read again and again.
//!
//! What is held is the group's directory in each hierarchy that is read: a descriptor that opens nothing
//! (`O_PATH`) costs the kernel next to nothing and spares it the walk to each file. The files themselves are not
//! held: each that was read keeps a page of the kernel's memory until it is closed.

use std::os::fd::OwnedFd;

use rustix::buffer::spare_capacity;
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::{Errno, read, retry_on_intr};

use super::stats::{self, Files};
use super::{Cgroup, CgroupVersion, CpuStats, FILE_MAX, MemoryStats, PidsStats};
use crate::error::{SysError, SysResult};

/// The controllers that are read; with version 2 all of them are in one hierarchy.
const READ: [&str; 4] = ["cpu", "cpuacct", "memory", "pids"];
/// Nearly every file of a group is shorter.
const FIRST_READ: usize = 1024;
/// The one file that comes in pieces; all others come whole, if there is room.
const LIST: &str = "cgroup.procs";

/// See the module's text. A group that was removed stays gone here, also when one is made in its place.
#[derive(Debug)]
pub struct HeldCgroup {
    group: Cgroup,
    /// Index of the hierarchy, and the group's directory in it.
    directories: Vec<(usize, OwnedFd)>,
}

impl Cgroup {
    /// Holds the group's directories open to read what it uses; `None` where it is in no hierarchy.
    pub fn hold(&self) -> SysResult<Option<HeldCgroup>> {
        let mut directories = Vec::new();
        for (index, hierarchy) in self.groups.hierarchies().iter().enumerate() {
            let is_read = hierarchy.unified
                || hierarchy
                    .controllers
                    .iter()
                    .any(|name| READ.contains(&name.as_str()));
            if !is_read || (hierarchy.unified && self.groups.version() == CgroupVersion::V1) {
                continue;
            }
            let path = hierarchy.mount_point.join(&self.relative);
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            match openat(rustix::fs::CWD, &path, flags, Mode::empty()) {
                Ok(directory) => directories.push((index, directory)),
                Err(error) if is_gone(error) => {}
                Err(error) => return Err(SysError::new("open the cgroup", path.display(), error.into())),
            }
        }
        Ok((!directories.is_empty()).then(|| HeldCgroup {
            group: self.clone(),
            directories,
        }))
    }
}

impl HeldCgroup {
    /// CPU time; `None` where the group is gone.
    pub fn cpu_stats(&self) -> SysResult<Option<CpuStats>> {
        stats::cpu(self)
    }

    /// Memory. The caller may know the kills for want of memory (no process of the host was killed since they
    /// were read): with version 1 they take a look at all groups beneath.
    pub fn memory_stats(&self, known_kills: Option<u64>) -> SysResult<Option<MemoryStats>> {
        stats::memory(self, || match known_kills {
            Some(kills) => Ok(Some(kills)),
            None => self.group.oom_kills(),
        })
    }

    /// Processes and threads.
    pub fn pids_stats(&self) -> SysResult<Option<PidsStats>> {
        stats::pids(self)
    }

    /// A file of one number; `None` for `max`, what is no number, and where the file is not there.
    pub fn number(&self, controller: &str, name: &str) -> SysResult<Option<u64>> {
        stats::number(self, controller, name)
    }

    /// Reads a file in a controller's hierarchy; `None` where hierarchy, group or file is not there.
    pub fn read_with<T>(
        &self,
        controller: &str,
        name: &str,
        parse: impl FnOnce(&str) -> T,
    ) -> SysResult<Option<T>> {
        let Some(directory) = self.directory(controller) else {
            return Ok(None);
        };
        match content(directory, name) {
            Ok(bytes) => Ok(Some(parse(&String::from_utf8_lossy(&bytes)))),
            Err(error) if is_gone(error) => Ok(None),
            Err(error) => {
                let path = self.group.relative().join(name);
                Err(SysError::new(
                    "read the cgroup file",
                    path.display(),
                    error.into(),
                ))
            }
        }
    }

    fn directory(&self, controller: &str) -> Option<&OwnedFd> {
        let hierarchies = self.group.groups.hierarchies();
        let has = |hierarchy: &super::Hierarchy| {
            hierarchy.unified || hierarchy.controllers.iter().any(|name| name == controller)
        };
        let found = self
            .directories
            .iter()
            .find(|(index, _)| has(&hierarchies[*index]));
        found.map(|(_, directory)| directory)
    }
}

impl Files for HeldCgroup {
    fn version(&self) -> CgroupVersion {
        self.group.groups.version()
    }

    fn with<T>(&self, controller: &str, name: &str, parse: impl FnOnce(&str) -> T) -> SysResult<Option<T>> {
        self.read_with(controller, name, parse)
    }
}

fn content(directory: &OwnedFd, name: &str) -> Result<Vec<u8>, Errno> {
    let file = openat(directory, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut bytes = Vec::with_capacity(FIRST_READ);
    loop {
        let room = bytes.capacity() - bytes.len();
        let count = retry_on_intr(|| read(&file, spare_capacity(&mut bytes)))?;
        if count == 0 || (count < room && name != LIST) {
            return Ok(bytes);
        }
        if bytes.len() as u64 > FILE_MAX {
            return Err(Errno::FBIG);
        }
        if bytes.len() == bytes.capacity() {
            bytes.reserve(bytes.len());
        }
    }
}

/// ENODEV: the group is being removed.
fn is_gone(error: Errno) -> bool {
    matches!(error, Errno::NOENT | Errno::NODEV)
}
