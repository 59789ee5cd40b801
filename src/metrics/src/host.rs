//! Where the host is read, and how: bounded, in as few system calls as can be.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::buffer::spare_capacity;
use rustix::fs::{Mode, OFlags};

/// No file that a collector reads comes near to it.
const FILE_LIMIT: usize = 16 * 1024 * 1024;
/// Most files of `/proc` come in one read of this size.
const FIRST_READ: usize = 16 * 1024;
/// An attribute that a collector reads is a few bytes; sysfs ends all of them at a page.
const ATTRIBUTE_LIMIT: usize = 4096;

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
    trimmed(read(path).ok()?)
}

/// A directory of `/sys` whose attributes are read one by one: without a walk to each, and with one read, in
/// which sysfs gives all of an attribute (at most a page).
pub(crate) struct Attributes(OwnedFd);

impl Attributes {
    pub(crate) fn open(dir: &Path) -> Option<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(dir, flags, Mode::empty()).ok().map(Self)
    }

    /// See [`Host::sys_attribute`].
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let file = rustix::fs::openat(&self.0, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        let mut bytes = Vec::with_capacity(ATTRIBUTE_LIMIT);
        rustix::io::retry_on_intr(|| rustix::io::read(&file, spare_capacity(&mut bytes))).ok()?;
        trimmed(text(bytes))
    }
}

fn trimmed(mut text: String) -> Option<String> {
    text.truncate(text.trim_end().len());
    Some(text)
}

/// A whole file as text; bytes that are not UTF-8 become U+FFFD.
pub(crate) fn read(path: &Path) -> Result<String, CollectError> {
    let failed = |error: rustix::io::Errno| CollectError::Read {
        path: path.to_owned(),
        source: error.into(),
    };
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
    let mut bytes = Vec::with_capacity(FIRST_READ);
    loop {
        if bytes.len() == bytes.capacity() {
            if bytes.len() >= FILE_LIMIT {
                return Err(CollectError::TooLarge {
                    path: path.to_owned(),
                });
            }
            bytes.reserve(bytes.len() * 3);
        }
        let read = rustix::io::retry_on_intr(|| rustix::io::read(&file, spare_capacity(&mut bytes)));
        if read.map_err(failed)? == 0 {
            return Ok(text(bytes));
        }
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
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
        std::fs::File::create(&path)
            .unwrap()
            .set_len(FILE_LIMIT as u64 + 1)
            .unwrap();
        assert!(matches!(read(&path), Err(CollectError::TooLarge { .. })));
        assert!(read(&dir.path().join("none")).unwrap_err().is_absent());
    }

    #[test]
    fn attributes_are_read_one_by_one_and_the_missing_are_none() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("mtu"), "1500\n").unwrap();
        let attributes = Attributes::open(dir.path()).unwrap();
        assert_eq!(attributes.get("mtu").as_deref(), Some("1500"));
        assert_eq!(attributes.get("speed"), None);
        assert!(Attributes::open(&dir.path().join("none")).is_none());
    }
}
