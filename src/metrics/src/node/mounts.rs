//! Reads the table of mounts (`/proc/PID/mounts`), and only when it has changed.
//!
//! With many pods the table has hundreds of lines, which the kernel writes anew for each reader. It tells by
//! `poll` whether a namespace's mounts have changed since the table was opened or last polled; so the table is
//! held open, and read again only then. What changes without a change of mounts (a file system that goes
//! read-only upon an error) is for `statfs` to tell.

use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{PROC_SUPER_MAGIC, fstatfs};

use crate::host::CollectError;
use crate::reader::{Reader, open, whole};

/// The host's table, where it was read.
#[derive(Default)]
pub(super) struct Table {
    /// Held only where the kernel tells of changes: on a real `/proc`.
    file: Option<OwnedFd>,
}

impl Table {
    /// The table's text, or `None` where it is as it was at the last call that succeeded.
    pub(super) fn changed(&mut self, host: &Reader) -> Result<Option<String>, CollectError> {
        if self.file.as_ref().is_some_and(|file| !has_changed(file)) {
            return Ok(None);
        }
        self.file = None;
        // The first process sees the host's mounts, wherever this one runs.
        let (file, text) = read(host, "1/mounts").or_else(|_| read(host, "self/mounts"))?;
        let is_proc = fstatfs(&file).is_ok_and(|found| found.f_type == PROC_SUPER_MAGIC);
        self.file = is_proc.then_some(file);
        Ok(Some(text))
    }
}

fn read(host: &Reader, name: &str) -> Result<(OwnedFd, String), CollectError> {
    let path = host.proc(name);
    let file = open(&path)?;
    let text = whole(&file, &path)?;
    Ok((file, text))
}

fn has_changed(file: &OwnedFd) -> bool {
    let mut asked = [PollFd::new(file, PollFlags::PRI)];
    // Without an answer it is safer to read.
    poll(&mut asked, Some(&Timespec::default())).map_or(true, |ready| ready > 0)
}

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    pub device: String,
    pub point: String,
    pub fs_type: String,
    pub read_only: bool,
}

/// The mounts in the table's order; a line that is not whole is passed over.
pub(super) fn parse(table: &str) -> impl Iterator<Item = Mount> {
    table.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let (device, point, fs_type, options) = (words.next()?, words.next()?, words.next()?, words.next()?);
        Some(Mount {
            device: unescape(device),
            point: unescape(point),
            fs_type: fs_type.to_owned(),
            read_only: options.split(',').any(|option| option == "ro"),
        })
    })
}

/// Undoes the kernel's `\ooo` for white space and backslashes.
fn unescape(word: &str) -> String {
    if !word.contains('\\') {
        return word.to_owned();
    }
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let octal = after
            .get(..3)
            .filter(|digits| first == b'\\' && digits.iter().all(|digit| (b'0'..=b'7').contains(digit)))
            .map(|digits| {
                digits
                    .iter()
                    .fold(0_u32, |value, digit| value * 8 + u32::from(digit - b'0'))
            })
            .and_then(|value| u8::try_from(value).ok());
        match octal {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_and_broken_lines_passed_over() {
        let table =
            "/dev/sd\\040a /mnt/a\\134b\\011c ext4 ro,noatime 0 0\nbroken\n//h/\u{e9} /m\\9 cifs rw 0 0\n";
        let mounts: Vec<_> = parse(table).collect();
        assert_eq!(mounts.len(), 2);
        assert_eq!(
            (mounts[0].device.as_str(), mounts[0].point.as_str()),
            ("/dev/sd a", "/mnt/a\\b\tc")
        );
        assert!(mounts[0].read_only && !mounts[1].read_only);
        assert_eq!(
            (mounts[1].device.as_str(), mounts[1].point.as_str()),
            ("//h/\u{e9}", "/m\\9")
        );
    }
}
