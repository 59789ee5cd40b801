//! Mounts, by the kernel's newer calls: made whole and only then put into place, so that nobody ever sees a
//! mount half configured.
//!
//! Unmounting is by detaching: the place is free at once, and what still uses the mount goes on until it
//! ends. Before that a mount is made private with all beneath it, so that nothing is unmounted at the place
//! it was bound from.

mod bind;
mod overlay;
mod table;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, fstat, stat, statx};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount,
};

pub use bind::{BindOptions, Propagation, bind, bind_fd, make_inert, set_propagation};
pub use overlay::{Overlay, mount_overlay};
pub use table::{MountEntry, mount_table, mounts_beneath, parse_mount_table};

use crate::error::{Doing, SysError, SysResult};

/// Mounts stacked on one place that are taken away in one call.
const MAX_STACKED: u32 = 256;
/// Files that are looked at one by one before the kernel's list is read instead.
const MAX_WALKED: usize = 4096;

/// Mounts a file system in memory. `size_bytes` of `None` leaves the kernel's default, half of the memory.
pub fn mount_tmpfs(target: &Path, size_bytes: Option<u64>, mode: u32) -> SysResult<()> {
    tmpfs(size_bytes, mode, false)
        .and_then(|mount| attach(&mount, target))
        .doing_on("mount tmpfs on", target)
}

/// [`mount_tmpfs`] for what shall never be written to a disk: where the kernel can (6.4 and later), it is not
/// swapped out either.
pub fn mount_secret_tmpfs(target: &Path, size_bytes: u64, mode: u32) -> SysResult<()> {
    let size_bytes = Some(size_bytes);
    tmpfs(size_bytes, mode, true)
        .or_else(|_| tmpfs(size_bytes, mode, false))
        .and_then(|mount| attach(&mount, target))
        .doing_on("mount tmpfs on", target)
}

fn tmpfs(size_bytes: Option<u64>, mode: u32, never_swapped: bool) -> Result<OwnedFd, Errno> {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "source", "tmpfs")?;
    fsconfig_set_string(&context, "mode", format!("{mode:o}"))?;
    if let Some(size) = size_bytes {
        fsconfig_set_string(&context, "size", size.to_string())?;
    }
    if never_swapped {
        fsconfig_set_flag(&context, "noswap")?;
    }
    fsconfig_create(&context)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
}

/// Whether the sysfs at `path` shows the network namespace of this thread: a sysfs shows that of who mounted it. The
/// kernel has one for each namespace, so one that is made anew is the same if it is the same namespace's.
pub fn sysfs_shows_own_network(path: &Path) -> SysResult<bool> {
    let own = || -> Result<bool, Errno> {
        let context = fsopen("sysfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_create(&context)?;
        // It is nowhere in the tree, and ends with its descriptor.
        let own = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
        Ok(fstat(&own)?.st_dev == stat(path)?.st_dev)
    };
    own().doing_on("compare with a sysfs of this network", path)
}

/// Puts a mount that is not yet anywhere into place; a link at the end of `target` is not followed.
fn attach(mount: &OwnedFd, target: &Path) -> Result<(), Errno> {
    move_mount(mount, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

/// Whether something is mounted exactly there; a link is not followed, and nothing there is `false`.
pub fn is_mountpoint(path: &Path) -> SysResult<bool> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    match statx(CWD, path, flags, StatxFlags::empty()) {
        Ok(found) if found.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT) => {
            Ok(found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
        }
        Ok(_) => Ok(mounts_beneath(path)?.iter().any(|mount| mount == path)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(error) => Err(error).doing_on("stat", path),
    }
}

/// Takes away all that is mounted exactly there, with what is mounted beneath it; nothing there is fine.
pub fn unmount(path: &Path) -> SysResult<()> {
    for _ in 0..MAX_STACKED {
        if !is_mountpoint(path)? {
            return Ok(());
        }
        let taken = bind::make_private(path)
            .and_then(|()| rustix::mount::unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW));
        match taken {
            // Another may have been faster.
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::INVAL) if !is_mountpoint(path)? => return Ok(()),
            Err(error) => return Err(error).doing_on("unmount", path),
        }
    }
    Err(Errno::BUSY).doing_on("unmount", path)
}

/// Takes away all mounts at or beneath a path, the deepest first. Goes on past errors and returns them all.
pub fn unmount_beneath(path: &Path) -> Result<Vec<PathBuf>, Vec<SysError>> {
    let mounts = mounts_beneath(path).map_err(|error| vec![error])?;
    let errors: Vec<SysError> = mounts.iter().filter_map(|mount| unmount(mount).err()).collect();
    if errors.is_empty() {
        Ok(mounts)
    } else {
        Err(errors)
    }
}

/// The same for a folder that holds few files: looks at each of them rather than at the kernel's list, which has
/// thousands of mounts on a host of many pods.
pub fn unmount_walking(path: &Path) -> Result<Vec<PathBuf>, Vec<SysError>> {
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    let mut left = vec![(path.to_owned(), true)];
    let mut walked = 0;
    while let Some((path_here, is_folder)) = left.pop() {
        walked += 1;
        if walked > MAX_WALKED {
            return unmount_beneath(path);
        }
        match unmount_here(&path_here) {
            Ok(true) => found.push(path_here.clone()),
            Ok(false) => {}
            Err(error) => {
                // What is mounted there still is another's content.
                errors.push(error);
                continue;
            }
        }
        if is_folder {
            match children(&path_here) {
                Ok(children) => left.extend(children),
                Err(error) => errors.push(error),
            }
        }
    }
    if errors.is_empty() { Ok(found) } else { Err(errors) }
}

/// Whether anything was mounted there.
fn unmount_here(path: &Path) -> SysResult<bool> {
    let mounted = is_mountpoint(path)?;
    if mounted {
        unmount(path)?;
    }
    Ok(mounted)
}

/// What is in a folder, and whether it is one itself; nothing, where it is gone.
fn children(folder: &Path) -> SysResult<Vec<(PathBuf, bool)>> {
    let child = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry?;
        Ok((entry.path(), entry.file_type()?.is_dir()))
    };
    match std::fs::read_dir(folder).and_then(|entries| entries.map(child).collect()) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        children => children.doing_on("list", folder),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes the test's mounts away even where the test fails.
    pub(super) struct Place(pub tempfile::TempDir);

    impl Place {
        pub fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }
        pub fn dir(&self, name: &str) -> PathBuf {
            let path = self.0.path().join(name);
            std::fs::create_dir_all(&path).unwrap();
            path
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = unmount_beneath(self.0.path());
        }
    }

    #[test]
    fn a_tmpfs_has_its_size_and_mode_and_goes_without_a_trace() {
        use std::os::unix::fs::MetadataExt;
        let place = Place::new();
        let target = place.dir("memory volume");
        mount_tmpfs(&target, Some(1 << 20), 0o777).unwrap();
        assert!(is_mountpoint(&target).unwrap());
        assert_eq!(std::fs::metadata(&target).unwrap().mode() & 0o7777, 0o777);
        std::fs::write(target.join("fits"), vec![1; 1 << 19]).unwrap();
        let full = std::fs::write(target.join("too much"), vec![1; 1 << 20]).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
        unmount(&target).unwrap();
        unmount(&target).unwrap();
        assert!(!is_mountpoint(&target).unwrap());
        assert_eq!(mounts_beneath(place.0.path()).unwrap(), Vec::<PathBuf>::new());
    }

    #[test]
    fn stacked_and_nested_mounts_all_go() {
        let place = Place::new();
        let target = place.dir("a");
        mount_tmpfs(&target, None, 0o755).unwrap();
        mount_tmpfs(&target, None, 0o755).unwrap();
        let inner = place.dir("a/b\tc\\d");
        mount_tmpfs(&inner, None, 0o755).unwrap();
        let mounts = mounts_beneath(place.0.path()).unwrap();
        assert_eq!(mounts.first(), Some(&inner));
        assert_eq!(mounts.len(), 3);
        unmount_beneath(place.0.path()).unwrap();
        assert!(mounts_beneath(place.0.path()).unwrap().is_empty());
    }

    #[test]
    fn a_walk_takes_all_mounts_away_on_folders_and_files_and_touches_nothing_in_them() {
        let place = Place::new();
        let (outside, within) = (place.dir("outside"), place.dir("folder/within"));
        std::fs::write(outside.join("file"), "kept").unwrap();
        let file = place.dir("folder").join("pin");
        std::fs::write(&file, "").unwrap();
        bind(&outside, &within, BindOptions::default()).unwrap();
        bind(&outside.join("file"), &file, BindOptions::default()).unwrap();
        let stacked = place.dir("folder/stacked");
        mount_tmpfs(&stacked, None, 0o755).unwrap();
        mount_tmpfs(&place.dir("folder/stacked/inner"), None, 0o755).unwrap();
        mount_tmpfs(&stacked, None, 0o755).unwrap();
        std::os::unix::fs::symlink(&outside, place.0.path().join("folder/link")).unwrap();
        let mut taken = unmount_walking(&place.0.path().join("folder")).unwrap();
        taken.sort();
        assert_eq!(taken, [file, stacked, within]);
        assert_eq!(mounts_beneath(place.0.path()).unwrap(), Vec::<PathBuf>::new());
        assert_eq!(std::fs::read_to_string(outside.join("file")).unwrap(), "kept");
        assert_eq!(
            unmount_walking(&place.0.path().join("absent")).unwrap(),
            Vec::<PathBuf>::new()
        );
    }

    #[test]
    fn a_walk_of_more_files_than_it_looks_at_finds_all_mounts_too() {
        let place = Place::new();
        let last = place.dir("folder/z");
        mount_tmpfs(&last, None, 0o755).unwrap();
        for number in 0..=MAX_WALKED {
            std::fs::write(place.0.path().join(format!("folder/{number}")), "").unwrap();
        }
        unmount_walking(&place.0.path().join("folder")).unwrap();
        assert!(!is_mountpoint(&last).unwrap());
    }

    #[test]
    fn what_is_not_there_is_no_mount_point_and_unmounts_in_silence() {
        let place = Place::new();
        let absent = place.0.path().join("absent");
        assert!(!is_mountpoint(&absent).unwrap());
        unmount(&absent).unwrap();
        unmount(place.0.path()).unwrap();
    }

    #[test]
    fn a_link_to_a_mount_is_never_unmounted() {
        let place = Place::new();
        let target = place.dir("real");
        mount_tmpfs(&target, None, 0o755).unwrap();
        let link = place.0.path().join("link");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        unmount(&link).unwrap();
        assert!(is_mountpoint(&target).unwrap());
    }
}
