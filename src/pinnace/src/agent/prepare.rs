//! What the root must have before an agent runs under it: its directories, and the one agent's lock.

use pinnace_sys::file::{self, LockFile};
use pinnace_sys::{Layout, SysError};

use super::AgentError;

/// Makes the directories that are missing.
pub fn directories(layout: &Layout) -> Result<(), SysError> {
    // On a node that has run before, a directory of manifests that is not there has vanished: made anew it
    // would be empty, and end every pod.
    if !layout.pod_records().exists() {
        file::create_dir_all(&layout.manifests(), 0o755)?;
    }
    let directories = [
        (layout.state(), 0o711),
        (layout.image_bundles(), 0o755),
        (layout.pod_records(), 0o700),
        (layout.run(), 0o711),
        (layout.pod_logs(), 0o755),
        (layout.container_log_links(), 0o755),
    ];
    directories
        .iter()
        .try_for_each(|(path, mode)| file::create_dir_all(path, *mode))
}

/// Takes the root for this process, for as long as what it answers is held.
pub fn lock(layout: &Layout) -> Result<LockFile, AgentError> {
    let lock = layout.agent_lock();
    file::lock_exclusive(&lock, true).map_err(|error| {
        if error.would_block() {
            let root = layout.root().to_owned();
            AgentError::SecondAgent { root, lock }
        } else {
            AgentError::Host(error)
        }
    })
}
