//! Volumes that the node writes: configMap on disk; secret, downwardAPI and projected in memory only.
//!
//! ```text
//! <volume>/..2026_11_23_00_12_05.7f3a21   the files, written before anything leads to them
//! <volume>/..data → ..2026_11_23_…        turned to the next directory by one rename
//! <volume>/key    → ..data/key            what containers see
//! ```
//!
//! Whoever looks finds the old files or the new ones, never some of each, and so does the next agent after a crash at
//! any moment. What an interrupted update left is cleared away by the next one.

mod links;
mod write;

use std::path::Path;

use pinnace_api::pod::VolumeSource;
use pinnace_core::payload::{MAX_BYTES, Payload};
use pinnace_sys::{SysResult, file, mount};

use crate::empty_dir;

/// Of a volume in memory, as the kernel gives it to a tmpfs.
const MODE_IN_MEMORY: u32 = 0o1777;
/// The directory above volumes in memory.
const PARENT_MODE: u32 = 0o750;
/// The old files and the new ones, each with its page, and room for names.
const SIZE_IN_MEMORY: u64 = 2 * (MAX_BYTES as u64) + (8 << 20);

/// Whether its files may never be on a disk.
pub(crate) fn is_in_memory(source: &VolumeSource) -> bool {
    matches!(
        source,
        VolumeSource::Secret { .. } | VolumeSource::DownwardApi { .. } | VolumeSource::Projected { .. }
    )
}

/// Makes the volume, unless it is there, and brings its files up to date; answers whether they were not.
pub(crate) fn prepare(volume: &Path, in_memory: bool, payload: &Payload) -> SysResult<bool> {
    if in_memory {
        if let Some(parent) = volume.parent() {
            file::create_dir_all(parent, PARENT_MODE)?;
        }
        // What was written where no tmpfs is would lie on a disk.
        file::create_dir_all(volume, MODE_IN_MEMORY)?;
        if !mount::is_mountpoint(volume)? {
            mount::mount_secret_tmpfs(volume, SIZE_IN_MEMORY, MODE_IN_MEMORY)?;
        }
        empty_dir::own(volume, MODE_IN_MEMORY, payload.group, false)?;
    } else {
        empty_dir::prepare_on_disk(volume, payload.group, false)?;
    }
    write::update(volume, payload)
}

#[cfg(test)]
mod tests;
