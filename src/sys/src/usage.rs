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
/// How often a count asks whether it may go on.
const ENTRIES_BETWEEN_PACES: u64 = 1024;
/// The unit of `st_blocks`, whatever the file system's own.
const BLOCK: u64 = 512;

/// What a tree takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TreeUse {
    /// Bytes of its blocks.
    pub bytes: u64,
    /// Files and directories, its own directory included.
    pub inodes: u64,
}

/// Bytes that the tree at a trusted path takes, its own directory included; a file with several names counts
/// once.
pub fn disk_usage(path: &Path) -> SysResult<u64> {
    tree_use(path, || true).map(|found| found.bytes)
}

/// What the tree at a trusted path takes, counted as [`disk_usage`] does. `pace` is called now and then: it
/// may wait, so that the count leaves the disk to others, and gives the count up by answering `false`.
pub fn tree_use(path: &Path, pace: impl FnMut() -> bool) -> SysResult<TreeUse> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let top = open_raw(rustix::fs::CWD, path, ResolveFlags::empty(), flags, Mode::empty());
    let counted = top
        .and_then(|top| Count::of(top, pace))
        .doing_on("measure", path)?;
    counted.map_err(|given_up| {
        let (kind, why) = match given_up {
            GivenUp::TooMuch => (
                io::ErrorKind::FileTooLarge,
                "more entries or deeper directories than are counted",
            ),
            GivenUp::TooLong => (io::ErrorKind::TimedOut, "it takes too long"),
        };
        SysError::on("measure", path, kind, why)
    })
}

/// Why a count ended early.
enum GivenUp {
    TooMuch,
    TooLong,
}

struct Count {
    blocks: u64,
    inodes: u64,
    entries: u64,
    /// Device and number of files with several names.
    seen: HashSet<(u64, u64)>,
    open: Vec<Dir>,
}

impl Count {
    fn of(top: OwnedFd, mut pace: impl FnMut() -> bool) -> Result<Result<TreeUse, GivenUp>, Errno> {
        let own = fstat(&top)?;
        let mut count = Count {
            blocks: u64::try_from(own.st_blocks).unwrap_or(0),
            inodes: 1,
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
                return Ok(Err(GivenUp::TooMuch));
            }
            if count.entries.is_multiple_of(ENTRIES_BETWEEN_PACES) && !pace() {
                return Ok(Err(GivenUp::TooLong));
            }
        }
        Ok(Ok(TreeUse {
            bytes: count.blocks.saturating_mul(BLOCK),
            inodes: count.inodes,
        }))
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
        let mut below = None;
        if is_directory {
            let path = Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()));
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
            match open_raw(above.as_fd(), path, resolve, flags, Mode::empty()) {
                // Gone, replaced by something else, or a mount of its own.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => return Ok(None),
                opened => below = Some(Dir::new(opened?)?),
            }
        }
        self.blocks += u64::try_from(found.st_blocks).unwrap_or(0);
        self.inodes += 1;
        Ok(below)
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
        let found = tree_use(top, || true).unwrap();
        // The directory itself, a, b, the file with two names, the link.
        assert_eq!((found.bytes, found.inodes), (8192, 5));
        assert_eq!(disk_usage(top).unwrap(), 8192);
    }

    #[test]
    fn a_count_of_much_is_paced_and_can_be_given_up() {
        let memory = Memory::new();
        for number in 0..2 * ENTRIES_BETWEEN_PACES {
            std::fs::write(memory.0.path().join(number.to_string()), b"").unwrap();
        }
        let mut paces = 0;
        let found = tree_use(memory.0.path(), || {
            paces += 1;
            true
        });
        assert_eq!((found.unwrap().inodes, paces), (2 * ENTRIES_BETWEEN_PACES + 1, 2));
        let error = tree_use(memory.0.path(), || false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
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
