//! Removing what an instance left on the host.

use std::path::Path;
use std::time::Duration;

use pinnace_sys::cgroup::Cgroups;
use pinnace_sys::{file, mount, tree};

use super::Bundle;
use crate::error::{Collected, RuntimeError};
use crate::records::ContainerRecord;

const KILL_LIMIT: Duration = Duration::from_secs(10);
const GROUP_LIMIT: Duration = Duration::from_secs(5);

/// Removes what an instance left on the host; its shim has forgotten it, or is dead. The log stays if the
/// program ever ran.
pub fn remove(
    cgroups: &Cgroups,
    bundle: &Bundle,
    record: Option<&ContainerRecord>,
    oci_state: &Path,
) -> Result<(), RuntimeError> {
    let mut failed = Collected::default();
    if let Some(record) = record {
        if let Some(group) = failed.note(cgroups.group(&record.cgroup))
            && group.exists()
        {
            failed.note(group.kill(KILL_LIMIT));
            failed.note(group.remove(GROUP_LIMIT));
        }
        if !bundle.started().exists() && !bundle.exit().exists() {
            failed.note(file::remove_file(&record.log_link));
            failed.note(file::remove_file(&record.log));
        }
        failed.note(tree::remove_tree(&oci_state.join(&record.id)));
    }
    failed.note(mount::unmount(&bundle.rootfs()));
    failed.note(tree::remove_tree(&bundle.writable));
    // Last, with the record in it: by that, whatever is left is found and removed by the next call.
    if failed.is_clean() {
        failed.note(tree::remove_tree(&bundle.path));
    }
    for folder in [&bundle.path, &bundle.writable] {
        // Others of the same container keep it.
        let _ = folder.parent().map(std::fs::remove_dir);
    }
    failed.finish()
}
