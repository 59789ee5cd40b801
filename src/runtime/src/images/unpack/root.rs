//! The directory that a layer is unpacked into, and the ways within it.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use pinnace_sys::path::{Mode, OFlags, Resolve, open_beneath};
use pinnace_sys::tree::remove_tree_beneath;
use rustix::fs::{AtFlags, FileType, Stat, Timespec, Timestamps, XattrFlags};
use rustix::io::Errno;

use super::error::{EntryError, UnpackError};
use super::limits::{LimitExceeded, UnpackLimits};

/// Marks a directory that hides those of the same path in the layers below.
pub(in crate::images) const OPAQUE: &str = "trusted.overlay.opaque";
const OPEN_DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW);

type RememberedTime = (PathBuf, (i64, u32));

/// A layer's directory while it is filled.
pub(super) struct LayerRoot<'a> {
    top: Rc<OwnedFd>,
    /// The layers beneath, the nearest first.
    below: &'a [OwnedFd],
    pub(super) limits: &'a UnpackLimits,
    /// The directory of the entry before; most entries lie where the one before them did.
    cached: Option<(PathBuf, Rc<OwnedFd>)>,
    /// Times of directories, set last since every entry within changes them.
    times: Vec<RememberedTime>,
    times_bytes: usize,
    entries: u64,
    pub(super) bytes: u64,
}

impl<'a> LayerRoot<'a> {
    pub fn new(top: OwnedFd, below: &'a [OwnedFd], limits: &'a UnpackLimits) -> Result<Self, UnpackError> {
        let mut root = Self {
            top: Rc::new(top),
            below,
            limits,
            cached: None,
            times: Vec::new(),
            times_bytes: 0,
            entries: 0,
            bytes: 0,
        };
        let directory = |source| UnpackError::Directory {
            operation: "prepare",
            source,
        };
        root.adopt(Path::new(""), &Rc::clone(&root.top))
            .map_err(|error| match error {
                EntryError::Host { source, .. } => directory(source),
                other => directory(std::io::Error::other(other)),
            })?;
        Ok(root)
    }

    /// Sets what must come last.
    pub fn finish(self) -> Result<(), UnpackError> {
        for (path, mtime) in &self.times {
            // A later entry may have put something else there.
            let Ok(directory) =
                open_beneath(&*self.top, path, Resolve::InRoot, OPEN_DIRECTORY, Mode::empty())
            else {
                continue;
            };
            rustix::fs::futimens(&directory, &timestamps(*mtime)).map_err(|errno| {
                UnpackError::Directory {
                    operation: "set the times in",
                    source: errno.into(),
                }
            })?;
        }
        Ok(())
    }

    /// The layer's own directory.
    pub fn top(&self) -> Rc<OwnedFd> {
        Rc::clone(&self.top)
    }

    /// Opens a directory of the layer, making what is missing on the way.
    pub fn directory(&mut self, path: &Path) -> Result<Rc<OwnedFd>, EntryError> {
        if path.as_os_str().is_empty() {
            return Ok(self.top());
        }
        if let Some((cached, directory)) = &self.cached
            && cached == path
        {
            return Ok(Rc::clone(directory));
        }
        let directory = match self.existing(path) {
            Err(_) => self.make_way(path)?,
            Ok(directory) => directory,
        };
        let directory = Rc::new(directory);
        self.cached = Some((path.to_owned(), Rc::clone(&directory)));
        Ok(directory)
    }

    /// Opens a directory of the layer that must be there.
    pub fn existing(&self, path: &Path) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        open_beneath(&*self.top, path, Resolve::InRoot, flags, Mode::empty())
            .map_err(|error| Errno::from_io_error(&error.source).unwrap_or(Errno::IO))
    }

    fn make_way(&mut self, path: &Path) -> Result<OwnedFd, EntryError> {
        let mut last = self.top();
        let mut prefix = PathBuf::new();
        for name in path.components() {
            let name = name.as_os_str();
            prefix.push(name);
            let directory = match self.existing(&prefix) {
                Ok(directory) => directory,
                Err(errno) if !is_of_the_layer(errno) => {
                    return Err(EntryError::host("open the directory")(errno));
                }
                Err(_) => match stat(&last, name)? {
                    None => self.make_implied(&last, name, &prefix)?,
                    Some(found) if is_whiteout(&found) => {
                        remove(&last, name)?;
                        let directory = self.make_implied(&last, name, &prefix)?;
                        set_opaque(&open_child(&last, name)?)?;
                        directory
                    }
                    Some(_) => return Err(EntryError::NotADirectory(prefix.display().to_string())),
                },
            };
            last = Rc::new(directory);
        }
        // Nobody else holds it: it was opened in this function, the path not being empty.
        Rc::try_unwrap(last).map_err(|_| EntryError::BadName)
    }

    /// Makes a directory that the layer does not mention, as the layers below have it.
    fn make_implied(&mut self, parent: &OwnedFd, name: &OsStr, path: &Path) -> Result<OwnedFd, EntryError> {
        // One entry may imply hundreds.
        self.count_entry()?;
        make_directory(parent, name)?;
        let directory = Rc::new(open_child(parent, name)?);
        rustix::fs::fchmod(&*directory, mode(0o755)).map_err(EntryError::host("set the mode"))?;
        self.adopt(path, &directory)?;
        self.existing(path)
            .map_err(EntryError::host("open a directory that was just made"))
    }

    /// Copies owner, mode, time and attributes of the same directory in the layers below, if it is there.
    fn adopt(&mut self, path: &Path, directory: &OwnedFd) -> Result<(), EntryError> {
        for below in self.below {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            let model = match open_beneath(below, path, Resolve::InRoot, flags, Mode::empty()) {
                Ok(model) => model,
                Err(error) if error.is_not_found() => continue,
                // Something else lies there and hides all that is further below.
                Err(_) => return Ok(()),
            };
            let found = rustix::fs::fstat(&model).map_err(EntryError::host("read a directory below"))?;
            set_owner(directory, found.st_uid, found.st_gid)?;
            rustix::fs::fchmod(directory, mode(found.st_mode & 0o7777))
                .map_err(EntryError::host("set the mode"))?;
            for (name, value) in super::entry::kept_attributes_of(&model)? {
                rustix::fs::fsetxattr(directory, name.as_slice(), &value, XattrFlags::empty())
                    .map_err(EntryError::host("set an attribute"))?;
            }
            return self.remember_time(
                path,
                (found.st_mtime, u32::try_from(found.st_mtime_nsec).unwrap_or(0)),
            );
        }
        Ok(())
    }

    /// Counts something that takes an inode.
    pub fn count_entry(&mut self) -> Result<(), LimitExceeded> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(LimitExceeded::Entries(self.limits.entries));
        }
        Ok(())
    }

    /// Has a directory's time set at the end.
    pub fn remember_time(&mut self, path: &Path, mtime: (i64, u32)) -> Result<(), EntryError> {
        // A short name takes memory too, and the same directory may come again and again.
        self.times_bytes += path.as_os_str().len() + size_of::<RememberedTime>();
        if self.times_bytes > self.limits.directory_name_bytes {
            return Err(LimitExceeded::DirectoryNames(self.limits.directory_name_bytes).into());
        }
        self.times.push((path.to_owned(), mtime));
        Ok(())
    }

    /// Removes whatever has this name, and forgets directories that may have gone with it.
    pub fn remove(&mut self, parent: &OwnedFd, name: &OsStr) -> Result<(), EntryError> {
        self.cached = None;
        remove(parent, name)
    }
}

/// Whether a way is not open because of what the layer has there, rather than for a fault of the host.
fn is_of_the_layer(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP)
}

fn remove(parent: &OwnedFd, name: &OsStr) -> Result<(), EntryError> {
    remove_tree_beneath(parent, name).map_err(|error| EntryError::Host {
        operation: "remove what an earlier entry made",
        source: error.source,
    })
}

/// What has this name, links not followed.
pub(super) fn stat(parent: &OwnedFd, name: &OsStr) -> Result<Option<Stat>, EntryError> {
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(EntryError::host("look for an earlier entry")(errno)),
    }
}

pub(super) fn is_whiteout(found: &Stat) -> bool {
    file_type(found) == FileType::CharacterDevice && found.st_rdev == 0
}

pub(super) fn file_type(found: &Stat) -> FileType {
    FileType::from_raw_mode(found.st_mode)
}

pub(super) fn make_directory(parent: &OwnedFd, name: &OsStr) -> Result<(), EntryError> {
    rustix::fs::mkdirat(parent, name, mode(0o700)).map_err(EntryError::host("make the directory"))
}

pub(super) fn open_child(parent: &OwnedFd, name: &OsStr) -> Result<OwnedFd, EntryError> {
    let flags = OPEN_DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty()).map_err(EntryError::host("open the directory"))
}

pub(super) fn set_opaque(directory: &OwnedFd) -> Result<(), EntryError> {
    rustix::fs::fsetxattr(directory, OPAQUE, b"y", XattrFlags::empty())
        .map_err(EntryError::host("mark the directory opaque"))
}

pub(super) fn set_owner(file: &OwnedFd, uid: u32, gid: u32) -> Result<(), EntryError> {
    let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
    rustix::fs::fchown(file, Some(uid), Some(gid)).map_err(EntryError::host("set the owner"))
}

pub(super) fn mode(bits: u32) -> Mode {
    Mode::from_raw_mode(bits)
}

pub(super) fn timestamps((seconds, nanos): (i64, u32)) -> Timestamps {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: nanos.into(),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

pub(super) fn os(name: &[u8]) -> &OsStr {
    OsStr::from_bytes(name)
}
