//! One entry of a layer into one file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, XattrFlags};
use rustix::io::Errno;

use super::error::EntryError;
use super::limits::{LimitExceeded, UnpackLimits};
use super::root::{self, LayerRoot, mode, os, set_opaque, set_owner, timestamps};
use crate::images::tar::{Entry, Fragment, Kind, TarReader};

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE_WHITEOUT: &[u8] = b".wh..wh..opq";
/// What aufs kept for itself, and old layers still carry.
const WHITEOUT_META: &[u8] = b".wh..wh.";
const COPY_BUFFER_BYTES: usize = 128 << 10;

/// Names and values of extended attributes.
type Attributes = Vec<(Vec<u8>, Vec<u8>)>;

/// Where an entry goes.
struct Place<'a> {
    directory: PathBuf,
    name: &'a [u8],
}

impl LayerRoot<'_> {
    /// Makes what the entry says; `data` yields its bytes.
    pub fn apply<R: Read>(&mut self, entry: &Entry, data: &mut TarReader<R>) -> Result<(), EntryError> {
        self.count(entry)?;
        let Some(place) = place(&entry.path, self.limits)? else {
            return self.apply_to_top(entry);
        };
        if is_aufs_meta(&place) {
            return Ok(());
        }
        if place.name.starts_with(WHITEOUT) {
            return self.white_out(&place, entry);
        }
        let owner = owner(entry)?;
        let parent = self.directory(&place.directory)?;
        let name = os(place.name);
        let found = root::stat(&parent, name)?;
        let path = place.directory.join(name);
        if entry.kind == Kind::HardLink {
            return self.link(entry, &parent, name, found.as_ref());
        }
        let was_whiteout = found.as_ref().is_some_and(root::is_whiteout);
        let keep = entry.kind == Kind::Directory
            && found
                .as_ref()
                .is_some_and(|found| root::file_type(found) == FileType::Directory);
        if found.is_some() && !keep {
            self.remove(&parent, name)?;
        }
        match entry.kind {
            Kind::File => write_file(entry, &parent, name, owner, data, self.limits),
            Kind::Directory => {
                if !keep {
                    root::make_directory(&parent, name)?;
                }
                let directory = root::open_child(&parent, name)?;
                if was_whiteout {
                    set_opaque(&directory)?;
                }
                set_metadata(&directory, entry, owner, self.limits)?;
                self.remember_time(&path, entry.mtime)
            }
            Kind::Symlink => make_symlink(entry, &parent, name, owner),
            Kind::CharDevice | Kind::BlockDevice | Kind::Fifo => {
                make_node(entry, &parent, name, owner, self.limits)
            }
            Kind::HardLink => Ok(()),
            Kind::Other(flag) => Err(EntryError::Kind(char::from(flag))),
        }
    }

    fn count(&mut self, entry: &Entry) -> Result<(), EntryError> {
        self.count_entry()?;
        if entry.kind == Kind::File {
            self.bytes = self.bytes.saturating_add(entry.size);
        }
        if self.bytes > self.limits.total_bytes {
            return Err(LimitExceeded::TotalBytes(self.limits.total_bytes).into());
        }
        Ok(())
    }

    /// `./`: the root directory itself.
    fn apply_to_top(&mut self, entry: &Entry) -> Result<(), EntryError> {
        if entry.kind != Kind::Directory {
            return Err(EntryError::BadName);
        }
        set_metadata(&self.top(), entry, owner(entry)?, self.limits)?;
        self.remember_time(Path::new(""), entry.mtime)
    }

    fn white_out(&mut self, place: &Place<'_>, entry: &Entry) -> Result<(), EntryError> {
        let parent = self.directory(&place.directory)?;
        if place.name == OPAQUE_WHITEOUT {
            let directory = match place.directory.as_os_str().is_empty() {
                true => return set_opaque(&self.top()),
                false => rustix::fs::openat(
                    &*parent,
                    ".",
                    rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC,
                    rustix::fs::Mode::empty(),
                ),
            };
            return set_opaque(&directory.map_err(EntryError::host("open the directory"))?);
        }
        let name = &place.name[WHITEOUT.len()..];
        if matches!(name, b"" | b"." | b"..") {
            return Err(EntryError::Whiteout);
        }
        match root::stat(&parent, os(name))? {
            // What this layer brings itself stays; only what lies below a directory of it is hidden.
            Some(found) if root::file_type(&found) == FileType::Directory => {
                set_opaque(&root::open_child(&parent, os(name))?)
            }
            Some(_) => Ok(()),
            None => {
                let owner = owner(entry)?;
                rustix::fs::mknodat(&*parent, os(name), FileType::CharacterDevice, mode(0), 0)
                    .map_err(EntryError::host("make the whiteout"))?;
                set_link_metadata(&parent, os(name), owner, entry.mtime)
            }
        }
    }

    fn link(
        &mut self,
        entry: &Entry,
        parent: &OwnedFd,
        name: &std::ffi::OsStr,
        found: Option<&rustix::fs::Stat>,
    ) -> Result<(), EntryError> {
        let text = || String::from_utf8_lossy(&entry.link).into_owned();
        let missing = || EntryError::LinkTarget(text());
        let target = match place(&entry.link, self.limits) {
            Ok(Some(target)) => target,
            Err(EntryError::Climbs) => return Err(EntryError::LinkClimbs(text())),
            Ok(None) | Err(_) => return Err(missing()),
        };
        let directory = self.existing(&target.directory).map_err(|_| missing())?;
        let original = root::stat(&directory, os(target.name))?.ok_or_else(missing)?;
        if root::file_type(&original) == FileType::Directory || root::is_whiteout(&original) {
            return Err(missing());
        }
        if let Some(found) = found {
            if (found.st_dev, found.st_ino) == (original.st_dev, original.st_ino) {
                return Ok(());
            }
            self.remove(parent, name)?;
        }
        match rustix::fs::linkat(&directory, os(target.name), parent, name, AtFlags::empty()) {
            // What was removed held the target.
            Err(Errno::NOENT) => Err(missing()),
            other => other.map_err(EntryError::host("make the hard link")),
        }
    }
}

/// Splits a name into directory and file. `None` is the layer's root itself.
fn place<'a>(path: &'a [u8], limits: &UnpackLimits) -> Result<Option<Place<'a>>, EntryError> {
    if path.is_empty() || path.contains(&0) {
        return Err(EntryError::BadName);
    }
    let mut names: Vec<&[u8]> = Vec::new();
    for name in path.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => return Err(EntryError::Climbs),
            name => names.push(name),
        }
    }
    if names.len() > limits.path_depth {
        return Err(LimitExceeded::PathDepth(limits.path_depth).into());
    }
    Ok(names.pop().map(|name| Place {
        directory: names.into_iter().map(os).collect(),
        name,
    }))
}

fn is_aufs_meta(place: &Place<'_>) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let is_meta = |name: &[u8]| name.starts_with(WHITEOUT_META) && name != OPAQUE_WHITEOUT;
    is_meta(place.name) || place.directory.iter().any(|name| is_meta(name.as_bytes()))
}

fn owner(entry: &Entry) -> Result<(u32, u32), EntryError> {
    // The highest number means "leave it as it is" to the kernel.
    let id = |id: u64| {
        u32::try_from(id)
            .ok()
            .filter(|id| *id != u32::MAX)
            .ok_or(EntryError::Owner(id))
    };
    Ok((id(entry.uid)?, id(entry.gid)?))
}

fn write_file<R: Read>(
    entry: &Entry,
    parent: &OwnedFd,
    name: &std::ffi::OsStr,
    owner: (u32, u32),
    data: &mut TarReader<R>,
    limits: &UnpackLimits,
) -> Result<(), EntryError> {
    use rustix::fs::OFlags;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file =
        rustix::fs::openat(parent, name, flags, mode(0o600)).map_err(EntryError::host("make the file"))?;
    let mut file = File::from(file);
    let whole = [Fragment {
        offset: 0,
        length: entry.size,
    }];
    for fragment in entry.sparse.as_deref().unwrap_or(&whole) {
        copy(data, &mut file, fragment)?;
    }
    let written = |source| EntryError::Host {
        operation: "write the file",
        source,
    };
    if entry.sparse.is_some() {
        file.set_len(entry.size).map_err(written)?;
    }
    let file = OwnedFd::from(file);
    set_metadata(&file, entry, owner, limits)?;
    rustix::fs::futimens(&file, &timestamps(entry.mtime)).map_err(EntryError::host("set the time"))
}

fn copy(data: &mut impl Read, file: &mut File, fragment: &Fragment) -> Result<(), EntryError> {
    let host = |source| EntryError::Host {
        operation: "write the file",
        source,
    };
    if fragment.offset > 0 {
        file.seek(SeekFrom::Start(fragment.offset)).map_err(host)?;
    }
    let mut left = fragment.length;
    let size = usize::try_from(left).map_or(COPY_BUFFER_BYTES, |left| left.min(COPY_BUFFER_BYTES));
    let mut buffer = vec![0; size];
    while left > 0 {
        let want = usize::try_from(left).map_or(size, |left| left.min(size));
        let read = match data.read(&mut buffer[..want]) {
            Ok(0) => return Err(EntryError::Data(io::ErrorKind::UnexpectedEof.into())),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(EntryError::Data(error)),
        };
        file.write_all(&buffer[..read]).map_err(host)?;
        left -= read as u64;
    }
    Ok(())
}

fn make_symlink(
    entry: &Entry,
    parent: &OwnedFd,
    name: &std::ffi::OsStr,
    owner: (u32, u32),
) -> Result<(), EntryError> {
    if entry.link.is_empty() || entry.link.contains(&0) {
        return Err(EntryError::EmptyLink);
    }
    rustix::fs::symlinkat(os(&entry.link), parent, name)
        .map_err(EntryError::host("make the symbolic link"))?;
    set_link_metadata(parent, name, owner, entry.mtime)
}

fn make_node(
    entry: &Entry,
    parent: &OwnedFd,
    name: &std::ffi::OsStr,
    owner: (u32, u32),
    limits: &UnpackLimits,
) -> Result<(), EntryError> {
    let kind = match entry.kind {
        Kind::CharDevice => FileType::CharacterDevice,
        Kind::BlockDevice => FileType::BlockDevice,
        _ => FileType::Fifo,
    };
    if kind != FileType::Fifo && !limits.devices {
        return Err(EntryError::Device);
    }
    let device = match kind {
        FileType::Fifo => 0,
        _ => rustix::fs::makedev(entry.device.0, entry.device.1),
    };
    rustix::fs::mknodat(parent, name, kind, mode(0o600), device)
        .map_err(EntryError::host("make the node"))?;
    set_link_metadata(parent, name, owner, entry.mtime)?;
    // Not through a link: the node was made just now, in a directory that only root can enter.
    rustix::fs::chmodat(parent, name, mode(entry.mode), AtFlags::empty())
        .map_err(EntryError::host("set the mode"))
}

/// Owner, mode and attributes, in the order in which none undoes another.
fn set_metadata(
    file: &OwnedFd,
    entry: &Entry,
    owner: (u32, u32),
    limits: &UnpackLimits,
) -> Result<(), EntryError> {
    set_owner(file, owner.0, owner.1)?;
    rustix::fs::fchmod(file, mode(entry.mode)).map_err(EntryError::host("set the mode"))?;
    if entry.xattrs.len() > limits.xattrs_per_entry {
        return Err(LimitExceeded::XattrCount(limits.xattrs_per_entry).into());
    }
    for (name, value) in &entry.xattrs {
        if value.len() > limits.xattr_bytes {
            return Err(LimitExceeded::XattrBytes(limits.xattr_bytes).into());
        }
        if !is_kept(name) {
            continue;
        }
        match rustix::fs::fsetxattr(file, name.as_slice(), value, XattrFlags::empty()) {
            // A file system without user attributes loses them; a lost capability would break the program.
            Err(Errno::OPNOTSUPP) if name.starts_with(b"user.") => {}
            other => other.map_err(EntryError::host("set an attribute"))?,
        }
    }
    Ok(())
}

fn is_kept(name: &[u8]) -> bool {
    name == b"security.capability" || (name.starts_with(b"user.") && !name.starts_with(b"user.overlay."))
}

/// The attributes of a directory that an implied one takes over.
pub(super) fn kept_attributes_of(file: &OwnedFd) -> Result<Attributes, EntryError> {
    let mut names = vec![0; 64 << 10];
    let length = match rustix::fs::flistxattr(file, names.as_mut_slice()) {
        Err(Errno::OPNOTSUPP) => 0,
        other => other.map_err(EntryError::host("list the attributes of a directory below"))?,
    };
    let mut kept = Vec::new();
    for name in names[..length]
        .split(|byte| *byte == 0)
        .filter(|name| is_kept(name))
    {
        let mut value = vec![0; 64 << 10];
        let length = rustix::fs::fgetxattr(file, name, value.as_mut_slice())
            .map_err(EntryError::host("read an attribute of a directory below"))?;
        value.truncate(length);
        kept.push((name.to_vec(), value));
    }
    Ok(kept)
}

fn set_link_metadata(
    parent: &OwnedFd,
    name: &std::ffi::OsStr,
    (uid, gid): (u32, u32),
    mtime: (i64, u32),
) -> Result<(), EntryError> {
    let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
    rustix::fs::chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
        .map_err(EntryError::host("set the owner"))?;
    rustix::fs::utimensat(parent, name, &timestamps(mtime), AtFlags::SYMLINK_NOFOLLOW)
        .map_err(EntryError::host("set the time"))
}
