//! Paths of files in a volume: they go down only, and the volume's own names are kept free.

use super::FileError;

/// The longest path, and the longest name in one.
const MAX_PATH: usize = 4096;
const MAX_NAME: usize = 255;

/// The path without doubled slashes and `.`, if it may be in a volume.
pub(super) fn checked(path: &str) -> Result<String, FileError> {
    let refuse = |why: String| Err(FileError::Path(why));
    if path.starts_with('/') {
        return refuse(format!("must be relative path: {path}"));
    }
    if path.len() > MAX_PATH {
        return refuse(format!("must be less than or equal to {MAX_PATH} characters"));
    }
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    let Some(first) = parts.first() else {
        return refuse(format!("must not be empty: {path:?}"));
    };
    for part in &parts {
        if *part == ".." {
            return refuse(format!("must not contain '..': {path}"));
        }
        if part.len() > MAX_NAME {
            return refuse(format!(
                "filenames must be less than or equal to {MAX_NAME} characters"
            ));
        }
        if part.contains('\0') {
            return refuse(format!("must not contain a zero byte: {path:?}"));
        }
    }
    // `..data` and the directories that it leads to are the volume's own.
    if first.starts_with("..") {
        return refuse(format!("must not start with '..': {path}"));
    }
    Ok(parts.join("/"))
}
