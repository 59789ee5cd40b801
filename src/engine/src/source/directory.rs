//! The directory of manifests: inotify for speed, a slow full rescan for certainty.
//!
//! inotify only says when to look, never what is there: events may be lost, a watch may vanish with its
//! directory. A rescan every [`DirectoryConfig::rescan`] finds all the same, and re-arms the watch.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::files::{Files, Scan};
use super::{Delivery, SourceId};

/// This source's id.
pub const DIRECTORY: SourceId = SourceId("directory");

/// Files named as whole are remembered up to this many; past it, the stillness rule decides alone.
const MAX_HINTS: usize = 4096;

/// Settings of the directory source.
#[derive(Debug, Clone)]
pub struct DirectoryConfig {
    /// The directory.
    pub path: PathBuf,
    /// A file that was not renamed in counts as still after this long without a write.
    pub settle: Duration,
    /// Time between full rescans (`fileCheckFrequency`).
    pub rescan: Duration,
}

/// What the watcher's thread tells the loop.
#[derive(Default)]
struct Hints {
    renamed_in: Mutex<HashSet<PathBuf>>,
    wake: Notify,
}

impl Hints {
    fn take(&self) -> HashSet<PathBuf> {
        std::mem::take(&mut *self.renamed_in.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn on_event(&self, event: &notify::Event) {
        match event.kind {
            EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both)) => {
                let mut renamed = self.renamed_in.lock().unwrap_or_else(PoisonError::into_inner);
                if let (Some(path), true) = (event.paths.last(), renamed.len() < MAX_HINTS) {
                    renamed.insert(path.clone());
                }
            }
            EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Create(_)
            | EventKind::Remove(_) => {}
            EventKind::Access(_) => return,
            EventKind::Modify(_) | EventKind::Any | EventKind::Other => {}
        }
        self.wake.notify_one();
    }
}

/// Runs until the receiver of deliveries is gone.
pub async fn run(config: DirectoryConfig, deliveries: mpsc::Sender<Delivery>) {
    let hints = Arc::new(Hints::default());
    let mut files = Files::new(&config.path, config.settle);
    let mut watcher: Option<RecommendedWatcher> = None;
    let mut delivered = false;
    let mut unavailable: Option<String> = None;
    loop {
        if watcher.is_none() {
            watcher = arm(&config, &hints);
        }
        let mut whole = hints.take();
        let scanned = tokio::task::spawn_blocking(move || {
            let result = files.scan(&whole);
            whole.clear();
            (files, result)
        })
        .await;
        let Ok((returned, scan)) = scanned else { return };
        files = returned;
        let mut next = config.rescan;
        match scan {
            Ok(scan) => {
                unavailable = None;
                let (changed, complete) = match scan {
                    Scan::Complete { changed } => (changed, true),
                    Scan::Unsettled { again_in, changed } => {
                        next = next.min(again_in);
                        (changed, false)
                    }
                };
                // The first list is complete only when every file was taken in.
                if changed && delivered || complete && !delivered {
                    delivered = true;
                    if deliveries
                        .send(Delivery::Listed(DIRECTORY, files.listing()))
                        .await
                        .is_err()
                    {
                        return;
                    }
                }
            }
            Err(error) => {
                watcher = None;
                next = next.min(Duration::from_secs(1));
                let message = format!(
                    "the manifest directory {} cannot be read: {error}",
                    config.path.display()
                );
                if unavailable.as_ref() != Some(&message) {
                    unavailable = Some(message.clone());
                    if deliveries
                        .send(Delivery::Unavailable(DIRECTORY, message))
                        .await
                        .is_err()
                    {
                        return;
                    }
                }
            }
        }
        let deadline = Instant::now() + next;
        // Cancelled by the next wake-up or the deadline; neither loses anything, for the scan looks at all.
        tokio::select! {
            () = hints.wake.notified() => {}
            () = tokio::time::sleep_until(deadline) => watcher = rearm_if_gone(watcher, &config),
            () = deliveries.closed() => return,
        }
    }
}

/// Wakes `wake` when something happens in a directory that holds no manifests; `None` where it cannot be
/// watched.
pub fn watch(path: &Path, wake: &Arc<Notify>) -> Option<RecommendedWatcher> {
    let wake = Arc::clone(wake);
    let handler = move |event: notify::Result<notify::Event>| {
        let reads = matches!(&event, Ok(event) if event.kind.is_access() && !closes_written(&event.kind));
        if !reads {
            wake.notify_one();
        }
    };
    let armed = notify::recommended_watcher(handler).and_then(|mut watcher| {
        watcher.watch(path, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    armed.ok()
}

fn closes_written(kind: &EventKind) -> bool {
    matches!(kind, EventKind::Access(AccessKind::Close(AccessMode::Write)))
}

fn arm(config: &DirectoryConfig, hints: &Arc<Hints>) -> Option<RecommendedWatcher> {
    let hints = Arc::clone(hints);
    let handler = move |event: notify::Result<notify::Event>| match event {
        Ok(event) => hints.on_event(&event),
        Err(_) => hints.wake.notify_one(),
    };
    let armed = notify::recommended_watcher(handler).and_then(|mut watcher| {
        watcher.watch(&config.path, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    armed
        .inspect_err(|error| {
            tracing::debug!(directory = %config.path.display(), %error, "not watched; the rescan finds changes");
        })
        .ok()
}

/// A directory that was removed and made again has another inode, which the old watch does not see.
fn rearm_if_gone(
    watcher: Option<RecommendedWatcher>,
    config: &DirectoryConfig,
) -> Option<RecommendedWatcher> {
    let mut watcher = watcher?;
    let _ = watcher.unwatch(&config.path);
    watcher
        .watch(&config.path, RecursiveMode::NonRecursive)
        .is_ok()
        .then_some(watcher)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: &str =
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: c, image: i:1}]}\n";

    fn start(path: PathBuf) -> mpsc::Receiver<Delivery> {
        let (sender, receiver) = mpsc::channel(8);
        let config = DirectoryConfig {
            path,
            settle: Duration::from_millis(50),
            rescan: Duration::from_secs(600),
        };
        tokio::spawn(run(config, sender));
        receiver
    }

    async fn next(receiver: &mut mpsc::Receiver<Delivery>) -> Delivery {
        tokio::time::timeout(Duration::from_secs(20), receiver.recv())
            .await
            .unwrap()
            .unwrap()
    }

    fn objects(delivery: Delivery) -> usize {
        match delivery {
            Delivery::Listed(_, listing) => listing.objects.len(),
            Delivery::Unavailable(_, why) => panic!("{why}"),
        }
    }

    #[tokio::test]
    async fn an_empty_directory_is_a_complete_list_and_changes_follow() {
        let dir = tempfile::tempdir().unwrap();
        let manifests = dir.path().join("m");
        std::fs::create_dir(&manifests).unwrap();
        let mut deliveries = start(manifests.clone());
        assert_eq!(objects(next(&mut deliveries).await), 0);
        std::fs::write(dir.path().join("a.yaml"), POD).unwrap();
        std::fs::rename(dir.path().join("a.yaml"), manifests.join("a.yaml")).unwrap();
        assert_eq!(objects(next(&mut deliveries).await), 1);
        std::fs::write(manifests.join("b.yaml"), POD.replace("name: a", "name: b")).unwrap();
        assert_eq!(objects(next(&mut deliveries).await), 2);
        std::fs::remove_file(manifests.join("a.yaml")).unwrap();
        assert_eq!(objects(next(&mut deliveries).await), 1);
    }

    #[tokio::test]
    async fn a_directory_that_vanishes_is_unavailable_and_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let manifests = dir.path().join("m");
        std::fs::create_dir(&manifests).unwrap();
        std::fs::write(manifests.join("a.yaml"), POD).unwrap();
        let mut deliveries = start(manifests.clone());
        assert_eq!(objects(next(&mut deliveries).await), 1);
        let away = dir.path().join("away");
        std::fs::rename(&manifests, &away).unwrap();
        // Renaming a watched directory raises no event inside it: a write wakes the loop.
        std::fs::write(away.join("c.txt"), "").unwrap();
        assert!(matches!(next(&mut deliveries).await, Delivery::Unavailable(..)));
        std::fs::write(away.join("b.yaml"), POD.replace("name: a", "name: b")).unwrap();
        std::fs::rename(&away, &manifests).unwrap();
        assert_eq!(objects(next(&mut deliveries).await), 2);
    }
}
