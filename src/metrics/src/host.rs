//! Where the host is, and why a collector has nothing to tell of it.

use std::io;
use std::path::{Path, PathBuf};

/// No file that a collector reads comes near to it.
pub(crate) const FILE_LIMIT: usize = 16 * 1024 * 1024;

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

    /// A path of the host as this process reaches it.
    pub(crate) fn rooted(&self, path: &str) -> PathBuf {
        self.rootfs.join(path.trim_start_matches('/'))
    }
}
