//! One operation at a time on a pod's attachment, from agent to agent.
//!
//! The lock is a file, and its very descriptor is the input of each plugin that is executed: the kernel lets go
//! of it only when the agent and the plugin both have. So an agent that takes over from one that was killed in
//! the middle of ADD waits for the plugin that is still at work, and does not undo what is only half done.

use std::fs::{File, OpenOptions};
use std::io::Seek;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pinnace_api::PodUid;
use pinnace_sys::{Doing, SysResult, file};
use rustix::fs::{FlockOperation, MemfdFlags, flock, memfd_create};

use super::error::CniError;

const PAUSE: Duration = Duration::from_millis(20);

/// A pod's lock, held.
#[derive(Debug)]
pub(crate) struct PodLock {
    file: File,
    path: PathBuf,
}

impl PodLock {
    /// Takes it, and waits so long for others.
    pub(crate) fn take(directory: &Path, uid: &PodUid, limit: Duration) -> Result<Self, CniError> {
        file::create_dir_all(directory, 0o700)?;
        let path = directory.join(uid.as_str());
        let begun = Instant::now();
        loop {
            let file = open(&path)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                // One that another removed meanwhile locks nothing.
                Ok(()) if is_at(&file, &path)? => return Ok(Self { file, path }),
                Ok(()) | Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::WOULDBLOCK) if begun.elapsed() < limit => std::thread::sleep(PAUSE),
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    return Err(CniError::Busy {
                        uid: uid.clone(),
                        seconds: limit.as_secs(),
                    });
                }
                Err(error) => return Err(error).doing_on("lock", &path)?,
            }
        }
    }

    /// A plugin's input, which keeps the lock.
    pub(crate) fn input(&self, content: &[u8]) -> SysResult<File> {
        fill(&self.file, content).doing_on("write", &self.path)
    }

    /// Lets go of it, and of its file: nothing is left of the pod.
    pub(crate) fn end(self) -> SysResult<()> {
        file::remove_file(&self.path)
    }
}

/// A plugin's input that locks nothing.
pub(crate) fn plain_input(content: &[u8]) -> SysResult<File> {
    const NAME: &str = "cni-input";
    let file = memfd_create(NAME, MemfdFlags::CLOEXEC).doing("make", NAME)?;
    fill(&File::from(file), content).doing("write", NAME)
}

fn fill(file: &File, content: &[u8]) -> std::io::Result<File> {
    file.set_len(0)?;
    file.write_all_at(content, 0)?;
    let mut input = file.try_clone()?;
    input.rewind()?;
    Ok(input)
}

fn open(path: &Path) -> SysResult<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
        .doing_on("open", path)
}

fn is_at(file: &File, path: &Path) -> SysResult<bool> {
    let held = file.metadata().doing_on("stat", path)?;
    match std::fs::symlink_metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (held.dev(), held.ino())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).doing_on("stat", path),
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use pinnace_api::testing::uid;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_plugin_keeps_the_lock_after_its_agent_let_go() {
        let directory = tempfile::tempdir().unwrap();
        let take = |limit| PodLock::take(directory.path(), &uid(1), limit);
        let lock = take(LONG).unwrap();
        let mut plugin = Command::new("sleep")
            .arg("600")
            .stdin(Stdio::from(lock.input(b"{}").unwrap()))
            .spawn()
            .unwrap();
        drop(lock);
        let error = take(Duration::from_millis(50)).unwrap_err();
        assert!(matches!(error, CniError::Busy { .. }), "{error}");
        assert!(
            PodLock::take(directory.path(), &uid(2), LONG).is_ok(),
            "another pod's is free"
        );
        plugin.kill().unwrap();
        plugin.wait().unwrap();
        take(LONG).unwrap();
    }

    #[test]
    fn each_plugin_reads_its_own_input_from_the_beginning() {
        let directory = tempfile::tempdir().unwrap();
        let lock = PodLock::take(directory.path(), &uid(1), LONG).unwrap();
        for content in ["a longer one", "short"] {
            let read = std::io::read_to_string(lock.input(content.as_bytes()).unwrap()).unwrap();
            assert_eq!(read, content);
            let read = std::io::read_to_string(plain_input(content.as_bytes()).unwrap()).unwrap();
            assert_eq!(read, content);
        }
    }

    #[test]
    fn many_threads_never_hold_it_at_once_while_its_file_comes_and_goes() {
        let directory = tempfile::tempdir().unwrap();
        let held = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (held, directory) = (&held, directory.path());
                scope.spawn(move || {
                    for _ in 0..5 {
                        let lock = PodLock::take(directory, &uid(1), LONG).unwrap();
                        assert_eq!(held.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                        std::thread::yield_now();
                        held.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                        if thread % 2 == 0 {
                            lock.end().unwrap();
                        }
                    }
                });
            }
        });
    }
}
