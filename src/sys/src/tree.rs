//! Removal of whole trees that others filled.
//!
//! The tree may hold anything a container can make: links to everywhere, directories nested deeper than
//! descriptors last, entries that come while we remove. No link is followed, no mount is entered (what is
//! mounted there is not ours to delete), and what cannot be removed does not keep the rest.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, Mode, OFlags, ResolveFlags, renameat, unlinkat};
use rustix::io::Errno;

use crate::error::{Doing, SysResult};
use crate::path::{open_dir, open_raw};

/// Directories held open at once; what lies deeper is first moved up.
const DEPTH: u32 = 32;
/// Times that a directory is read again because something was left or came anew.
const PASSES: u32 = 16;

/// Removes what is named `name` in `dir`, with all that is beneath it; nothing there is fine. A mount point
/// in the tree stays, and is reported as EBUSY after all else was removed.
pub fn remove_tree_beneath(dir: impl AsFd, name: &OsStr) -> SysResult<()> {
    let mut remover = Remover {
        top: None,
        moved: 0,
        failed: None,
    };
    CString::new(name.as_bytes())
        .map_err(|_| Errno::INVAL)
        .and_then(|name| {
            remover.remove(dir.as_fd(), &name, 0);
            remover.failed.map_or(Ok(()), Err)
        })
        .doing("remove the tree", Path::new(name).display())
}

/// [`remove_tree_beneath`] for a path whose parent directory is trusted.
pub fn remove_tree(path: &Path) -> SysResult<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Errno::INVAL).doing_on("remove the tree", path);
    };
    let parent = if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    };
    match open_dir(parent) {
        Ok(dir) => remove_tree_beneath(&dir, name).map_err(|mut error| {
            error.object = path.display().to_string();
            error
        }),
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}

struct Remover {
    /// The tree's own top, where what lies too deep is moved to.
    top: Option<OwnedFd>,
    moved: u64,
    /// The first failure; removal goes on past it.
    failed: Option<Errno>,
}

impl Remover {
    /// True where the entry is gone afterwards.
    fn remove(&mut self, parent: BorrowedFd<'_>, name: &CStr, depth: u32) -> bool {
        match unlinkat(parent, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return true,
            Err(Errno::ISDIR) => {}
            Err(error) => return self.fail(error),
        }
        if depth >= DEPTH {
            return self.move_up(parent, name);
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
        let path = Path::new(OsStr::from_bytes(name.to_bytes()));
        let directory = match open_raw(parent, path, resolve, flags, Mode::empty()) {
            Ok(directory) => directory,
            Err(Errno::NOENT) => return true,
            Err(Errno::XDEV) => return self.fail(Errno::BUSY),
            Err(error) => return self.fail(error),
        };
        if depth == 0 {
            match directory.try_clone() {
                Ok(top) => self.top = Some(top),
                Err(_) => return self.fail(Errno::MFILE),
            }
        }
        self.empty_and_remove(parent, name, directory, depth)
    }

    fn empty_and_remove(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &CStr,
        directory: OwnedFd,
        depth: u32,
    ) -> bool {
        let mut entries = match Dir::new(directory) {
            Ok(entries) => entries,
            Err(error) => return self.fail(error),
        };
        let mut passes = 0;
        loop {
            let moved = self.moved;
            let removed = self.empty(&mut entries, depth);
            match unlinkat(parent, name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => return true,
                Err(Errno::NOTEMPTY | Errno::EXIST) => {}
                Err(error) => return self.fail(error),
            }
            // Each move takes a part of a finite depth away, so passes that moved need no limit.
            if !(depth == 0 && self.moved > moved) {
                passes += 1;
            }
            if removed == 0 || passes >= PASSES {
                return self.fail(Errno::NOTEMPTY);
            }
            entries.rewind();
        }
    }

    /// Removes all entries that can be; answers how many went.
    fn empty(&mut self, entries: &mut Dir, depth: u32) -> u64 {
        let mut removed = 0;
        while let Some(entry) = entries.read() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.fail(error);
                    break;
                }
            };
            if matches!(entry.file_name().to_bytes(), b"." | b"..") {
                continue;
            }
            let name = entry.file_name().to_owned();
            let gone = match entries.fd() {
                Ok(fd) => self.remove(fd, &name, depth + 1),
                Err(error) => self.fail(error),
            };
            removed += u64::from(gone);
        }
        removed
    }

    fn move_up(&mut self, parent: BorrowedFd<'_>, name: &CStr) -> bool {
        let Some(top) = &self.top else {
            return self.fail(Errno::NAMETOOLONG);
        };
        for _ in 0..PASSES {
            self.moved += 1;
            let moved = format!(".pinnace-removed-{}-{}", std::process::id(), self.moved);
            match renameat(parent, name, top, moved.as_str()) {
                Ok(()) | Err(Errno::NOENT) => return true,
                Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR | Errno::ISDIR) => {}
                Err(Errno::XDEV) => return self.fail(Errno::BUSY),
                Err(error) => return self.fail(error),
            }
        }
        self.fail(Errno::EXIST)
    }

    fn fail(&mut self, error: Errno) -> bool {
        // "Not empty" only follows from another failure, so the first one is the cause.
        if self.failed.is_none() || self.failed == Some(Errno::NOTEMPTY) {
            self.failed = Some(error);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::fs::mkdirat;

    use super::*;

    #[test]
    fn a_tree_goes_and_what_its_links_name_stays() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        let kept = dir.path().join("kept");
        std::fs::create_dir_all(tree.join("a/b/c")).unwrap();
        std::fs::create_dir(&kept).unwrap();
        std::fs::write(kept.join("file"), b"x").unwrap();
        std::fs::write(tree.join("a/file"), b"x").unwrap();
        symlink(&kept, tree.join("a/b/link")).unwrap();
        symlink("../../kept", tree.join("a/up")).unwrap();
        remove_tree(&tree).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
        assert!(kept.join("file").exists());
    }

    #[test]
    fn a_link_as_the_top_is_removed_and_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("kept")).unwrap();
        symlink("kept", dir.path().join("link")).unwrap();
        remove_tree(&dir.path().join("link")).unwrap();
        assert!(dir.path().join("kept").exists());
        assert!(!dir.path().join("link").is_symlink());
    }

    #[test]
    fn depth_beyond_all_descriptors_is_no_hindrance() {
        let dir = tempfile::tempdir().unwrap();
        let mut at = open_dir(dir.path()).unwrap();
        for _ in 0..3000 {
            mkdirat(&at, "d", Mode::RWXU).unwrap();
            mkdirat(&at, "e", Mode::RWXU).unwrap();
            at = open_raw(
                at.as_fd(),
                Path::new("d"),
                ResolveFlags::BENEATH,
                OFlags::PATH,
                Mode::empty(),
            )
            .unwrap();
        }
        remove_tree(&dir.path().join("d")).unwrap();
        assert!(!dir.path().join("d").exists());
    }

    #[test]
    fn many_entries_go_in_one_call() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        std::fs::create_dir(&tree).unwrap();
        for number in 0..5000 {
            std::fs::write(tree.join(number.to_string()), b"").unwrap();
        }
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
    }
}
