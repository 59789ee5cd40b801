//! Image archives in `<root>/var/lib/pinnace/bundles`: imported at start and when they change; and what
//! another process puts into the store is noticed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pinnace_engine::source::directory::watch;
use pinnace_runtime::images::{BundleOutcome, BundleReport, ImageStore};
use pinnace_sys::Layout;
use serde_json::{Value, json};
use tokio::sync::{Mutex, Notify, watch as cell};

use super::chain;

/// An archive counts as whole when nothing was written for this long.
const SETTLE: Duration = Duration::from_millis(300);
/// How long the bundles that lie there at start may hold up the first list of manifests, and with it `/readyz`.
const FIRST_LOOK: Duration = Duration::from_secs(30);
/// Between two looks without any event.
const RESCAN: Duration = Duration::from_secs(60);

/// Imports bundles, and counts changes of the store.
pub struct Bundles {
    store: ImageStore,
    directories: Vec<PathBuf>,
    importing: Mutex<()>,
    changes: cell::Sender<u64>,
}

impl Bundles {
    /// Of this node's store.
    pub fn new(store: ImageStore, layout: &Layout) -> Self {
        Self {
            store,
            directories: vec![layout.image_bundles(), layout.images()],
            importing: Mutex::new(()),
            changes: cell::Sender::new(0),
        }
    }

    /// Counts changes of the store: whoever waits for an image may try again.
    pub fn changes(&self) -> cell::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Looks at the directory now; answers what became of each file that is not as it was.
    pub async fn look(&self) -> Vec<Value> {
        let _one_at_a_time = self.importing.lock().await;
        let store = self.store.clone();
        let looked = tokio::task::spawn_blocking(move || store.import_bundles(&mut |_, _| {})).await;
        let reports = match looked {
            Ok(Ok(reports)) => reports,
            Ok(Err(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "image bundles");
                return Vec::new();
            }
            Err(error) => {
                tracing::error!(%error, "image bundles");
                return Vec::new();
            }
        };
        reports.iter().filter_map(told).collect()
    }

    /// Returns when the bundles that lay there at start are imported or found broken; one that takes too long is
    /// waited for no more.
    pub async fn first_look(&self) {
        let mut changes = self.changes();
        let looked = changes.wait_for(|count| *count > 0);
        if tokio::time::timeout(FIRST_LOOK, looked).await.is_err() {
            tracing::warn!("image bundles are still being imported; pods that need them start later");
        }
    }

    /// Follows the directories for the rest of the agent's life.
    pub async fn run(self: Arc<Self>) {
        let wake = Arc::new(Notify::new());
        loop {
            self.look().await;
            self.changes.send_modify(|count| *count += 1);
            let watchers: Vec<_> = self.directories.iter().map(|path| watch(path, &wake)).collect();
            // The next look sees everything, so neither arm loses anything.
            tokio::select! {
                () = wake.notified() => tokio::time::sleep(SETTLE).await,
                () = tokio::time::sleep(RESCAN) => {}
            }
            drop(watchers);
        }
    }
}

/// What a person would want to know of a bundle, which is logged as well.
fn told(report: &BundleReport) -> Option<Value> {
    let path = report.path.display().to_string();
    match &report.outcome {
        BundleOutcome::Imported(images) => {
            let names: Vec<&String> = images.iter().flat_map(|image| &image.names).collect();
            tracing::info!(bundle = path, ?names, "imported");
            Some(json!({"path": path, "imported": names}))
        }
        BundleOutcome::Unchanged => None,
        BundleOutcome::StillBroken(why) => Some(json!({"path": path, "broken": why})),
        BundleOutcome::Changing(error) | BundleOutcome::Failed(error) => {
            let why = chain(error);
            tracing::error!(bundle = path, "{why}");
            Some(json!({"path": path, "broken": why}))
        }
    }
}
