//! Making groups.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::{Cgroup, Hierarchy, read_if_there, read_pids, write};
use crate::error::{Doing, SysError, SysResult};

/// Controllers of version 2 that limits and statistics need.
///
/// Memory comes first: a group with processes refuses it at once, while the others would make it the root of
/// a threaded tree.
const REQUIRED: [&str; 3] = ["memory", "cpu", "pids"];
/// Controllers that are handed down where the kernel lets us.
const WELCOME: [&str; 2] = ["cpuset", "io"];
/// Where processes go that are in the way of controllers being handed down.
const ASIDE: &str = "pinnace-agent";
/// Rounds of moving processes aside while they may fork.
const ASIDE_ROUNDS: u32 = 32;

impl Cgroup {
    /// Makes the group and all that lead to it, in every hierarchy, ready to hold processes and limits.
    /// What is there already is left as it is, but for controllers that are handed down.
    pub fn create(&self) -> SysResult<()> {
        for hierarchy in self.groups.hierarchies() {
            self.create_in(hierarchy)?;
        }
        Ok(())
    }

    fn create_in(&self, hierarchy: &Hierarchy) -> SysResult<()> {
        let hands_down = hierarchy.unified && self.groups.hierarchies().len() == 1;
        let mut directory = hierarchy.mount_point.clone();
        for name in self.relative.components() {
            if hands_down {
                hand_down(&directory)?;
            }
            let above = directory.clone();
            directory.push(name);
            let made = make(&directory)?;
            if !hierarchy.unified {
                settle_v1(hierarchy, &above, &directory, made)?;
            }
        }
        Ok(())
    }
}

fn make(directory: &Path) -> SysResult<bool> {
    match std::fs::DirBuilder::new().mode(0o755).create(directory) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error).doing_on("create the cgroup", directory),
    }
}

/// A new group of version 1 takes no process before its CPUs and memory nodes are set, and on older kernels
/// does not count what is beneath it.
fn settle_v1(hierarchy: &Hierarchy, above: &Path, directory: &Path, made: bool) -> SysResult<()> {
    let has = |name: &str| hierarchy.controllers.iter().any(|controller| controller == name);
    if has("cpuset") {
        // Also where it was there: a crash may have come between its creation and this.
        for name in ["cpuset.cpus", "cpuset.mems"] {
            inherit(&above.join(name), &directory.join(name))?;
        }
    }
    if has("memory") && made {
        let path = directory.join("memory.use_hierarchy");
        if read_if_there(&path)?.is_some_and(|value| value.trim() == "0") {
            write(&path, "1")?;
        }
    }
    Ok(())
}

fn inherit(above: &Path, path: &Path) -> SysResult<()> {
    if read_if_there(path)?.is_some_and(|value| value.trim().is_empty())
        && let Some(value) = read_if_there(above)?
    {
        write(path, value.trim())?;
    }
    Ok(())
}

/// Gives the groups beneath a directory of version 2 the controllers that it has.
fn hand_down(directory: &Path) -> SysResult<()> {
    let read = |name: &str| read_if_there(&directory.join(name)).map(Option::unwrap_or_default);
    let (there, given) = (read("cgroup.controllers")?, read("cgroup.subtree_control")?);
    let has = |list: &str, name: &str| list.split_ascii_whitespace().any(|known| known == name);
    let missing = |name: &&&str| has(&there, name) && !has(&given, name);
    let path = directory.join("cgroup.subtree_control");
    for name in REQUIRED.iter().filter(missing) {
        let order = format!("+{name}");
        match write(&path, &order) {
            Err(error) if error.errno() == Some(libc::EBUSY) => {
                move_aside(directory)?;
                write(&path, &order)?;
            }
            other => other?,
        }
    }
    for name in WELCOME.iter().filter(missing) {
        if let Err(error) = write(&path, &format!("+{name}")) {
            tracing::debug!(controller = name, error = %error.source, "cgroup controller is not handed down");
        }
    }
    Ok(())
}

/// A group of version 2 that holds processes cannot hand controllers down. Where this process itself is
/// among them (an agent in a container, whose world this group is), they move to a group beneath.
fn move_aside(directory: &Path) -> SysResult<()> {
    let own = std::process::id();
    let in_the_way = || {
        let why = "processes in it keep its controllers from being handed down";
        SysError::on("use the cgroup", directory, io::ErrorKind::ResourceBusy, why)
    };
    if !read_pids(directory)?.contains(&own) {
        return Err(in_the_way());
    }
    let aside = directory.join(ASIDE);
    make(&aside)?;
    for _ in 0..ASIDE_ROUNDS {
        let pids = read_pids(directory)?;
        if pids.is_empty() {
            return Ok(());
        }
        for pid in pids {
            match write(&aside.join("cgroup.procs"), &pid.to_string()) {
                // It has ended meanwhile.
                Err(error) if error.errno() == Some(libc::ESRCH) => {}
                other => other?,
            }
        }
    }
    Err(in_the_way())
}
