//! The kernel's list of mounts, `/proc/self/mountinfo`.

use std::cmp::Reverse;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::error::SysResult;
use crate::file;

const MOUNT_INFO: &str = "/proc/self/mountinfo";
/// Some 100,000 mounts.
const MOUNT_INFO_MAX: u64 = 32 << 20;
/// Written after the path of a mount point that was removed while mounted.
const DELETED: &str = "//deleted";

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountEntry {
    /// The mount's number.
    pub id: u64,
    /// The number of the mount it is mounted on.
    pub parent: u64,
    /// Which part of its file system it shows.
    pub root: PathBuf,
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// Options of this mount alone, such as `rw,relatime`.
    pub options: String,
    /// Optional fields, such as `shared:5` or `master:3`.
    pub propagation: Vec<String>,
    /// The file system's type.
    pub fs_type: String,
    /// Its device or the like.
    pub source: String,
    /// Options of the file system.
    pub super_options: String,
}

/// All mounts that this process sees.
pub fn mount_table() -> SysResult<Vec<MountEntry>> {
    let content = file::read_limited(Path::new(MOUNT_INFO), MOUNT_INFO_MAX)?;
    Ok(parse_mount_table(&content))
}

/// The mount points at or beneath a path, the deepest first; one on which several are stacked is there as
/// often.
pub fn mounts_beneath(path: &Path) -> SysResult<Vec<PathBuf>> {
    // The kernel's list holds no links; what is gone can only be looked up as it is.
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let content = file::read_limited(Path::new(MOUNT_INFO), MOUNT_INFO_MAX)?;
    let mut found = points_beneath(&content, &path);
    found.sort_by_cached_key(|mount_point| Reverse(mount_point.components().count()));
    Ok(found)
}

/// Only lines whose mount point may lie there are read whole: a host of a thousand pods has thousands.
fn points_beneath(content: &[u8], path: &Path) -> Vec<PathBuf> {
    // Nothing that is written otherwise in the list comes before this place in the path.
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-".contains(byte);
    let bytes = path.as_os_str().as_bytes();
    let front = &bytes[..bytes.iter().position(|byte| !plain(byte)).unwrap_or(bytes.len())];
    let lines = content.split(|byte| *byte == b'\n');
    lines
        .filter(|line| {
            line.split(|byte| *byte == b' ')
                .nth(4)
                .is_some_and(|point| point.starts_with(front))
        })
        .filter_map(parse_line)
        .map(|entry| entry.mount_point)
        .filter(|point| point.starts_with(path))
        .collect()
}

/// Reads the kernel's format; lines that are not in it are left out.
pub fn parse_mount_table(content: &[u8]) -> Vec<MountEntry> {
    let lines = content.split(|byte| *byte == b'\n');
    lines.filter_map(parse_line).collect()
}

fn parse_line(line: &[u8]) -> Option<MountEntry> {
    let mut fields = line.split(|byte| *byte == b' ');
    let mut next = || fields.next().map(unescape);
    let id = text(next()?).parse().ok()?;
    let parent = text(next()?).parse().ok()?;
    let _device = next()?;
    let root = path(next()?);
    let mount_point = path(next()?);
    let options = text(next()?);
    let mut propagation = Vec::new();
    loop {
        match text(next()?) {
            end if end == "-" => break,
            field => propagation.push(field),
        }
    }
    Some(MountEntry {
        id,
        parent,
        root,
        mount_point: match mount_point.to_str().and_then(|text| text.strip_suffix(DELETED)) {
            Some(stripped) => PathBuf::from(stripped),
            None => mount_point,
        },
        options,
        propagation,
        fs_type: text(next()?),
        source: text(next()?),
        super_options: text(next()?),
    })
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

fn path(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes))
}

/// Blanks, tabs, line ends, `#` and backslashes are written as three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        let escaped = match (first, tail) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..]) => {
                Some((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'))
            }
            _ => None,
        };
        if escaped.is_some() {
            rest = &tail[3..];
        }
        plain.push(escaped.unwrap_or(*first));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"\
22 27 0:21 / /proc rw,relatime - proc proc rw\n\
36 35 98:0 /mnt1 /mnt\\0402\\134x rw,noatime shared:1 master:2 - ext4 /dev/my\\040disk rw,errors=continue\n\
40 27 0:50 / /run/gone//deleted rw - tmpfs tmpfs rw\n\
not a line\n\
41 27 0:51 / /cut rw shared:1\n";

    #[test]
    fn lines_are_read_with_optional_fields_and_escapes() {
        let table = parse_mount_table(TABLE);
        assert_eq!(table.len(), 3);
        let disk = &table[1];
        assert_eq!(disk.mount_point, Path::new("/mnt 2\\x"));
        assert_eq!(disk.source, "/dev/my disk");
        assert_eq!(disk.root, Path::new("/mnt1"));
        assert_eq!(disk.propagation, ["shared:1", "master:2"]);
        assert_eq!(
            (disk.fs_type.as_str(), disk.super_options.as_str()),
            ("ext4", "rw,errors=continue")
        );
        assert_eq!(table[2].mount_point, Path::new("/run/gone"));
    }

    #[test]
    fn points_beneath_a_path_are_found_whatever_is_written_otherwise_in_it() {
        let beneath = |path: &str| points_beneath(TABLE, Path::new(path));
        let disk = PathBuf::from("/mnt 2\\x");
        assert_eq!(beneath("/mnt 2\\x"), std::slice::from_ref(&disk));
        assert_eq!(beneath("/mnt 2"), Vec::<PathBuf>::new());
        assert_eq!(
            beneath("/"),
            [PathBuf::from("/proc"), disk, PathBuf::from("/run/gone")]
        );
        assert_eq!(beneath("/run/gone"), [PathBuf::from("/run/gone")]);
    }

    #[test]
    fn the_kernels_own_list_holds_proc() {
        let table = mount_table().unwrap();
        assert!(
            table
                .iter()
                .any(|entry| entry.fs_type == "proc" && entry.mount_point == Path::new("/proc"))
        );
    }

    #[test]
    fn a_path_is_not_beneath_another_that_only_begins_alike() {
        assert!(mounts_beneath(Path::new("/pro")).unwrap().is_empty());
    }
}
