//! Which files there are, and their text.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::libc::O_NONBLOCK;

use super::{ConfigProblem, Sources};

/// More than any configuration needs.
const MAX_FILE_BYTES: u64 = 1 << 20;
const MAX_FILES: usize = 256;

fn problem(file: &Path, message: String) -> ConfigProblem {
    ConfigProblem {
        file: file.to_owned(),
        line: None,
        field: None,
        message,
    }
}

/// The main file, where it is there, and the `*.yaml` of the directory by name; hidden ones are left alone.
pub(super) fn list(sources: &Sources, problems: &mut Vec<ConfigProblem>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    match fs::symlink_metadata(&sources.file) {
        Ok(_) => files.push(sources.file.clone()),
        Err(error) if error.kind() == ErrorKind::NotFound && !sources.file_required => {}
        Err(error) => problems.push(problem(&sources.file, format!("cannot be read: {error}"))),
    }
    match in_directory(&sources.directory) {
        Ok(mut more) => {
            more.sort_unstable();
            if more.len() > MAX_FILES {
                let message = format!("holds {} files, {MAX_FILES} at most are read", more.len());
                problems.push(problem(&sources.directory, message));
                more.truncate(MAX_FILES);
            }
            files.append(&mut more);
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => problems.push(problem(&sources.directory, format!("cannot be read: {error}"))),
    }
    files
}

fn in_directory(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let bytes = name.as_encoded_bytes();
        if bytes.ends_with(b".yaml") && !bytes.starts_with(b".") {
            files.push(directory.join(name));
        }
    }
    Ok(files)
}

/// The text of one file; anything but a regular file of moderate size is refused, and never waited for.
pub(super) fn read(path: &Path) -> Result<String, ConfigProblem> {
    let failed = |error: io::Error| problem(path, format!("cannot be read: {error}"));
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(O_NONBLOCK)
        .open(path)
        .map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(problem(path, "is not a regular file".to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let message = format!("is larger than {MAX_FILE_BYTES} bytes");
        return Err(problem(path, message));
    }
    String::from_utf8(bytes).map_err(|error| {
        let message = format!("is not UTF-8 at byte {}", error.utf8_error().valid_up_to());
        problem(path, message)
    })
}
