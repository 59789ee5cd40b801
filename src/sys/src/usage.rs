//! How much a tree takes on its file system, as `du` counts it.
//!
//! The tree may be filled by others meanwhile: no link is followed, no mount beneath is entered, what goes
//! away while it is counted is left out, and the count stops with an error at a depth or number of entries
//! that no honest tree has.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, fstat, statat};
use rustix::io::Errno;

use crate::error::{Doing, SysError, SysResult};
use crate::path::open_raw;

/// Directories held open at once.
const MAX_DEPTH: usize = 256;
const MAX_ENTRIES: u64 = 10_000_000;
/// The unit of `st_blocks`, whatever the file system's own.
const BLOCK: u64 = 512;

/// Bytes that the tree at a trusted path takes, its own directory included; a file with several names counts
/// once.
pub fn disk_usage(path: &Path) -> SysResult<u64> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let top = open_raw(rustix::fs::CWD, path, ResolveFlags::empty(), flags, Mode::empty());
    top.and_then(Count::of).doing_on("measure", path)?.ok_or_else(|| {
        let why = "more entries or deeper directories than are counted";
        SysError::on("measure", path, io::ErrorKind::FileTooLarge, why)
    })
}

struct Count {
    blocks: u64,
    entries: u64,
    /// Device and number of files with several names.
    seen: HashSet<(u64, u64)>,
    open: Vec<Dir>,
}

impl Count {
    /// `None` where a limit was reached.
    fn of(top: OwnedFd) -> Result<Option<u64>, Errno> {
        let own = fstat(&top)?;
        let mut count = Count {
            blocks: u64::try_from(own.st_blocks).unwrap_or(0),
            entries: 0,
            seen: HashSet::new(),
            open: vec![Dir::new(top)?],
        };
        while let Some(directory) = count.open.last_mut() {
            let Some(entry) = directory.read() else {
                count.open.pop();
                continue;
            };
            let entry = entry?;
            if matches!(entry.file_name().to_bytes(), b"." | b"..") {
                continue;
            }
            count.entries += 1;
            let below = count.add(entry.file_name())?;
            count.open.extend(below);
            if count.entries > MAX_ENTRIES || count.open.len() > MAX_DEPTH {
                return Ok(None);
            }
        }
        Ok(Some(count.blocks.saturating_mul(BLOCK)))
    }

    /// Adds an entry of the innermost directory; answers the directory to be counted next, if it is one.
    fn add(&mut self, name: &std::ffi::CStr) -> Result<Option<Dir>, Errno> {
        let Some(directory) = self.open.last() else {
            return Ok(None);
        };
        let above = directory.fd()?;
        let found = match statat(above, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(None),
            other => other?,
        };
        let is_directory = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
        if !is_directory && found.st_nlink > 1 && !self.seen.insert((found.st_dev, found.st_ino)) {
            return Ok(None);
        }
        if !is_directory {
            self.blocks += u64::try_from(found.st_blocks).unwrap_or(0);
            return Ok(None);
        }
        let path = Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()));
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
        match open_raw(above.as_fd(), path, resolve, flags, Mode::empty()) {
            // Gone, replaced by something else, or a mount of its own.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => Ok(None),
            opened => {
                self.blocks += u64::try_from(found.st_blocks).unwrap_or(0);
                Dir::new(opened?).map(Some)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mount;

    struct Memory(tempfile::TempDir);

    impl Memory {
        /// Page by page, so that what is counted is exact.
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            mount::mount_tmpfs(dir.path(), None, 0o755).unwrap();
            Self(dir)
        }
    }

    impl Drop for Memory {
        fn drop(&mut self) {
            let _ = mount::unmount_beneath(self.0.path());
        }
    }

    #[test]
    fn files_count_once_links_and_mounts_beneath_do_not() {
        let memory = Memory::new();
        let top = memory.0.path();
        assert_eq!(disk_usage(top).unwrap(), 0);
        std::fs::create_dir_all(top.join("a/b")).unwrap();
        std::fs::write(top.join("a/b/file"), vec![1; 8192]).unwrap();
        std::fs::hard_link(top.join("a/b/file"), top.join("again")).unwrap();
        std::os::unix::fs::symlink("/usr", top.join("usr")).unwrap();
        std::fs::create_dir(top.join("mounted")).unwrap();
        mount::mount_tmpfs(&top.join("mounted"), None, 0o755).unwrap();
        std::fs::write(top.join("mounted/file"), vec![1; 8192]).unwrap();
        assert_eq!(disk_usage(top).unwrap(), 8192);
    }

    #[test]
    fn a_tree_deeper_than_is_counted_is_an_error() {
        let memory = Memory::new();
        let deep = std::path::PathBuf::from_iter(std::iter::repeat_n("d", MAX_DEPTH + 1));
        std::fs::create_dir_all(memory.0.path().join(deep)).unwrap();
        let error = disk_usage(memory.0.path()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        assert!(
            disk_usage(Path::new("/absent/volume"))
                .unwrap_err()
                .is_not_found()
        );
    }
}
