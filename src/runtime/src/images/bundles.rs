//! Archives and layouts that lie in a directory to be imported: at start, and when they change.
//!
//! What was imported is remembered by size, time and inode, so that an image which the user has removed does
//! not come back by itself, and a broken archive is read once.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use pinnace_sys::SysError;
use pinnace_sys::file::{read_limited, write_durable};

use super::error::{ImageError, ImageResult};
use super::import::{ImportProgress, Imported};
use super::store::ImageStore;
use crate::error::chain;

const MAX_BUNDLES: usize = 10_000;
const MAX_STATE_BYTES: u64 = 64 << 20;

/// What became of one file.
#[derive(Debug)]
pub struct BundleReport {
    /// The file or layout directory.
    pub path: PathBuf,
    /// What became of it.
    pub outcome: BundleOutcome,
}

/// What became of a bundle.
#[derive(Debug)]
pub enum BundleOutcome {
    /// Its images are in the store now.
    Imported(Vec<Imported>),
    /// It was imported before, and is as it was.
    Unchanged,
    /// It was found broken before, and is as it was.
    StillBroken(String),
    /// It changed while it was read: it is read again the next time.
    Changing(ImageError),
    /// It cannot be imported.
    Failed(ImageError),
}

/// What is remembered of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Seen {
    size: u64,
    modified: (i64, i64),
    inode: u64,
    /// Why it could not be imported; a verdict of this version of the program.
    broken: Option<String>,
    version: String,
}

impl Seen {
    /// What is at the path now. For a layout directory, its index is what changes.
    fn now(path: &Path) -> std::io::Result<Self> {
        let mut found = std::fs::metadata(path)?;
        if found.is_dir() {
            found = std::fs::metadata(path.join("index.json"))?;
        }
        Ok(Self {
            size: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
            inode: found.ino(),
            broken: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }

    fn is_same_file(&self, other: &Self) -> bool {
        (self.size, self.modified, self.inode) == (other.size, other.modified, other.inode)
    }
}

impl ImageStore {
    /// Imports every archive and layout in the layout's bundle directory that is new or has changed. A broken
    /// one is reported and keeps no other back; an absent directory holds nothing.
    pub fn import_bundles(
        &self,
        progress: &mut dyn FnMut(&Path, ImportProgress<'_>),
    ) -> ImageResult<Vec<BundleReport>> {
        let directory = self.paths().bundles.clone();
        self.import_bundles_of(&directory, progress)
    }

    /// [`ImageStore::import_bundles`] of another directory.
    pub fn import_bundles_of(
        &self,
        directory: &Path,
        progress: &mut dyn FnMut(&Path, ImportProgress<'_>),
    ) -> ImageResult<Vec<BundleReport>> {
        let mut seen = self.seen()?;
        let before = seen.clone();
        let mut reports = Vec::new();
        let paths = bundles_in(directory)?;
        for path in paths {
            let outcome = self.import_bundle(&path, &mut seen, progress);
            reports.push(BundleReport { path, outcome });
        }
        let there = |key: &String| {
            !Path::new(key).starts_with(directory) || reports.iter().any(|r| key_of(&r.path) == *key)
        };
        seen.retain(|key, _| there(key));
        if seen != before {
            self.remember(&seen)?;
        }
        Ok(reports)
    }

    fn import_bundle(
        &self,
        path: &Path,
        seen: &mut BTreeMap<String, Seen>,
        progress: &mut dyn FnMut(&Path, ImportProgress<'_>),
    ) -> BundleOutcome {
        let key = key_of(path);
        let stat = |source| ImageError::Host(SysError::new("stat", path.display(), source));
        let mut now = match Seen::now(path) {
            Ok(now) => now,
            Err(error) => return BundleOutcome::Failed(stat(error)),
        };
        if let Some(known) = seen.get(&key).filter(|known| known.is_same_file(&now)) {
            match &known.broken {
                None => return BundleOutcome::Unchanged,
                Some(why) if known.version == now.version => return BundleOutcome::StillBroken(why.clone()),
                Some(_) => {}
            }
        }
        let result = self.import(path, &mut |step| progress(path, step));
        let unchanged = Seen::now(path).is_ok_and(|after| after.is_same_file(&now));
        match result {
            Ok(imported) => {
                if unchanged {
                    seen.insert(key, now);
                }
                BundleOutcome::Imported(imported)
            }
            Err(error) if !unchanged => BundleOutcome::Changing(error),
            Err(error) => {
                // What the host did wrong is worth another try; what is wrong in the file stays wrong.
                if error.retry() == pinnace_core::ports::Retry::AfterChange {
                    now.broken = Some(chain(&error));
                    seen.insert(key, now);
                }
                BundleOutcome::Failed(error)
            }
        }
    }

    fn seen(&self) -> ImageResult<BTreeMap<String, Seen>> {
        match read_limited(&self.paths().bundles_seen(), MAX_STATE_BYTES) {
            Err(error) if error.is_not_found() => Ok(BTreeMap::new()),
            Err(error) => Err(error.into()),
            // Forgetting costs an import of what is there already.
            Ok(json) => Ok(serde_json::from_slice(&json).unwrap_or_else(|error| {
                tracing::warn!(%error, "the list of imported bundles is damaged; all are imported again");
                BTreeMap::new()
            })),
        }
    }

    fn remember(&self, seen: &BTreeMap<String, Seen>) -> ImageResult<()> {
        let path = self.paths().bundles_seen();
        let json = serde_json::to_vec(seen).map_err(|source| ImageError::Document {
            path: path.clone(),
            source: source.into(),
        })?;
        Ok(write_durable(&path, &json, 0o600)?)
    }
}

fn key_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Files and directories, by name; hidden ones, and what a download has not finished, are left alone.
fn bundles_in(directory: &Path) -> ImageResult<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(ImageError::io("read", directory))?,
    };
    let mut paths = Vec::new();
    for entry in entries.take(MAX_BUNDLES) {
        let path = entry.map_err(ImageError::io("read", directory))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let unfinished = [".part", ".tmp", ".partial", "~"]
            .iter()
            .any(|end| name.ends_with(end));
        let readable = std::fs::metadata(&path).is_ok_and(|found| found.is_file() || found.is_dir());
        if !name.starts_with('.') && !unfinished && readable {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
