//! Asks mounts for their size without ever being held up by one that does not answer.
//!
//! `statfs` on a dead network mount may sleep for ever, and nothing can wake it. So a thread of its own asks,
//! one mount after the other; where an answer is late, that thread is left to its mount, the mount is held for
//! stuck, and another thread asks the rest. A stuck mount is not asked again until its thread has come back,
//! so no mount ever holds more than one thread.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Mounts that may be stuck at a time; past it, none is asked until one comes back.
const MOST_STUCK: usize = 32;
/// A whole round takes at most this many times the deadline of one mount.
const ROUND_DEADLINES: u32 = 4;
const STACK_BYTES: usize = 64 * 1024;

/// What a file system says of itself, in bytes and files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub size_bytes: u64,
    pub free_bytes: u64,
    pub avail_bytes: u64,
    pub files: u64,
    pub files_free: u64,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoSize {
    /// The kernel refused.
    Failed(io::ErrorKind),
    /// The mount did not answer in time, or has not since an earlier round.
    Stuck,
}

/// The system call, or a stand-in for tests.
pub(super) type Ask = dyn Fn(&Path) -> io::Result<Size> + Send + Sync;

/// See the module's text.
pub(super) struct Asker {
    ask: Arc<Ask>,
    deadline: Duration,
    stuck: Arc<Mutex<HashSet<PathBuf>>>,
}

impl Asker {
    pub(super) fn new(deadline: Duration) -> Self {
        Self::with(deadline, Arc::new(ask_kernel))
    }

    fn with(deadline: Duration, ask: Arc<Ask>) -> Self {
        Self {
            ask,
            deadline,
            stuck: Arc::default(),
        }
    }

    /// An answer for each of `paths`, in their order.
    pub(super) fn round(&self, paths: &[PathBuf]) -> Vec<Result<Size, NoSize>> {
        let end = Instant::now() + self.deadline * ROUND_DEADLINES;
        let mut answers = vec![Err(NoSize::Stuck); paths.len()];
        let mut open: Vec<usize> = {
            let stuck = self.stuck.lock().unwrap_or_else(PoisonError::into_inner);
            if stuck.len() >= MOST_STUCK {
                return answers;
            }
            (0..paths.len())
                .filter(|index| !stuck.contains(&paths[*index]))
                .collect()
        };
        while !open.is_empty() && Instant::now() < end {
            let answered = self.ask_some(paths, &open, &mut answers);
            if answered == open.len() {
                break;
            }
            // The one after the last answer is stuck; another thread goes on behind it.
            open.drain(..=answered);
        }
        answers
    }

    /// Asks those of `paths` that `open` names until one is late; how many have answered.
    fn ask_some(&self, paths: &[PathBuf], open: &[usize], answers: &mut [Result<Size, NoSize>]) -> usize {
        let wanted: Vec<PathBuf> = open.iter().map(|index| paths[*index].clone()).collect();
        let (sender, receiver) = mpsc::channel();
        let (ask, stuck) = (Arc::clone(&self.ask), Arc::clone(&self.stuck));
        let spawned = std::thread::Builder::new()
            .name("statfs".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                for path in wanted {
                    let answer = ask(&path).map_err(|error| NoSize::Failed(error.kind()));
                    // Under the lock, so that an answer either comes before its mount is given up or finds the
                    // mark that it must take away.
                    let mut stuck = stuck.lock().unwrap_or_else(PoisonError::into_inner);
                    if sender.send(answer).is_err() {
                        stuck.remove(&path);
                        return;
                    }
                }
            });
        if let Err(error) = spawned {
            tracing::warn!(%error, "start a thread that asks mounts for their size");
            return open.len();
        }
        for (answered, index) in open.iter().enumerate() {
            match receiver.recv_timeout(self.deadline) {
                Ok(answer) => answers[*index] = answer,
                Err(RecvTimeoutError::Timeout) => {
                    return self.give_up(&paths[*index], receiver, answers, *index, answered);
                }
                Err(RecvTimeoutError::Disconnected) => return open.len(),
            }
        }
        open.len()
    }

    /// Holds `path` for stuck, unless its answer came in this very moment.
    fn give_up(
        &self,
        path: &Path,
        receiver: mpsc::Receiver<Result<Size, NoSize>>,
        answers: &mut [Result<Size, NoSize>],
        index: usize,
        answered: usize,
    ) -> usize {
        // The thread sends and takes marks away under this lock too.
        let mut stuck = self.stuck.lock().unwrap_or_else(PoisonError::into_inner);
        match receiver.try_recv() {
            Ok(answer) => answers[index] = answer,
            Err(_) => {
                stuck.insert(path.to_owned());
                tracing::warn!(mountpoint = %path.display(), "a mount does not answer; it is left out until it does");
            }
        }
        drop(receiver);
        answered
    }
}

fn ask_kernel(path: &Path) -> io::Result<Size> {
    let found = nix::sys::statfs::statfs(path)?;
    let block = u64::try_from(found.block_size()).unwrap_or_default();
    Ok(Size {
        size_bytes: found.blocks().saturating_mul(block),
        free_bytes: found.blocks_free().saturating_mul(block),
        avail_bytes: found.blocks_available().saturating_mul(block),
        files: found.files(),
        files_free: found.files_free(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Condvar;

    const SIZE: Size = Size {
        size_bytes: 5,
        free_bytes: 4,
        avail_bytes: 3,
        files: 2,
        files_free: 1,
    };

    /// Mounts under `/hung` sleep until they are released.
    #[derive(Default)]
    struct Gate {
        state: Mutex<(bool, usize)>,
        changed: Condvar,
    }

    impl Gate {
        fn ask(&self, path: &Path) -> io::Result<Size> {
            if path.starts_with("/broken") {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            if path.starts_with("/hung") {
                let mut state = self.state.lock().unwrap();
                state.1 += 1;
                drop(self.changed.wait_while(state, |state| !state.0).unwrap());
            }
            Ok(SIZE)
        }
        fn release(&self) {
            self.state.lock().unwrap().0 = true;
            self.changed.notify_all();
        }
        fn asked(&self) -> usize {
            self.state.lock().unwrap().1
        }
    }

    fn asker(deadline: Duration) -> (Arc<Gate>, Asker) {
        let gate = Arc::new(Gate::default());
        let ask = Arc::clone(&gate);
        (
            gate,
            Asker::with(deadline, Arc::new(move |path: &Path| ask.ask(path))),
        )
    }

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn hung_mount_costs_its_deadline_once_and_others_answer() {
        let (gate, asker) = asker(Duration::from_millis(100));
        let mounts = paths(&["/a", "/hung/1", "/broken", "/b"]);
        let expected = [
            Ok(SIZE),
            Err(NoSize::Stuck),
            Err(NoSize::Failed(io::ErrorKind::PermissionDenied)),
            Ok(SIZE),
        ];
        assert_eq!(asker.round(&mounts), expected);
        assert_eq!(asker.round(&mounts), expected);
        assert_eq!(gate.asked(), 1, "a stuck mount was asked again");
        gate.release();
        let end = Instant::now() + Duration::from_secs(20);
        while asker.round(&mounts)[1].is_err() {
            assert!(
                Instant::now() < end,
                "the mount answers again and is still left out"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(asker.stuck.lock().unwrap().is_empty());
    }

    #[test]
    fn round_ends_in_time_however_many_are_hung() {
        let deadline = Duration::from_millis(20);
        let (gate, asker) = asker(deadline);
        let mounts: Vec<_> = (0..100)
            .map(|number| PathBuf::from(format!("/hung/{number}")))
            .collect();
        for _ in 0..20 {
            assert!(asker.round(&mounts).iter().all(Result::is_err));
        }
        let asked = gate.asked();
        assert!(
            asked <= MOST_STUCK + ROUND_DEADLINES as usize,
            "{asked} threads wait"
        );
        gate.release();
    }

    #[test]
    fn kernel_answers_for_the_root() {
        let answers = Asker::new(Duration::from_secs(20)).round(&paths(&["/", "/nonexistent"]));
        let root = answers[0].unwrap();
        assert!(
            root.size_bytes >= root.free_bytes && root.free_bytes >= root.avail_bytes && root.size_bytes > 0
        );
        assert_eq!(answers[1], Err(NoSize::Failed(io::ErrorKind::NotFound)));
    }
}
