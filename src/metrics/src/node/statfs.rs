//! Asks mounts for their size without ever being held up by one that does not answer.
//!
//! `statfs` on a dead network mount may sleep for ever, and nothing can wake it. So a thread of its own asks,
//! one mount after the other, round after round; where an answer is late, that thread is left to its mount, the
//! mount is held for stuck, and another thread asks the rest. A stuck mount is not asked again until its thread has come back,
//! so no mount ever holds more than one thread.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::statvfs::FsFlags;

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
    /// Nothing can be written, be it the mount or the file system itself that says so.
    pub read_only: bool,
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

type Answer = Result<Size, NoSize>;

/// Mounts to be asked, and where the answers go, in the same order.
struct Job {
    paths: Vec<PathBuf>,
    answers: mpsc::Sender<Answer>,
}

/// A round that was begun: its mounts, which of them are asked, and whence the answers come.
struct Round {
    paths: Vec<PathBuf>,
    open: Vec<usize>,
    answers: Option<mpsc::Receiver<Answer>>,
}

/// See the module's text.
pub(super) struct Asker {
    ask: Arc<Ask>,
    deadline: Duration,
    stuck: Arc<Mutex<HashSet<PathBuf>>>,
    /// The thread that asks; `None` before the first round, and where the last one is left to its mount.
    thread: Option<mpsc::Sender<Job>>,
    round: Option<Round>,
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
            thread: None,
            round: None,
        }
    }

    /// Has `paths` asked from now on; [`Asker::finish`] answers.
    pub(super) fn begin(&mut self, paths: Vec<PathBuf>) {
        let open: Vec<usize> = {
            let stuck = self.stuck.lock().unwrap_or_else(PoisonError::into_inner);
            let any = stuck.len() < MOST_STUCK;
            (0..paths.len())
                .filter(|index| any && !stuck.contains(&paths[*index]))
                .collect()
        };
        let answers = self.give_out(&paths, &open);
        self.round = Some(Round { paths, open, answers });
    }

    /// An answer for each path of the round that was begun, in their order.
    pub(super) fn finish(&mut self) -> Vec<Answer> {
        let Some(round) = self.round.take() else {
            return Vec::new();
        };
        let end = Instant::now() + self.deadline * ROUND_DEADLINES;
        let mut found = vec![Err(NoSize::Stuck); round.paths.len()];
        let (mut open, mut answers) = (&round.open[..], round.answers);
        while let Some(receiver) = answers {
            let answered = self.take_answers(&round.paths, open, receiver, &mut found);
            // The one after the last answer is stuck; another thread goes on behind it.
            let rest = open.get(answered + 1..).unwrap_or_default();
            if Instant::now() >= end {
                break;
            }
            open = rest;
            answers = self.give_out(&round.paths, open);
        }
        found
    }

    /// Has those of `paths` asked that `open` names; `None` where there is nothing to wait for.
    fn give_out(&mut self, paths: &[PathBuf], open: &[usize]) -> Option<mpsc::Receiver<Answer>> {
        if open.is_empty() {
            return None;
        }
        let (answers, receiver) = mpsc::channel();
        let mut job = Job {
            paths: open.iter().map(|index| paths[*index].clone()).collect(),
            answers,
        };
        if let Some(thread) = &self.thread {
            match thread.send(job) {
                Ok(()) => return Some(receiver),
                Err(mpsc::SendError(back)) => job = back,
            }
        }
        let (thread, jobs) = mpsc::channel();
        let (ask, stuck) = (Arc::clone(&self.ask), Arc::clone(&self.stuck));
        let spawned = std::thread::Builder::new()
            .name("statfs".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || work(&jobs, ask.as_ref(), &stuck));
        if let Err(error) = spawned {
            tracing::warn!(%error, "start a thread that asks mounts for their size");
            return None;
        }
        // Its receiver is held by the thread that has just been started.
        let _ = thread.send(job);
        self.thread = Some(thread);
        Some(receiver)
    }

    /// Takes the answers of those of `paths` that `open` names until one is late; how many there were.
    fn take_answers(
        &mut self,
        paths: &[PathBuf],
        open: &[usize],
        receiver: mpsc::Receiver<Answer>,
        found: &mut [Answer],
    ) -> usize {
        for (answered, index) in open.iter().enumerate() {
            match receiver.recv_timeout(self.deadline) {
                Ok(answer) => found[*index] = answer,
                Err(RecvTimeoutError::Timeout) => {
                    found[*index] = self.give_up(&paths[*index], receiver);
                    return answered;
                }
                Err(RecvTimeoutError::Disconnected) => return open.len(),
            }
        }
        open.len()
    }

    /// Holds `path` for stuck, and leaves the thread to it, unless its answer came in this very moment.
    fn give_up(&mut self, path: &Path, receiver: mpsc::Receiver<Answer>) -> Answer {
        self.thread = None;
        // The thread sends and takes marks away under this lock too.
        let mut stuck = self.stuck.lock().unwrap_or_else(PoisonError::into_inner);
        let late = receiver.try_recv();
        if late.is_err() {
            stuck.insert(path.to_owned());
            tracing::warn!(mountpoint = %path.display(), "a mount does not answer; it is left out until it does");
        }
        drop(receiver);
        late.unwrap_or(Err(NoSize::Stuck))
    }
}

/// The thread's whole life: it ends with its asker, or when it comes back from a mount that was given up.
fn work(jobs: &mpsc::Receiver<Job>, ask: &Ask, stuck: &Mutex<HashSet<PathBuf>>) {
    for job in jobs {
        for path in &job.paths {
            let answer = ask(path).map_err(|error| NoSize::Failed(error.kind()));
            // Under the lock, so that an answer either comes before its mount is given up or finds the mark
            // that it must take away.
            let mut stuck = stuck.lock().unwrap_or_else(PoisonError::into_inner);
            if job.answers.send(answer).is_err() {
                stuck.remove(path);
                return;
            }
        }
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
        read_only: found.flags().contains(FsFlags::ST_RDONLY),
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
        read_only: false,
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

    fn round(asker: &mut Asker, paths: &[PathBuf]) -> Vec<Answer> {
        asker.begin(paths.to_vec());
        asker.finish()
    }

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn hung_mount_costs_its_deadline_once_and_others_answer() {
        let (gate, mut asker) = asker(Duration::from_millis(100));
        let mounts = paths(&["/a", "/hung/1", "/broken", "/b"]);
        let expected = [
            Ok(SIZE),
            Err(NoSize::Stuck),
            Err(NoSize::Failed(io::ErrorKind::PermissionDenied)),
            Ok(SIZE),
        ];
        assert_eq!(round(&mut asker, &mounts), expected);
        assert_eq!(round(&mut asker, &mounts), expected);
        assert_eq!(gate.asked(), 1, "a stuck mount was asked again");
        gate.release();
        let end = Instant::now() + Duration::from_secs(20);
        while round(&mut asker, &mounts)[1].is_err() {
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
        let (gate, mut asker) = asker(deadline);
        let mounts: Vec<_> = (0..100)
            .map(|number| PathBuf::from(format!("/hung/{number}")))
            .collect();
        for _ in 0..20 {
            assert!(round(&mut asker, &mounts).iter().all(Result::is_err));
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
        let mut asker = Asker::new(Duration::from_secs(20));
        let answers = round(&mut asker, &paths(&["/", "/nonexistent"]));
        let root = answers[0].unwrap();
        assert!(
            root.size_bytes >= root.free_bytes && root.free_bytes >= root.avail_bytes && root.size_bytes > 0
        );
        assert_eq!(answers[1], Err(NoSize::Failed(io::ErrorKind::NotFound)));
    }

    #[test]
    fn one_thread_asks_round_after_round_and_ends_with_its_asker() {
        let asked_by = Arc::new(Mutex::new(HashSet::new()));
        let noted = Arc::clone(&asked_by);
        let ask = move |_: &Path| {
            noted.lock().unwrap().insert(std::thread::current().id());
            Ok(SIZE)
        };
        let mut asker = Asker::with(Duration::from_secs(20), Arc::new(ask));
        for _ in 0..5 {
            assert_eq!(round(&mut asker, &paths(&["/a", "/b"])), [Ok(SIZE); 2]);
        }
        assert_eq!(asked_by.lock().unwrap().len(), 1);
        assert!(round(&mut asker, &[]).is_empty() && asker.finish().is_empty());
        drop(asker);
        let end = Instant::now() + Duration::from_secs(20);
        while Arc::strong_count(&asked_by) > 1 {
            assert!(Instant::now() < end, "the thread outlives its asker");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
