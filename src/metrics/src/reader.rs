//! Reads the host: bounded, and in as few system calls as can be.
//!
//! What `/proc` tells anew at each read is opened once and then read from its start (`pread`), which spares the
//! kernel the walk to it, and for some files half of the work. Each file held so costs the kernel some 4 KiB, so
//! only those of a fixed list of names are: a reader holds as many as its callers' code names, and no more.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::buffer::spare_capacity;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::host::{CollectError, FILE_LIMIT, Host};

/// Most files of `/proc` come in one read of this size.
const FIRST_READ: usize = 16 * 1024;
/// Buffers that are kept for later texts, and how large one of them may be.
const MOST_SPARE: usize = 4;
const LARGEST_SPARE: usize = 64 * 1024;
/// An attribute that a collector reads is a few bytes; sysfs ends all of them at a page.
const ATTRIBUTE_LIMIT: usize = 4096;

/// Reads one host, for one thread.
pub(crate) struct Reader {
    host: Host,
    held: RefCell<BTreeMap<&'static str, OwnedFd>>,
    /// See [`Reader::proc_once`].
    once: RefCell<BTreeMap<&'static str, Arc<str>>>,
    /// Buffers that texts gave back.
    spare: RefCell<Vec<Vec<u8>>>,
}

/// A file's text; its buffer serves another one afterwards.
#[derive(Debug)]
pub(crate) struct Text<'a> {
    text: String,
    spare: &'a RefCell<Vec<Vec<u8>>>,
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl Drop for Text<'_> {
    fn drop(&mut self) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < MOST_SPARE && self.text.capacity() <= LARGEST_SPARE {
            let mut bytes = std::mem::take(&mut self.text).into_bytes();
            bytes.clear();
            spare.push(bytes);
        }
    }
}

impl Reader {
    pub(crate) fn new(host: Host) -> Self {
        Self {
            host,
            held: RefCell::default(),
            once: RefCell::default(),
            spare: RefCell::default(),
        }
    }

    /// A path of `/proc`.
    pub(crate) fn proc(&self, name: &str) -> PathBuf {
        self.host.proc.join(name)
    }

    /// A path of `/sys`.
    pub(crate) fn sys(&self, name: &str) -> PathBuf {
        self.host.sys.join(name)
    }

    /// A path of the host as this process reaches it.
    pub(crate) fn rooted(&self, path: &str) -> PathBuf {
        self.host.rooted(path)
    }

    /// A file of `/proc` is not as the kernel documents it: `what` is missing.
    pub(crate) fn malformed(&self, name: &str, what: &'static str) -> CollectError {
        CollectError::Malformed {
            path: self.proc(name),
            what,
        }
    }

    /// The text of a file of `/proc`, which is held open from then on.
    pub(crate) fn proc_text(&self, name: &'static str) -> Result<Text<'_>, CollectError> {
        self.held_text(name, || self.proc(name))
    }

    /// The same of a file of `/sys` that no device takes with it.
    pub(crate) fn sys_text(&self, name: &'static str) -> Result<Text<'_>, CollectError> {
        self.held_text(name, || self.sys(name))
    }

    fn held_text(
        &self,
        name: &'static str,
        path: impl FnOnce() -> PathBuf,
    ) -> Result<Text<'_>, CollectError> {
        let mut held = self.held.borrow_mut();
        // One that can no longer be read (its module was unloaded, its process has ended) is opened anew.
        if let Some(text) = held
            .get(name)
            .and_then(|file| self.whole(file, name.as_ref()).ok())
        {
            return Ok(text);
        }
        held.remove(name);
        let path = path();
        let file = open(&path)?;
        let text = self.whole(&file, &path)?;
        held.insert(name, file);
        Ok(text)
    }

    /// As [`Reader::proc_text`], for what several need: it is read once until [`Reader::forget`].
    pub(crate) fn proc_once(&self, name: &'static str) -> Result<Arc<str>, CollectError> {
        let mut once = self.once.borrow_mut();
        if let Some(text) = once.get(name) {
            return Ok(Arc::clone(text));
        }
        let text: Arc<str> = Arc::from(&*self.proc_text(name)?);
        once.insert(name, Arc::clone(&text));
        Ok(text)
    }

    /// What was read once is to be read anew.
    pub(crate) fn forget(&self) {
        self.once.borrow_mut().clear();
    }

    fn whole(&self, file: &OwnedFd, path: &Path) -> Result<Text<'_>, CollectError> {
        let mut bytes = self.spare.borrow_mut().pop().unwrap_or_default();
        bytes.reserve(FIRST_READ);
        Ok(Text {
            text: whole_into(bytes, file, path)?,
            spare: &self.spare,
        })
    }
}

/// The text of a file of `/sys`, without its line's end; `None` where it cannot be read: a device's attributes
/// come and go with its state, each for itself.
pub(crate) fn attribute(path: &Path) -> Option<String> {
    trimmed(read(path).ok()?)
}

/// A directory of `/sys` whose attributes are read one by one: without a walk to each, and with one read, in
/// which sysfs gives all of an attribute (at most a page).
pub(crate) struct Attributes {
    dir: OwnedFd,
}

impl Attributes {
    pub(crate) fn open(dir: &Path) -> Option<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(dir, flags, Mode::empty()).ok()?;
        Some(Self { dir })
    }

    /// See [`attribute`]; at most a page of it.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.dir, name, flags, Mode::empty()).ok()?;
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
    whole(&open(path)?, path)
}

/// Opens a file to read.
pub(crate) fn open(path: &Path) -> Result<OwnedFd, CollectError> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).map_err(|error| failed(path, error))
}

fn failed(path: &Path, error: Errno) -> CollectError {
    CollectError::Read {
        path: path.to_owned(),
        source: error.into(),
    }
}

/// What an open file holds, from its start, wherever it was read to before.
pub(crate) fn whole(file: impl AsFd, path: &Path) -> Result<String, CollectError> {
    whole_into(Vec::with_capacity(FIRST_READ), file, path)
}

fn whole_into(mut bytes: Vec<u8>, file: impl AsFd, path: &Path) -> Result<String, CollectError> {
    loop {
        if bytes.len() == bytes.capacity() {
            if bytes.len() >= FILE_LIMIT {
                return Err(CollectError::TooLarge {
                    path: path.to_owned(),
                });
            }
            bytes.reserve(bytes.len() * 3);
        }
        let offset = bytes.len() as u64;
        let read = rustix::io::retry_on_intr(|| rustix::io::pread(&file, spare_capacity(&mut bytes), offset));
        if read.map_err(|error| failed(path, error))? == 0 {
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

    #[test]
    fn held_file_is_read_anew_from_its_start_and_opened_anew_where_it_cannot_be_read() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("proc")).unwrap();
        let path = dir.path().join("proc/stat");
        let reader = Reader::new(Host::beneath(dir.path()));
        assert!(reader.proc_text("stat").unwrap_err().is_absent());
        for content in ["long content", "short"] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(&*reader.proc_text("stat").unwrap(), content);
        }
        // A directory can be opened and not be read, as a file whose owner is gone.
        let unreadable = rustix::fs::open(dir.path(), OFlags::RDONLY, Mode::empty()).unwrap();
        reader.held.borrow_mut().insert("stat", unreadable);
        assert_eq!(&*reader.proc_text("stat").unwrap(), "short");
        assert_eq!(reader.held.borrow().len(), 1);
        assert_eq!(
            reader.spare.borrow().len(),
            1,
            "each read had a buffer of its own"
        );
    }

    #[test]
    fn what_several_need_is_read_once_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("proc")).unwrap();
        let reader = Reader::new(Host::beneath(dir.path()));
        for content in ["first", "second"] {
            std::fs::write(dir.path().join("proc/stat"), content).unwrap();
            assert_eq!(&*reader.proc_once("stat").unwrap(), content);
            std::fs::remove_file(dir.path().join("proc/stat")).unwrap();
            assert_eq!(&*reader.proc_once("stat").unwrap(), content);
            reader.forget();
            reader.held.borrow_mut().clear();
        }
    }
}
