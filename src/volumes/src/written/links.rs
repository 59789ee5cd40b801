//! The links of a volume, and what lies beside them.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{DirEntry, ReadDir};
use std::io::{self, ErrorKind};
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use pinnace_core::payload::Payload;
use pinnace_sys::{Doing, SysResult, file, tree};

/// Leads to the directory of the files.
pub(super) const DATA: &str = "..data";
/// The same in the making.
const DATA_NEW: &str = "..data_tmp";

/// The directory that `..data` leads to.
pub(super) fn current(volume: &Path) -> SysResult<Option<PathBuf>> {
    let link = volume.join(DATA);
    let target = match std::fs::read_link(&link) {
        Ok(target) => target,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput) => {
            return Ok(None);
        }
        Err(error) => return Err(error).doing_on("read link", &link),
    };
    let mut parts = target.components();
    let is_own = matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None));
    Ok(is_own.then(|| volume.join(target)))
}

/// Turns `..data` to the directory of this name, at once.
pub(super) fn turn(volume: &Path, name: &OsStr) -> SysResult<()> {
    let (new, data) = (volume.join(DATA_NEW), volume.join(DATA));
    file::remove_file(&new)?;
    symlink(name, &new).doing_on("create link", &new)?;
    std::fs::rename(&new, &data).doing_on("rename into place", &data)
}

/// Lets containers see the files, and those that are gone no more.
pub(super) fn show(volume: &Path, payload: &Payload) -> SysResult<()> {
    let wanted: BTreeSet<&str> = payload.files.keys().map(|path| first(path)).collect();
    for name in &wanted {
        let (link, target) = (volume.join(name), target_of(name));
        match std::fs::read_link(&link) {
            Ok(found) if found == target => continue,
            Ok(_) => file::remove_file(&link)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // A sub-path that a container asked for before there was a file of the name.
            Err(_) => std::fs::remove_dir(&link).doing_on("remove", &link)?,
        }
        symlink(&target, &link).doing_on("create link", &link)?;
    }
    for entry in entries(volume)? {
        let entry = entry.doing_on("list", volume)?;
        let name = entry.file_name();
        let is_wanted = name.to_str().is_some_and(|name| wanted.contains(name));
        if !is_wanted && is_own_link(&entry) {
            file::remove_file(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes all directories of files but the one that is in use, and what an interrupted update left.
pub(super) fn clear(volume: &Path) -> SysResult<()> {
    let kept = current(volume)?;
    for entry in entries(volume)? {
        let entry = entry.doing_on("list", volume)?;
        let (name, path) = (entry.file_name(), entry.path());
        if name.as_encoded_bytes().starts_with(b"..") && name != DATA && Some(&path) != kept.as_ref() {
            tree::remove_tree(&path)?;
        }
    }
    Ok(())
}

/// Whether everything but the files is as it shall be.
pub(super) fn are_shown(volume: &Path, payload: &Payload) -> SysResult<bool> {
    let wanted: BTreeSet<OsString> = payload.files.keys().map(|path| first(path).into()).collect();
    let kept = current(volume)?;
    let mut shown = 0;
    for entry in entries(volume)? {
        let entry = entry.doing_on("list", volume)?;
        let (name, path) = (entry.file_name(), entry.path());
        let hidden = name.as_encoded_bytes().starts_with(b"..");
        if hidden {
            if name != DATA && Some(&path) != kept.as_ref() {
                return Ok(false);
            }
        } else if is_own_link(&entry) {
            if !wanted.contains(&name) {
                return Ok(false);
            }
            shown += 1;
        }
    }
    Ok(shown == wanted.len())
}

fn is_own_link(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    let target = std::fs::read_link(entry.path());
    target.is_ok_and(|target| name.to_str().is_some_and(|name| target == target_of(name)))
}

fn target_of(name: &str) -> PathBuf {
    Path::new(DATA).join(name)
}

fn first(path: &str) -> &str {
    path.split('/').next().unwrap_or(path)
}

fn entries(volume: &Path) -> SysResult<ReadDir> {
    let listed: io::Result<ReadDir> = std::fs::read_dir(volume);
    listed.doing_on("list", volume)
}
