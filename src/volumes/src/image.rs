//! Image volumes: an image's layers, read-only and without programs that could be run.

use std::path::{Path, PathBuf};

use pinnace_sys::mount::{BindOptions, Overlay, Propagation};
use pinnace_sys::{SysResult, file, mount};

const MODE: u32 = 0o750;

/// Mounts the layers, the topmost first, unless something is mounted there already.
pub(crate) fn prepare(layers: &[PathBuf], place: &Path) -> SysResult<()> {
    file::create_dir_all(place, MODE)?;
    if mount::is_mountpoint(place)? {
        // Whoever made it may have been killed before the last step.
        return mount::make_inert(place);
    }
    match layers {
        // An image of no layers is an empty directory.
        [] => mount::mount_tmpfs(place, Some(0), 0o755)?,
        [only] => {
            let options = BindOptions {
                recursive: false,
                read_only: true,
                propagation: Some(Propagation::Private),
            };
            mount::bind(only, place, options)?;
        }
        several => {
            let overlay = Overlay {
                lower: several,
                writable: None,
            };
            mount::mount_overlay(overlay, place)?;
        }
    }
    mount::make_inert(place).inspect_err(|_| {
        // Half made it must not be found by the next try.
        let _ = mount::unmount(place);
    })
}
