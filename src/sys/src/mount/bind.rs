//! Binding what is already there to a second place.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};

use super::attach;
use crate::error::{Doing, SysResult};
use crate::path::open_path;

/// How later mounts beneath travel to and from a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// Not at all.
    Private,
    /// From where it was bound from, and not back.
    Slave,
    /// Both ways.
    Shared,
}

impl Propagation {
    fn flag(self) -> u64 {
        match self {
            Propagation::Private => libc::MS_PRIVATE,
            Propagation::Slave => libc::MS_SLAVE,
            Propagation::Shared => libc::MS_SHARED,
        }
    }
}

/// How something is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BindOptions {
    /// With all that is mounted beneath it.
    pub recursive: bool,
    /// Read-only at the new place (with `recursive`: all of it).
    pub read_only: bool,
    /// `None`: as at the source.
    pub propagation: Option<Propagation>,
}

/// Binds a trusted path (links are followed) to a file or directory that is there.
pub fn bind(source: &Path, target: &Path, options: BindOptions) -> SysResult<()> {
    bind_fd(open_path(source)?, target, options)
}

/// Binds what a descriptor (also `O_PATH`) holds, whatever its path leads to now, to a file or directory
/// that is there.
pub fn bind_fd(source: impl AsFd, target: &Path, options: BindOptions) -> SysResult<()> {
    cloned(source.as_fd(), options)
        .and_then(|mount| attach(&mount, target))
        .doing_on("bind to", target)
}

/// Sets how later mounts travel, at a mount point and all mounts beneath it.
pub fn set_propagation(path: &Path, propagation: Propagation) -> SysResult<()> {
    set_path_attributes(path, propagation).doing_on("set the propagation of", path)
}

/// Makes the mount exactly there read-only and without programs, devices or other users' rights.
pub fn make_inert(path: &Path) -> SysResult<()> {
    let set =
        libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOEXEC | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| Errno::INVAL)
        .and_then(|path| set_attributes(libc::AT_FDCWD, &path, libc::AT_SYMLINK_NOFOLLOW, set, 0))
        .doing_on("make inert the mount on", path)
}

pub(super) fn make_private(path: &Path) -> Result<(), Errno> {
    set_path_attributes(path, Propagation::Private)
}

fn cloned(source: BorrowedFd<'_>, options: BindOptions) -> Result<OwnedFd, Errno> {
    let mut flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    let mut at_flags = libc::AT_EMPTY_PATH;
    if options.recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
        at_flags |= libc::AT_RECURSIVE;
    }
    let mount = open_tree(source, "", flags)?;
    let set = if options.read_only {
        libc::MOUNT_ATTR_RDONLY
    } else {
        0
    };
    let propagation = options.propagation.map_or(0, Propagation::flag);
    if set != 0 || propagation != 0 {
        set_attributes(mount.as_raw_fd(), &CString::default(), at_flags, set, propagation)?;
    }
    Ok(mount)
}

fn set_path_attributes(path: &Path, propagation: Propagation) -> Result<(), Errno> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)?;
    let flags = libc::AT_SYMLINK_NOFOLLOW | libc::AT_RECURSIVE;
    set_attributes(libc::AT_FDCWD, &path, flags, 0, propagation.flag())
}

fn set_attributes(dir: i32, path: &CString, at_flags: i32, set: u64, propagation: u64) -> Result<(), Errno> {
    let attributes = libc::mount_attr {
        attr_set: set,
        attr_clr: 0,
        propagation,
        userns_fd: 0,
    };
    // SAFETY: the path is a terminated string and the attributes a live structure of the size given; the
    // kernel only reads both, and keeps neither.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            dir,
            path.as_ptr(),
            at_flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if done == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error().raw_os_error();
    Err(Errno::from_raw_os_error(error.unwrap_or(libc::EIO)))
}

#[cfg(test)]
mod tests {
    use super::super::tests::Place;
    use super::super::{is_mountpoint, mount_tmpfs, unmount};
    use super::*;

    #[test]
    fn a_read_only_bind_covers_what_is_mounted_beneath() {
        let place = Place::new();
        let source = place.dir("source");
        let target = place.dir("target");
        mount_tmpfs(&place.dir("source/inner"), None, 0o755).unwrap();
        let options = BindOptions {
            recursive: true,
            read_only: true,
            ..BindOptions::default()
        };
        bind(&source, &target, options).unwrap();
        for path in [target.join("f"), target.join("inner/f")] {
            let error = std::fs::write(path, b"").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ReadOnlyFilesystem);
        }
        std::fs::write(source.join("inner/f"), b"").unwrap();
    }

    #[test]
    fn a_bound_descriptor_is_not_turned_by_a_later_link() {
        let place = Place::new();
        let real = place.dir("real");
        std::fs::write(real.join("f"), b"mine").unwrap();
        let target = place.dir("target");
        let held = open_path(&real).unwrap();
        std::fs::rename(&real, place.0.path().join("moved")).unwrap();
        std::os::unix::fs::symlink("/etc", &real).unwrap();
        bind_fd(&held, &target, BindOptions::default()).unwrap();
        assert_eq!(std::fs::read(target.join("f")).unwrap(), b"mine");
    }

    #[test]
    fn files_are_bound_too() {
        let place = Place::new();
        let (source, target) = (place.0.path().join("s"), place.0.path().join("t"));
        std::fs::write(&source, b"content").unwrap();
        std::fs::write(&target, b"").unwrap();
        bind(&source, &target, BindOptions::default()).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"content");
        unmount(&target).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"");
    }

    #[test]
    fn unmounting_a_recursive_bind_leaves_the_source_its_mounts() {
        let place = Place::new();
        let source = place.dir("source");
        mount_tmpfs(&source, None, 0o755).unwrap();
        set_propagation(&source, Propagation::Shared).unwrap();
        let inner = place.dir("source/inner");
        mount_tmpfs(&inner, None, 0o755).unwrap();
        let target = place.dir("target");
        let options = BindOptions {
            recursive: true,
            ..BindOptions::default()
        };
        bind(&source, &target, options).unwrap();
        assert!(is_mountpoint(&target.join("inner")).unwrap());
        unmount(&target).unwrap();
        assert!(is_mountpoint(&inner).unwrap());
    }

    #[test]
    fn a_slave_sees_later_mounts_of_its_source_and_gives_none_back() {
        let place = Place::new();
        let source = place.dir("source");
        mount_tmpfs(&source, None, 0o755).unwrap();
        set_propagation(&source, Propagation::Shared).unwrap();
        let (first, second) = (place.dir("source/first"), place.dir("source/second"));
        let target = place.dir("target");
        let options = BindOptions {
            recursive: true,
            propagation: Some(Propagation::Slave),
            ..BindOptions::default()
        };
        bind(&source, &target, options).unwrap();
        mount_tmpfs(&first, None, 0o755).unwrap();
        mount_tmpfs(&target.join("second"), None, 0o755).unwrap();
        assert!(is_mountpoint(&target.join("first")).unwrap());
        assert!(!is_mountpoint(&second).unwrap());
    }
}
