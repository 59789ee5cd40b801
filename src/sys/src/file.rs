//! Files of our own: written whole or not at all, read within bounds, locked.
//!
//! A file is replaced by a temporary one in the same directory, so a reader sees the old or the new content,
//! never a part. A crash may leave a temporary file behind; [`is_temporary`] tells it by its name. Errors name the
//! file that was to be written: the temporary one has another name at each try.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FlockOperation, flock};

use crate::error::{Doing, SysError, SysResult};

const TEMPORARY_PREFIX: &str = ".pinnace-";
const TEMPORARY_SUFFIX: &str = ".tmp";
/// Names tried for a temporary file before giving up; others only collide with leftovers of a crash.
const TEMPORARY_TRIES: u32 = 1000;
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// Writes a file so that it is on the disk, whole, when this returns, or unchanged on an error: temporary
/// file, fsync, rename, fsync of the directory. `mode` is exact, whatever the umask.
pub fn write_durable(path: &Path, bytes: &[u8], mode: u32) -> SysResult<()> {
    replace(path, bytes, mode, true)?;
    sync_directory(parent(path))
}

/// Replaces a file at once without waiting for the disk: for what is gone with a reboot anyway.
pub fn write_replace(path: &Path, bytes: &[u8], mode: u32) -> SysResult<()> {
    replace(path, bytes, mode, false)
}

/// Whether a name is that of a temporary file of [`write_durable`] or [`write_replace`].
pub fn is_temporary(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.starts_with(TEMPORARY_PREFIX.as_bytes()) && name.ends_with(TEMPORARY_SUFFIX.as_bytes())
}

/// Waits until a directory's entries are on the disk.
pub fn sync_directory(path: &Path) -> SysResult<()> {
    let directory = File::open(path).doing_on("open", path)?;
    directory.sync_all().doing_on("sync directory", path)
}

/// Reads a regular file that may hold at most `max` bytes; one that is larger is an error of kind
/// `FileTooLarge`. A fifo or device at this path does not block; it is refused.
pub fn read_limited(path: &Path, max: u64) -> SysResult<Vec<u8>> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .doing_on("open", path)?;
    let metadata = file.metadata().doing_on("stat", path)?;
    if !metadata.is_file() {
        return Err(SysError::on(
            "read",
            path,
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ));
    }
    let mut content = Vec::with_capacity(usize::try_from(metadata.len().min(max)).unwrap_or(0));
    file.take(max.saturating_add(1))
        .read_to_end(&mut content)
        .doing_on("read", path)?;
    if u64::try_from(content.len()).unwrap_or(u64::MAX) > max {
        return Err(SysError::on(
            "read",
            path,
            io::ErrorKind::FileTooLarge,
            "larger than allowed",
        ));
    }
    Ok(content)
}

/// [`read_limited`] as text; bytes that are no UTF-8 are an error of kind `InvalidData`.
pub fn read_text(path: &Path, max: u64) -> SysResult<String> {
    String::from_utf8(read_limited(path, max)?)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
        .doing_on("read as text", path)
}

/// Makes a directory and all that lead to it. Those that are made get `mode` exactly; those that are there
/// are left as they are.
pub fn create_dir_all(path: &Path, mode: u32) -> SysResult<()> {
    match std::fs::DirBuilder::new().mode(mode).create(path) {
        Ok(()) => {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(path, permissions).doing_on("set the mode of", path)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match path.parent() {
            Some(above) if !above.as_os_str().is_empty() => {
                create_dir_all(above, mode)?;
                create_dir_all(path, mode)
            }
            _ => Err(error).doing_on("create directory", path),
        },
        Err(error) => Err(error).doing_on("create directory", path),
    }
}

/// Removes a file; one that is not there is fine.
pub fn remove_file(path: &Path) -> SysResult<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).doing_on("remove", path),
        _ => Ok(()),
    }
}

/// A lock on a file, held until this value is dropped or the process ends. The file itself stays.
#[derive(Debug)]
pub struct LockFile {
    file: File,
    path: PathBuf,
}

impl LockFile {
    /// Writes who holds the lock (a process id, say) into the file, for people.
    pub fn note(&mut self, text: &str) -> SysResult<()> {
        self.file.set_len(0).doing_on("truncate", &self.path)?;
        io::Seek::rewind(&mut self.file).doing_on("rewind", &self.path)?;
        self.file.write_all(text.as_bytes()).doing_on("write", &self.path)
    }
}

/// Takes the exclusive lock on a file, which is made (0600) where absent. With `nonblocking`, a lock held by
/// another is an error for which [`SysError::would_block`] is true.
pub fn lock_exclusive(path: &Path, nonblocking: bool) -> SysResult<LockFile> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
        .doing_on("open lock file", path)?;
    let operation = if nonblocking {
        FlockOperation::NonBlockingLockExclusive
    } else {
        FlockOperation::LockExclusive
    };
    rustix::io::retry_on_intr(|| flock(&file, operation)).doing_on("lock", path)?;
    Ok(LockFile {
        file,
        path: path.to_owned(),
    })
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn replace(path: &Path, bytes: &[u8], mode: u32, sync: bool) -> SysResult<()> {
    let (mut file, temporary) = create_temporary_for(path)?;
    let written = fill(&mut file, path, bytes, mode, sync)
        .and_then(|()| std::fs::rename(&temporary, path).doing_on("rename into place", path));
    if written.is_err() {
        // The write has failed already; a leftover is told by its name and cleaned later.
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

fn create_temporary_for(target: &Path) -> SysResult<(File, PathBuf)> {
    let mut tries = 0;
    loop {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!(
            "{TEMPORARY_PREFIX}{}-{number}{TEMPORARY_SUFFIX}",
            std::process::id()
        );
        let path = parent(target).join(name);
        let opened = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        match opened {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries < TEMPORARY_TRIES => {
                tries += 1;
            }
            Err(error) => return Err(error).doing_on("create a temporary file for", target),
        }
    }
}

fn fill(file: &mut File, path: &Path, bytes: &[u8], mode: u32, sync: bool) -> SysResult<()> {
    file.write_all(bytes).doing_on("write", path)?;
    file.set_permissions(std::fs::Permissions::from_mode(mode))
        .doing_on("set the mode of", path)?;
    if sync {
        file.sync_all().doing_on("sync", path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_durable_write_replaces_the_file_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record");
        write_durable(&path, b"one", 0o640).unwrap();
        write_durable(&path, b"two", 0o604).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o604);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_leaves_the_old_content_and_no_temporary_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record");
        std::fs::create_dir(&path).unwrap();
        let error = write_replace(&path, b"x", 0o600).unwrap_err();
        assert_eq!(error.operation, "rename into place");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_write_that_fails_twice_fails_with_the_same_words() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("absent/record");
        let words = || write_durable(&path, b"x", 0o600).unwrap_err().to_string();
        let first = words();
        assert!(first.contains("absent/record"), "{first}");
        assert_eq!(words(), first);
    }

    #[test]
    fn temporary_files_are_told_by_their_name() {
        let dir = tempfile::tempdir().unwrap();
        let (_, path) = create_temporary_for(&dir.path().join("record")).unwrap();
        assert!(is_temporary(path.file_name().unwrap()));
        assert!(!is_temporary(OsStr::new("record.json")));
    }

    #[test]
    fn reading_stops_at_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, b"12345").unwrap();
        assert_eq!(read_limited(&path, 5).unwrap(), b"12345");
        assert_eq!(
            read_limited(&path, 4).unwrap_err().kind(),
            io::ErrorKind::FileTooLarge
        );
    }

    #[test]
    fn reading_a_fifo_is_refused_and_does_not_block() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(
            read_limited(&path, 4).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
    }

    #[test]
    fn a_lock_is_exclusive_until_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = lock_exclusive(&path, true).unwrap();
        assert!(lock_exclusive(&path, true).unwrap_err().would_block());
        drop(held);
        let mut again = lock_exclusive(&path, true).unwrap();
        again.note("1234\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"1234\n");
    }

    #[test]
    fn directories_get_their_mode_and_existing_ones_keep_theirs() {
        let dir = tempfile::tempdir().unwrap();
        let above = dir.path().join("a");
        std::fs::create_dir(&above).unwrap();
        std::fs::set_permissions(&above, std::fs::Permissions::from_mode(0o711)).unwrap();
        create_dir_all(&above.join("b/c"), 0o777).unwrap();
        create_dir_all(&above.join("b/c"), 0o700).unwrap();
        let mode = |p: &Path| std::fs::metadata(p).unwrap().mode() & 0o7777;
        assert_eq!(mode(&above), 0o711);
        assert_eq!(mode(&above.join("b")), 0o777);
        assert_eq!(mode(&above.join("b/c")), 0o777);
    }

    #[test]
    fn a_file_in_the_way_of_a_directory_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("f"), b"").unwrap();
        assert!(create_dir_all(&dir.path().join("f"), 0o755).is_err());
        assert!(create_dir_all(&dir.path().join("f/g"), 0o755).is_err());
    }
}
