//! Where the host is read, and how: bounded, in as few system calls as can be.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// No file that a collector reads comes near to it.
const FILE_LIMIT: usize = 16 * 1024 * 1024;
/// Most files of `/proc` come in one read of this size.
const FIRST_READ: usize = 16 * 1024;

/// Why a collector has nothing to tell.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// A file cannot be read.
    #[error("read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file is larger than any of its kind should be.
    #[error("read {}: it is larger than {FILE_LIMIT} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A file's content is not as the kernel documents it.
    #[error("read {}: {what} is missing or malformed", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// A file's content was not understood by its parser.
    #[error("read {}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: procfs::ProcError,
    },
}

impl CollectError {
    /// The kernel, or this machine, has no such thing: no reason to complain.
    pub fn is_absent(&self) -> bool {
        matches!(self, CollectError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    pub(crate) fn malformed(path: PathBuf, what: &'static str) -> Self {
        CollectError::Malformed { path, what }
    }
}

/// The roots under which a host is read; other ones for tests, or where the host is mounted elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// `/proc`.
    pub proc: PathBuf,
    /// `/sys`.
    pub sys: PathBuf,
    /// `/`.
    pub rootfs: PathBuf,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            proc: "/proc".into(),
            sys: "/sys".into(),
            rootfs: "/".into(),
        }
    }
}

impl Host {
    /// All three beneath one directory.
    pub fn beneath(dir: &Path) -> Self {
        Self {
            proc: dir.join("proc"),
            sys: dir.join("sys"),
            rootfs: dir.to_owned(),
        }
    }

    /// The text of a file of `/proc`.
    pub(crate) fn proc_text(&self, path: &str) -> Result<String, CollectError> {
        read(&self.proc.join(path))
    }

    /// The text of a file of `/sys`, without its line's end; `None` where it cannot be read: a device's
    /// attributes come and go with its state, each for itself.
    pub(crate) fn sys_attribute(&self, path: &str) -> Option<String> {
        attribute(&self.sys.join(path))
    }

    /// A path of the host as this process reaches it.
    pub(crate) fn rooted(&self, path: &str) -> PathBuf {
        self.rootfs.join(path.trim_start_matches('/'))
    }
}

/// See [`Host::sys_attribute`].
pub(crate) fn attribute(path: &Path) -> Option<String> {
    let mut text = read(path).ok()?;
    text.truncate(text.trim_end().len());
    Some(text)
}

/// A whole file as text; bytes that are not UTF-8 become U+FFFD.
pub(crate) fn read(path: &Path) -> Result<String, CollectError> {
    let failed = |source| CollectError::Read {
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(failed)?;
    let mut bytes = vec![0; FIRST_READ];
    let mut length = 0;
    loop {
        match file.read(&mut bytes[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
        if length == bytes.len() {
            if length >= FILE_LIMIT {
                return Err(CollectError::TooLarge {
                    path: path.to_owned(),
                });
            }
            bytes.resize(length * 4, 0);
        }
    }
    bytes.truncate(length);
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_any_size_are_read_whole_up_to_the_bound() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        for size in [0, 1, FIRST_READ - 1, FIRST_READ, FIRST_READ + 1, 5 * FIRST_READ] {
            std::fs::write(&path, "x".repeat(size)).unwrap();
            assert_eq!(read(&path).unwrap().len(), size);
        }
        File::create(&path)
            .unwrap()
            .set_len(FILE_LIMIT as u64 + 1)
            .unwrap();
        assert!(matches!(read(&path), Err(CollectError::TooLarge { .. })));
        assert!(read(&dir.path().join("none")).unwrap_err().is_absent());
    }
}
