//! Records that could not be read: kept for people, within bounds.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use pinnace_sys::{Doing, SysResult, file};

/// Files that are kept, reasons included; the oldest go first.
const KEPT: usize = 128;
/// Numbers that are tried for one name.
const NUMBERS: u32 = 10_000;

/// Moves a damaged file to `directory`, with the reason beside it; answers where it lies now.
pub(crate) fn set_aside(path: &Path, directory: &Path, why: &str) -> SysResult<PathBuf> {
    file::create_dir_all(directory, 0o700)?;
    let name = path.file_name().unwrap_or_else(|| OsStr::new("record"));
    let target = free_name(directory, name);
    std::fs::rename(path, &target).doing_on("set aside the record", path)?;
    let mut reason = target.clone().into_os_string();
    reason.push(".why");
    file::write_replace(Path::new(&reason), format!("{why}\n").as_bytes(), 0o600)?;
    file::sync_directory(directory)?;
    forget_oldest(directory)?;
    Ok(target)
}

fn free_name(directory: &Path, name: &OsStr) -> PathBuf {
    let numbered = |number: u32| {
        let mut name = name.to_owned();
        name.push(format!(".{number}"));
        directory.join(name)
    };
    let free = (1..NUMBERS).map(numbered).find(|path| !path.exists());
    free.unwrap_or_else(|| numbered(NUMBERS))
}

fn forget_oldest(directory: &Path) -> SysResult<()> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).doing_on("list", directory)? {
        let entry = entry.doing_on("list", directory)?;
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        found.push((modified.unwrap_or(SystemTime::UNIX_EPOCH), entry.path()));
    }
    found.sort_unstable();
    let surplus = found.len().saturating_sub(KEPT);
    for (_, path) in found.iter().take(surplus) {
        file::remove_file(path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_within_bounds_under_names_of_their_own() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("damaged");
        let path = root.path().join("a.json");
        let mut last = PathBuf::new();
        for _ in 0..KEPT {
            std::fs::write(&path, b"bad").unwrap();
            last = set_aside(&path, &directory, "cut off").unwrap();
        }
        assert!(!path.exists());
        assert!(std::fs::read_dir(&directory).unwrap().count() <= KEPT);
        assert_eq!(std::fs::read(&last).unwrap(), b"bad");
        let reason = std::fs::read_to_string(format!("{}.why", last.display())).unwrap();
        assert_eq!(reason, "cut off\n");
    }
}
