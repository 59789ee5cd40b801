//! Volumes that are mounted both ways (`Bidirectional`).

use pinnace_api::pod::MountPropagation;
use pinnace_core::ports::BindMount;
use pinnace_sys::mount;

use crate::error::RuntimeError;

/// A volume that is to be shared both ways must lie on a mount that is shared.
pub fn check(volumes: &[BindMount]) -> Result<(), RuntimeError> {
    let both_ways = |volume: &&BindMount| volume.propagation == MountPropagation::Bidirectional;
    let mut wanted = volumes.iter().filter(both_ways).peekable();
    if wanted.peek().is_none() {
        return Ok(());
    }
    let table = mount::mount_table()?;
    for volume in wanted {
        // The last of those mounted on one place is the one that is seen.
        let on = table
            .iter()
            .filter(|entry| volume.source.starts_with(&entry.mount_point))
            .max_by_key(|entry| entry.mount_point.components().count());
        if let Some(entry) = on
            && !entry.propagation.iter().any(|field| field.starts_with("shared:"))
        {
            return Err(RuntimeError::NotShared {
                path: volume.source.clone(),
                mount: entry.mount_point.clone(),
            });
        }
    }
    Ok(())
}
