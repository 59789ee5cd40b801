//! A pod's sandbox: cgroup, pinned namespaces, shared files, log directory; made at once, removed at once.
//!
//! The file `ready` is written last; a sandbox without it, or of another boot, is broken and is removed
//! before the next is made. All functions here block.

mod create;
mod files;
mod mark;
mod reaper;
mod remove;
mod sysctls;

pub use create::{Request, create};
pub use files::refresh_hosts;
pub use mark::is_ours;
pub use reaper::{PID_PIN, ReaperError};
pub use remove::{log_directories, remove, remove_logs};
pub use sysctls::SysctlError;

use std::path::PathBuf;

use pinnace_api::PodUid;
use pinnace_core::pod::SandboxState;
use pinnace_sys::cgroup::Cgroups;
use pinnace_sys::{Layout, namespace};

use crate::error::RuntimeError;
use crate::paths::{PodPaths, QOS_CLASSES, pod_cgroup};
use crate::records::{self, SandboxRecord};

/// What the host shows of a pod's sandbox.
pub fn state(
    layout: &Layout,
    cgroups: &Cgroups,
    boot: &str,
    uid: &PodUid,
) -> Result<(SandboxState, Option<SandboxRecord>), RuntimeError> {
    let paths = PodPaths::new(layout, uid);
    let record = records::read::<SandboxRecord>(&paths.file("sandbox.json"))?;
    if let Some(record) = &record
        && record.boot == boot
        && paths.file("ready").exists()
    {
        let group = cgroups.group(&record.cgroup)?;
        let limited = |controller: &&str| {
            let directory = group.directory(controller);
            directory.is_none_or(|path| path.is_dir())
        };
        let whole =
            group.exists() && LIMITED.iter().all(limited) && pinned(record)? && reaper::is_whole(&paths)?;
        let state = match whole {
            true => SandboxState::Ready {
                attempt: record.attempt,
            },
            false => SandboxState::Broken,
        };
        return Ok((state, Some(record.clone())));
    }
    let left = record.is_some()
        || paths.sandbox.exists()
        || paths.writable.exists()
        || groups(layout, cgroups, uid)?.iter().any(|path| path.exists());
    let state = if left {
        SandboxState::Broken
    } else {
        SandboxState::Absent
    };
    Ok((state, record))
}

/// The controllers that enforce a pod's limits: without its group in one of their hierarchies a pod is not
/// whole. Another hierarchy may be mounted and unmounted by anybody, and ends no pod.
const LIMITED: [&str; 3] = ["cpu", "memory", "pids"];

fn pinned(record: &SandboxRecord) -> Result<bool, RuntimeError> {
    for pin in &record.pins {
        if !namespace::is_pinned(pin)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The pod's possible cgroup directories in all hierarchies.
fn groups(layout: &Layout, cgroups: &Cgroups, uid: &PodUid) -> Result<Vec<PathBuf>, RuntimeError> {
    let mut directories = Vec::new();
    for qos in QOS_CLASSES {
        directories.extend(cgroups.group(pod_cgroup(layout, qos, uid))?.directories());
    }
    Ok(directories)
}
