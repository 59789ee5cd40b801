//! One update of a volume's files.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use pinnace_core::payload::{MAX_BYTES, Payload, PayloadFile};
use pinnace_core::time::WallMillis;
use pinnace_sys::{Doing, SysResult, clock, random};

use super::links;

/// Of directories in the volume.
const DIRECTORY_MODE: u32 = 0o755;
/// What a group has of them beside that: new entries are the group's too.
const GROUP_MODE: u32 = 0o2050;

/// Brings the files up to date; answers whether they were not.
pub(super) fn update(volume: &Path, payload: &Payload) -> SysResult<bool> {
    if is_as_wanted(volume, payload) {
        if links::are_shown(volume, payload)? {
            return Ok(false);
        }
    } else {
        links::clear(volume)?;
        let directory = volume.join(new_name()?);
        fill(&directory, payload)?;
        links::turn(volume, directory.file_name().unwrap_or_default())?;
    }
    links::show(volume, payload)?;
    links::clear(volume)?;
    Ok(true)
}

/// Such as `..2026_11_23_00_12_05.7f3a21c4`.
fn new_name() -> SysResult<String> {
    let now = WallMillis(clock::wall_millis()).rfc3339();
    let digits = now.trim_end_matches('Z').replace(['-', ':', 'T'], "_");
    let chance = u32::from_ne_bytes(random::bytes::<4>()?);
    Ok(format!("..{digits}.{chance:08x}"))
}

fn fill(directory: &Path, payload: &Payload) -> SysResult<()> {
    make_directory(directory, payload.group)?;
    for (path, wanted) in &payload.files {
        let mut above = directory.to_owned();
        if let Some((parents, _)) = path.rsplit_once('/') {
            for name in parents.split('/') {
                above.push(name);
                if !above.is_dir() {
                    make_directory(&above, payload.group)?;
                }
            }
        }
        write(&directory.join(path), wanted, payload.group)?;
    }
    Ok(())
}

fn make_directory(path: &Path, group: Option<u32>) -> SysResult<()> {
    std::fs::create_dir(path).doing_on("create directory", path)?;
    if let Some(group) = group {
        std::os::unix::fs::chown(path, None, Some(group)).doing_on("change the group of", path)?;
    }
    let mode = DIRECTORY_MODE | group.map_or(0, |_| GROUP_MODE);
    std::fs::set_permissions(path, Permissions::from_mode(mode)).doing_on("set the mode of", path)
}

/// Its mode is set last: before, nobody but root may read it.
fn write(path: &Path, wanted: &PayloadFile, group: Option<u32>) -> SysResult<()> {
    let mut opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .doing_on("create", path)?;
    opened.write_all(&wanted.bytes).doing_on("write", path)?;
    if let Some(group) = group {
        fchown(&opened, None, Some(group)).doing_on("change the group of", path)?;
    }
    let mode = Permissions::from_mode(u32::from(wanted.mode));
    opened.set_permissions(mode).doing_on("set the mode of", path)
}

/// Whether the files in use are those of the payload. What cannot be read is not.
fn is_as_wanted(volume: &Path, payload: &Payload) -> bool {
    let Ok(Some(directory)) = links::current(volume) else {
        return false;
    };
    let mut found = BTreeMap::new();
    let whole = read_all(&directory, "", payload.group, &mut found);
    matches!(whole, Ok(true)) && found == payload.files
}

/// Reads all files beneath; false where one is not the group's, or there is something else than files.
fn read_all(
    directory: &Path,
    above: &str,
    group: Option<u32>,
    found: &mut BTreeMap<String, PayloadFile>,
) -> io::Result<bool> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            return Ok(false);
        };
        let path = format!("{above}{name}");
        let metadata = entry.metadata()?;
        if group.is_some_and(|group| metadata.gid() != group) {
            return Ok(false);
        }
        if metadata.is_dir() {
            if !read_all(&entry.path(), &format!("{path}/"), group, found)? {
                return Ok(false);
            }
        } else if metadata.is_file() {
            let file = PayloadFile {
                bytes: read(entry.path())?,
                // Twelve bits.
                mode: u16::try_from(metadata.mode() & 0o7777).unwrap_or_default(),
            };
            found.insert(path, file);
        } else {
            return Ok(false);
        }
    }
    Ok(true)
}

fn read(path: PathBuf) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}
