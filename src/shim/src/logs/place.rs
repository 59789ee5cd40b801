//! Where one log's files lie: the current one, and those that were rotated.
//!
//! Rotation is the kubelet's: the file is renamed to `NAME.20260102-030405` and begun anew; the oldest of
//! those files go. A second rotation within one second appends `-001` and so on. The directory is held open,
//! so that all of them stay where the first was, whatever is renamed above.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::time::SystemTime;

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::stamp::rotation_suffix;
use super::uri::LogTarget;

const FILE_MODE: Mode = Mode::from_raw_mode(0o640);
const MAX_ROTATIONS_PER_SECOND: u32 = 999;

/// A directory and a file's name in it.
#[derive(Debug)]
pub(super) struct LogPlace {
    directory: OwnedFd,
    name: OsString,
    max_files: u32,
    /// Of the newest rotated file; a removed file's name is never used again, or the order would be lost.
    last_rotation: (String, u32),
}

impl LogPlace {
    /// The place of `target`; its directory must be there.
    pub(super) fn open(target: &LogTarget) -> Result<Self, Errno> {
        let (Some(parent), Some(name)) = (target.path.parent(), target.path.file_name()) else {
            return Err(Errno::INVAL);
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self {
            directory: rustix::fs::open(parent, flags, Mode::empty())?,
            name: name.to_owned(),
            max_files: target.max_files,
            last_rotation: (String::new(), 0),
        })
    }

    /// Opens or makes the current file, to be appended to.
    pub(super) fn open_current(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.directory, &self.name, flags, FILE_MODE)
    }

    /// Opens the current file for reading.
    pub(super) fn read_current(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.directory, &self.name, flags, Mode::empty())
    }

    /// Whether there is no current file any more.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self.read_current(), Err(Errno::NOENT))
    }

    /// Undoes [`Self::move_away`].
    pub(super) fn move_back(&self, rotated: &OsStr) {
        let _ = self.rename(rotated, &self.name, RenameFlags::NOREPLACE);
    }

    /// Renames the file to a name that sorts after those of all earlier rotations.
    pub(super) fn move_away(&mut self) -> Option<OsString> {
        let (last_suffix, last_number) = &self.last_rotation;
        let now = rotation_suffix(SystemTime::now());
        let (suffix, first) = if now > *last_suffix {
            (now, 0)
        } else {
            (last_suffix.clone(), last_number + 1)
        };
        for number in first..=MAX_ROTATIONS_PER_SECOND {
            let mut rotated = self.name.clone();
            rotated.push(".");
            rotated.push(&suffix);
            if number > 0 {
                rotated.push(format!("-{number:03}"));
            }
            match self.rename(&self.name, &rotated, RenameFlags::NOREPLACE) {
                Ok(()) => {
                    self.last_rotation = (suffix, number);
                    return Some(rotated);
                }
                Err(Errno::EXIST) => {}
                Err(_) => return None,
            }
        }
        None
    }

    fn rename(&self, from: &OsStr, to: &OsStr, flags: RenameFlags) -> Result<(), Errno> {
        rustix::fs::renameat_with(&self.directory, from, &self.directory, to, flags)
    }

    /// Removes the oldest rotated files, so that `max_files` are left with the current one.
    pub(super) fn remove_excess(&self) {
        let mut rotated = self.rotated_names();
        rotated.sort();
        let keep = self.max_files.saturating_sub(1) as usize;
        let excess = rotated.len().saturating_sub(keep);
        for name in rotated.iter().take(excess) {
            let _ = rustix::fs::unlinkat(&self.directory, name, AtFlags::empty());
        }
    }

    fn rotated_names(&self) -> Vec<OsString> {
        let prefix = [self.name.as_bytes(), b"."].concat();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let listing = rustix::fs::openat(&self.directory, ".", flags, Mode::empty())
            .and_then(|directory| rustix::fs::Dir::read_from(&directory));
        let Ok(listing) = listing else {
            return Vec::new();
        };
        listing
            .filter_map(Result::ok)
            .map(|entry| OsStr::from_bytes(entry.file_name().to_bytes()).to_owned())
            .filter(|name| {
                name.as_bytes()
                    .strip_prefix(prefix.as_slice())
                    .is_some_and(is_suffix)
            })
            .collect()
    }
}

/// `20260102-030405`, `20260102-030405-001`.
fn is_suffix(text: &[u8]) -> bool {
    matches!(text.len(), 15 | 19) && text.iter().all(|b| b.is_ascii_digit() || *b == b'-')
}
