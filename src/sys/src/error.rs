//! The one error of this crate: an operation, the object it was tried on, and the kernel's answer.

use std::fmt::Display;
use std::io;
use std::path::Path;

/// A failed operation on the host.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {object}")]
pub struct SysError {
    /// What was tried, such as `open` or `mount tmpfs on`.
    pub operation: &'static str,
    /// The path, process or other object it was tried on.
    pub object: String,
    /// The cause.
    #[source]
    pub source: io::Error,
}

/// Result of an operation on the host.
pub type SysResult<T> = Result<T, SysError>;

impl SysError {
    /// An error of this crate's own finding.
    pub fn new(operation: &'static str, object: impl Display, source: io::Error) -> Self {
        Self {
            operation,
            object: object.to_string(),
            source,
        }
    }

    /// An error of this crate's own finding on a path.
    pub fn on(operation: &'static str, path: &Path, kind: io::ErrorKind, why: &'static str) -> Self {
        Self::new(operation, path.display(), io::Error::new(kind, why))
    }

    /// The kind of the cause.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// The kernel's error number, where the kernel answered.
    pub fn errno(&self) -> Option<i32> {
        self.source.raw_os_error()
    }

    /// The object, or a part of the way to it, is not there.
    pub fn is_not_found(&self) -> bool {
        self.kind() == io::ErrorKind::NotFound
    }

    /// A lock is held by another.
    pub fn would_block(&self) -> bool {
        self.kind() == io::ErrorKind::WouldBlock
    }

    /// The disk, the quota or the file system stands in the way: the same call may go through later.
    pub fn is_storage_exhausted(&self) -> bool {
        matches!(
            self.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::ReadOnlyFilesystem
        )
    }
}

/// Names the operation and its object where a system call fails.
pub trait Doing<T> {
    /// `operation` was tried on `object`.
    fn doing(self, operation: &'static str, object: impl Display) -> SysResult<T>;
    /// `operation` was tried on `path`.
    fn doing_on(self, operation: &'static str, path: &Path) -> SysResult<T>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, operation: &'static str, object: impl Display) -> SysResult<T> {
        self.map_err(|error| SysError::new(operation, object, error.into()))
    }

    fn doing_on(self, operation: &'static str, path: &Path) -> SysResult<T> {
        self.doing(operation, path.display())
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    #[test]
    fn names_operation_and_object_and_keeps_the_cause_apart() {
        let result: SysResult<()> = Err(rustix::io::Errno::NOSPC).doing_on("write", Path::new("/x"));
        let error = result.unwrap_err();
        assert_eq!(error.to_string(), "write /x");
        assert_eq!(error.errno(), Some(libc::ENOSPC));
        assert!(error.is_storage_exhausted());
        assert!(error.source().is_some());
    }
}
