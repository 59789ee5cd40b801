//! Removing a sandbox: whatever is there of it, past all errors.

use std::fs;
use std::path::Path;
use std::time::Duration;

use pinnace_api::PodUid;
use pinnace_sys::cgroup::Cgroups;
use pinnace_sys::{Layout, SysError, file, mount, tree};

use crate::error::{Collected, RuntimeError};
use crate::folders::entries;
use crate::paths::{PodPaths, QOS_CLASSES, log_links_front, pod_cgroup};

const KILL_LIMIT: Duration = Duration::from_secs(10);
const GROUP_LIMIT: Duration = Duration::from_secs(5);

/// Ends what still runs in the pod's cgroup and removes all that the sandbox made; the shim is gone by now.
pub fn remove(layout: &Layout, cgroups: &Cgroups, uid: &PodUid) -> Result<(), RuntimeError> {
    let paths = PodPaths::new(layout, uid);
    let mut failed = Collected::default();
    for qos in QOS_CLASSES {
        let Some(group) = failed.note(cgroups.group(pod_cgroup(layout, qos, uid))) else {
            continue;
        };
        if !group.exists() {
            continue;
        }
        failed.note(group.kill(KILL_LIMIT));
        failed.note(group.remove(GROUP_LIMIT));
        failed.note(super::create::share_out(layout, cgroups, qos));
    }
    if paths.sandbox.exists() {
        // First, so that what is left after an error is never taken for a whole sandbox.
        failed.note(file::remove_file(&paths.file("ready")));
        failed.note_all(mount::unmount_walking(&paths.sandbox));
        failed.note(tree::remove_tree(&paths.sandbox));
    }
    failed.note(tree::remove_tree(&paths.writable));
    // What others keep there keeps it.
    let _ = fs::remove_dir(&paths.run);
    failed.finish()
}

/// Removes the pod's logs and their links.
pub fn remove_logs(layout: &Layout, uid: &PodUid) -> Result<(), RuntimeError> {
    let mut failed = Collected::default();
    for directory in log_directories(layout, uid)? {
        failed.note(remove_links(&layout.container_log_links(), &directory));
        failed.note(tree::remove_tree(&directory));
    }
    failed.finish()
}

/// Log directories of the pod, by listing: their names end with its UID.
pub fn log_directories(layout: &Layout, uid: &PodUid) -> Result<Vec<std::path::PathBuf>, SysError> {
    let end = format!("_{uid}");
    let mut found = Vec::new();
    for entry in entries(&layout.pod_logs())? {
        if entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.ends_with(&end))
        {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Links whose target lies in the directory. Only those are read that have the name of the directory's pod: the folder
/// holds the links of all pods.
fn remove_links(links: &Path, directory: &Path) -> Result<(), RuntimeError> {
    let front = log_links_front(directory).unwrap_or_default();
    let mut failed = Collected::default();
    for entry in entries(links)? {
        if !entry.file_name().as_encoded_bytes().starts_with(front.as_bytes()) {
            continue;
        }
        let path = entry.path();
        if fs::read_link(&path).is_ok_and(|target| target.starts_with(directory)) {
            failed.note(file::remove_file(&path));
        }
    }
    failed.finish()
}
