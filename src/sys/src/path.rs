//! Paths beneath a directory descriptor.
//!
//! No text of a path is trusted after a check: the kernel itself resolves it beneath an open directory, in
//! one call, and what comes back is a descriptor that no later rename or link can turn elsewhere.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, ResolveFlags, fchmod, mkdirat, openat, openat2};
pub use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Doing, SysError, SysResult};

/// The kernel asks for another try where a rename came between; it says so at most this often.
const RACE_TRIES: u32 = 128;
/// The deepest path that is made beneath a directory.
const MAX_COMPONENTS: usize = 256;

/// What absolute links and `..` mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolve {
    /// A way that leaves the directory, even for a moment, is an error (EXDEV).
    Beneath,
    /// The directory is the root of all that is resolved, as for a process after `chroot`.
    InRoot,
}

impl Resolve {
    fn flags(self) -> ResolveFlags {
        let common = ResolveFlags::NO_MAGICLINKS;
        match self {
            Resolve::Beneath => common | ResolveFlags::BENEATH,
            Resolve::InRoot => common | ResolveFlags::IN_ROOT,
        }
    }
}

/// Opens a directory as a place to resolve from (`O_PATH`), following links: for paths that are trusted.
pub fn open_dir(path: &Path) -> SysResult<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty()).doing_on("open directory", path)
}

/// Opens whatever is at a trusted path (`O_PATH`), following links.
pub fn open_path(path: &Path) -> SysResult<OwnedFd> {
    openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).doing_on("open", path)
}

/// Opens `path` as seen from `dir`; close-on-exec always. An empty path means the directory itself.
pub fn open_beneath(
    dir: impl AsFd,
    path: &Path,
    resolve: Resolve,
    flags: OFlags,
    mode: Mode,
) -> SysResult<OwnedFd> {
    open_raw(dir.as_fd(), path, resolve.flags(), flags, mode).doing_on("open beneath its directory", path)
}

/// Makes the directories of `path` that are missing, beneath `dir`, each with exactly `mode`, and opens the
/// last one (`O_PATH`). Links on the way may be followed only within `dir`; one that leads nowhere is an
/// error. What is at the end may also be a file if it was there before.
pub fn create_dirs_beneath(dir: impl AsFd, path: &Path, resolve: Resolve, mode: u32) -> SysResult<OwnedFd> {
    create_dirs(dir.as_fd(), path, resolve, mode).doing_on("create beneath its directory", path)
}

/// The path that leads to an open descriptor of this process, whatever was renamed since.
pub fn fd_path(fd: impl AsFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd()))
}

/// Checks that a text is a path that goes down only: relative, without `..`, not empty.
pub fn check_descending(path: &Path) -> SysResult<()> {
    let mut names = 0;
    for component in path.components() {
        match component {
            Component::Normal(_) => names += 1,
            Component::CurDir => {}
            _ => {
                let why = "the path must be relative and without '..'";
                return Err(SysError::on("resolve", path, io::ErrorKind::InvalidInput, why));
            }
        }
    }
    match names {
        0 => Err(SysError::on(
            "resolve",
            path,
            io::ErrorKind::InvalidInput,
            "the path is empty",
        )),
        _ => Ok(()),
    }
}

pub(crate) fn open_raw(
    dir: BorrowedFd<'_>,
    path: &Path,
    resolve: ResolveFlags,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    let mut tries = 0;
    loop {
        match openat2(dir, path, flags | OFlags::CLOEXEC, mode, resolve) {
            Err(Errno::AGAIN | Errno::INTR) if tries < RACE_TRIES => tries += 1,
            other => return other,
        }
    }
}

fn create_dirs(dir: BorrowedFd<'_>, path: &Path, resolve: Resolve, mode: u32) -> Result<OwnedFd, Errno> {
    let resolve = resolve.flags();
    let open = |path: &Path| open_raw(dir, path, resolve, OFlags::PATH, Mode::empty());
    match open(path) {
        Err(Errno::NOENT) => {}
        other => return other,
    }
    if path.components().count() > MAX_COMPONENTS {
        return Err(Errno::NAMETOOLONG);
    }
    // Every prefix is resolved from the top again: a link on the way may lead back up, which is fine as
    // long as it stays beneath the top.
    let mut prefix = PathBuf::new();
    let mut last = open(Path::new("."))?;
    for component in path.components() {
        prefix.push(component);
        last = match open(&prefix) {
            Err(Errno::NOENT) => make_one(&last, Path::new(&component), mode)?,
            other => other?,
        };
    }
    Ok(last)
}

fn make_one(above: &OwnedFd, name: &Path, mode: u32) -> Result<OwnedFd, Errno> {
    let made = match mkdirat(above, name, Mode::from_raw_mode(mode)) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(error) => return Err(error),
    };
    // No link is followed here: one that leads nowhere also answers EEXIST to mkdir.
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let directory = open_raw(above.as_fd(), name, resolve, flags, Mode::empty())?;
    if made {
        fchmod(&directory, Mode::from_raw_mode(mode))?;
    }
    Ok(directory)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    fn opens(dir: &OwnedFd, path: &str, resolve: Resolve) -> SysResult<OwnedFd> {
        open_beneath(dir, Path::new(path), resolve, OFlags::PATH, Mode::empty())
    }

    #[test]
    fn no_way_leads_out_from_beneath() {
        let outer = tempfile::tempdir().unwrap();
        let top = outer.path().join("top");
        std::fs::create_dir_all(top.join("in")).unwrap();
        std::fs::create_dir(outer.path().join("secret")).unwrap();
        symlink("../secret", top.join("up")).unwrap();
        symlink("/etc", top.join("absolute")).unwrap();
        symlink("in", top.join("inside")).unwrap();
        symlink("/proc/self/root/etc", top.join("magic")).unwrap();
        let dir = open_dir(&top).unwrap();
        for way in [
            "up",
            "absolute",
            "magic",
            "..",
            "../secret",
            "/etc",
            "in/../../secret",
        ] {
            let error = opens(&dir, way, Resolve::Beneath).unwrap_err();
            assert_eq!(error.errno(), Some(libc::EXDEV), "{way}");
        }
        opens(&dir, "inside", Resolve::Beneath).unwrap();
        opens(&dir, "in/../in", Resolve::Beneath).unwrap();
    }

    #[test]
    fn absolute_links_stay_in_the_root() {
        let top = tempfile::tempdir().unwrap();
        std::fs::create_dir(top.path().join("etc")).unwrap();
        std::fs::write(top.path().join("etc/passwd"), b"inner").unwrap();
        symlink("/etc/../../../etc/passwd", top.path().join("link")).unwrap();
        let dir = open_dir(top.path()).unwrap();
        let fd = opens(&dir, "/link", Resolve::InRoot).unwrap();
        assert_eq!(std::fs::read(fd_path(&fd)).unwrap(), b"inner");
    }

    #[test]
    fn missing_directories_are_made_beneath_with_their_mode() {
        let top = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(top.path().join("x/y")).unwrap();
        symlink("../..", top.path().join("x/y/top")).unwrap();
        let dir = open_dir(top.path()).unwrap();
        create_dirs_beneath(&dir, Path::new("x/y/top/n/m"), Resolve::Beneath, 0o777).unwrap();
        let made = std::fs::metadata(top.path().join("n/m")).unwrap();
        assert_eq!(made.mode() & 0o7777, 0o777);
        create_dirs_beneath(&dir, Path::new("n/m"), Resolve::Beneath, 0o700).unwrap();
        assert_eq!(
            std::fs::metadata(top.path().join("n/m")).unwrap().mode() & 0o7777,
            0o777
        );
    }

    #[test]
    fn a_link_that_leads_nowhere_or_out_is_never_made_into_a_directory() {
        let outer = tempfile::tempdir().unwrap();
        let top = outer.path().join("top");
        std::fs::create_dir(&top).unwrap();
        symlink("nowhere", top.join("dangling")).unwrap();
        symlink("../out", top.join("out")).unwrap();
        let dir = open_dir(&top).unwrap();
        for way in ["dangling", "dangling/a", "out", "out/a", "../out"] {
            assert!(
                create_dirs_beneath(&dir, Path::new(way), Resolve::Beneath, 0o755).is_err(),
                "{way}"
            );
        }
        assert!(!outer.path().join("out").exists());
        assert!(!top.join("nowhere").exists());
    }

    #[test]
    fn only_descending_paths_pass_the_check() {
        for good in ["a", "a/b", "./a"] {
            check_descending(Path::new(good)).unwrap();
        }
        for bad in ["", ".", "..", "a/../b", "/a"] {
            assert!(check_descending(Path::new(bad)).is_err(), "{bad}");
        }
    }
}
