//! Container roots: read-only layers with one writable directory on top, by overlayfs.

use std::fmt::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, fsconfig_create, fsconfig_set_string, fsmount,
    fsopen, mount,
};

use super::attach;
use crate::error::{Doing, SysResult};
use crate::path::fd_path;

/// The longest value that fsconfig takes is 255 bytes.
const VALUE_MAX: usize = 255;
/// The longest options that mount(2) takes, less the final zero.
const OPTIONS_MAX: usize = 4095;
/// A character that some kernel would take for syntax within a value.
const SYNTAX: &[u8] = b"\\:,";

/// What makes up an overlay.
#[derive(Debug, Clone, Copy)]
pub struct Overlay<'a> {
    /// Read-only directories, the topmost first.
    pub lower: &'a [PathBuf],
    /// The writable directory and the kernel's work directory beside it, on the same file system; without
    /// them the overlay is read-only, and the kernel wants two lower ones at least.
    pub writable: Option<(&'a Path, &'a Path)>,
}

/// Mounts an overlay on a directory. Needs no particular kernel: layers are handed over one by one where the
/// kernel can (6.8 and later), else in one text made short by descriptors.
pub fn mount_overlay(overlay: Overlay<'_>, target: &Path) -> SysResult<()> {
    let mounted = match by_fsconfig(overlay) {
        Ok(mount) => attach(&mount, target),
        Err(Refusal::Kernel) => by_mount(overlay, target),
        Err(Refusal::Because(error)) => Err(error),
    };
    mounted.doing_on("mount overlay on", target)
}

enum Refusal {
    /// This kernel does not know the way.
    Kernel,
    Because(Errno),
}

impl From<Errno> for Refusal {
    fn from(error: Errno) -> Self {
        match error {
            // Before 6.8 the first layer is refused, or on still older kernels only the whole. A value that is
            // wrong for itself gets the same answer; the older way finds out which it was.
            Errno::NOSYS | Errno::INVAL => Refusal::Kernel,
            error => Refusal::Because(error),
        }
    }
}

fn by_fsconfig(overlay: Overlay<'_>) -> Result<OwnedFd, Refusal> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let mut held = Vec::new();
    fsconfig_set_string(&context, "source", "overlay")?;
    for layer in overlay.lower {
        let value = speakable(layer, &mut held)?;
        fsconfig_set_string(&context, "lowerdir+", &value)?;
    }
    if let Some((upper, work)) = overlay.writable {
        fsconfig_set_string(&context, "upperdir", &speakable(upper, &mut held)?)?;
        fsconfig_set_string(&context, "workdir", &speakable(work, &mut held)?)?;
    }
    // As the kernel's default is nearly everywhere: an upper directory must be usable again after a crash.
    fsconfig_set_string(&context, "index", "off")?;
    fsconfig_create(&context)?;
    Ok(fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::empty(),
    )?)
}

/// The path itself where every kernel takes it, else a short path by way of a descriptor.
fn speakable(path: &Path, held: &mut Vec<OwnedFd>) -> Result<PathBuf, Errno> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.len() <= VALUE_MAX && !bytes.iter().any(|byte| SYNTAX.contains(byte)) {
        return Ok(path.to_owned());
    }
    hold(path, held)
}

fn hold(path: &Path, held: &mut Vec<OwnedFd>) -> Result<PathBuf, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(CWD, path, flags, Mode::empty())?;
    let short = fd_path(&directory);
    held.push(directory);
    Ok(short)
}

fn by_mount(overlay: Overlay<'_>, target: &Path) -> Result<(), Errno> {
    let mut held = Vec::new();
    let mut options = String::from("index=off,lowerdir=");
    for (index, layer) in overlay.lower.iter().enumerate() {
        let separator = if index == 0 { "" } else { ":" };
        let path = hold(layer, &mut held)?;
        // Writing to a String cannot fail.
        let _ = write!(options, "{separator}{}", path.display());
    }
    if let Some((upper, work)) = overlay.writable {
        let (upper, work) = (hold(upper, &mut held)?, hold(work, &mut held)?);
        let _ = write!(
            options,
            ",upperdir={},workdir={}",
            upper.display(),
            work.display()
        );
    }
    if options.len() > OPTIONS_MAX {
        return Err(Errno::TOOBIG);
    }
    let options = std::ffi::CString::new(options).map_err(|_| Errno::INVAL)?;
    mount(
        "overlay",
        target,
        "overlay",
        MountFlags::empty(),
        Some(options.as_c_str()),
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::Place;
    use super::super::{is_mountpoint, mount_tmpfs, unmount};
    use super::*;

    /// A place whose own file system can carry an upper directory.
    fn place() -> Place {
        let place = Place::new();
        mount_tmpfs(place.0.path(), None, 0o755).unwrap();
        place
    }

    fn layers(place: &Place, names: &[&str]) -> Vec<PathBuf> {
        let layer = |name: &&str| {
            let path = place.dir(name);
            std::fs::write(path.join("who"), name).unwrap();
            std::fs::write(path.join(name.rsplit('/').next().unwrap()), b"").unwrap();
            path
        };
        names.iter().map(layer).collect()
    }

    fn check(place: &Place, merged: &Path, upper: &Path) {
        assert!(is_mountpoint(merged).unwrap());
        assert_eq!(std::fs::read(merged.join("who")).unwrap(), b"top");
        assert!(merged.join("bottom").exists());
        std::fs::write(merged.join("new"), b"").unwrap();
        assert!(upper.join("new").exists());
        unmount(merged).unwrap();
        assert!(!place.0.path().join("top/new").exists());
    }

    #[test]
    fn the_topmost_layer_wins_and_writes_go_to_the_upper_directory() {
        let place = place();
        let lower = layers(&place, &["top", "bottom"]);
        let (upper, work, merged) = (place.dir("upper"), place.dir("work"), place.dir("merged"));
        let overlay = Overlay {
            lower: &lower,
            writable: Some((&upper, &work)),
        };
        mount_overlay(overlay, &merged).unwrap();
        check(&place, &merged, &upper);
        by_mount(overlay, &merged).unwrap();
        check(&place, &merged, &upper);
    }

    #[test]
    fn long_paths_and_paths_with_syntax_are_fine() {
        let place = place();
        let long = format!("{}/{}/top", "l".repeat(200), "m".repeat(200));
        let lower = layers(&place, &[&long, "a:b,c\\d/bottom"]);
        let (upper, work, merged) = (place.dir("u,:\\"), place.dir("w"), place.dir("merged"));
        std::fs::write(lower[0].join("who"), b"top").unwrap();
        let overlay = Overlay {
            lower: &lower,
            writable: Some((&upper, &work)),
        };
        mount_overlay(overlay, &merged).unwrap();
        check(&place, &merged, &upper);
    }

    #[test]
    fn a_hundred_layers_mount_either_way() {
        let place = place();
        let names: Vec<String> = (0..100).map(|number| format!("layer-{number}")).collect();
        let lower = layers(&place, &names.iter().map(String::as_str).collect::<Vec<_>>());
        let merged = place.dir("merged");
        let overlay = Overlay {
            lower: &lower,
            writable: None,
        };
        mount_overlay(overlay, &merged).unwrap();
        assert!(merged.join("layer-99").exists());
        unmount(&merged).unwrap();
        by_mount(overlay, &merged).unwrap();
        assert!(merged.join("layer-99").exists());
    }

    #[test]
    fn a_missing_layer_is_an_error_that_names_the_target() {
        let place = place();
        let merged = place.dir("merged");
        let lower = [place.0.path().join("absent"), place.dir("there")];
        let overlay = Overlay {
            lower: &lower,
            writable: None,
        };
        let error = mount_overlay(overlay, &merged).unwrap_err();
        assert!(error.is_not_found(), "{error:?}");
        assert_eq!(error.object, merged.display().to_string());
    }
}
