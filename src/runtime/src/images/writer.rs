//! The one writer of the store, and what makes it safe at any instant.
//!
//! ```text
//! lock ── clear both staging directories ── finish what the journal tells of ── work in staging
//!   ── journal ── rename blobs, layers into place ── replace index.json ── remove the journal
//! ```
//! Until `index.json` is replaced, nothing refers to what was renamed, and the journal names it: the next
//! writer removes what of it no image refers to. A removal goes the same way: journal, index, deletion.
//! Nothing else is ever deleted, so layers stay under running containers even if the index was lost.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use pinnace_sys::file::{LockFile, lock_exclusive, read_limited, remove_file, sync_directory, write_durable};
use pinnace_sys::tree::remove_tree;

use crate::error::chain;

use super::blobs::StagedBlob;
use super::digest::Digest;
use super::error::{ImageError, ImageResult};
use super::paths::Paths;
use super::snapshot::{load, read_index};
use super::spec::{BlobRef, Descriptor, Index, MAX_MANIFEST_BYTES, parse_index};

const MAX_JOURNAL_BYTES: u64 = 16 << 20;

/// Blobs and layers that may be rubbish.
#[derive(Debug, Default, Clone, serde::Serialize, serde::Deserialize)]
pub(super) struct Doubtful {
    blobs: BTreeSet<String>,
    layers: BTreeSet<String>,
}

impl Doubtful {
    fn is_empty(&self) -> bool {
        self.blobs.is_empty() && self.layers.is_empty()
    }
}

/// A layer that was unpacked and waits for its name.
#[derive(Debug)]
pub(super) struct StagedLayer {
    pub chain: Digest,
    pub path: PathBuf,
}

/// The holder of the store's lock.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    pub paths: &'a Paths,
    serial: u64,
    _lock: LockFile,
}

impl<'a> Writer<'a> {
    /// Takes the lock, calling `waiting` once if another holds it, and clears what a crash has left.
    pub fn lock(paths: &'a Paths, waiting: impl FnOnce()) -> ImageResult<Self> {
        let lock = match lock_exclusive(&paths.lock(), true) {
            Err(error) if error.would_block() => {
                waiting();
                lock_exclusive(&paths.lock(), false)?
            }
            other => other?,
        };
        let writer = Self {
            paths,
            serial: 0,
            _lock: lock,
        };
        writer.clear_staging()?;
        writer.settle()?;
        Ok(writer)
    }

    /// A path in the staging directory of the blobs.
    pub fn staging_path(&mut self) -> PathBuf {
        self.serial += 1;
        self.paths.staging().join(self.serial.to_string())
    }

    /// Makes an empty directory in the staging directory of the layers.
    pub fn staging_directory(&mut self) -> ImageResult<PathBuf> {
        self.serial += 1;
        let path = self.paths.layer_staging().join(self.serial.to_string());
        pinnace_sys::file::create_dir_all(&path, 0o755)?;
        Ok(path)
    }

    /// The index as it is. One that cannot be read is set aside, and the images in it are to be imported
    /// again (which costs little: blobs and layers are still there).
    pub fn index(&self) -> ImageResult<Index> {
        match read_index(self.paths) {
            Err(ImageError::Document { path, source }) => {
                let aside = path.with_extension("json.damaged");
                tracing::error!(
                    path = %path.display(), set_aside = %aside.display(), error = %chain(&source),
                    "the index of the image store is damaged and is set aside; its images must be imported again"
                );
                // What it doubts cannot be told from what the lost index named.
                remove_file(&self.paths.journal())?;
                fs::rename(&path, &aside).map_err(ImageError::io("set aside", &path))?;
                remove_file(&self.paths.bundles_seen())?;
                Ok(Index::default())
            }
            other => other,
        }
    }

    /// Puts blobs, layers and the index in place, or leaves the store as it was.
    pub fn commit(&mut self, blobs: &[StagedBlob], layers: &[StagedLayer], index: &Index) -> ImageResult<()> {
        let mut doubtful = self.journal()?;
        doubtful.blobs.extend(
            blobs
                .iter()
                .filter(|blob| blob.path.is_some())
                .map(|blob| blob.blob.digest.hex()),
        );
        doubtful
            .layers
            .extend(layers.iter().map(|layer| layer.chain.hex()));
        self.write_journal(&doubtful)?;
        let done = self
            .move_into_place(blobs, layers)
            .and_then(|()| self.write_index(index));
        let settled = self.settle();
        done.and(settled)
    }

    /// Replaces the index, and deletes what only the images that it no longer names referred to.
    pub fn remove(&mut self, removed: &[Descriptor], index: &Index) -> ImageResult<()> {
        let mut doubtful = self.journal()?;
        for descriptor in removed {
            self.reachable(descriptor, &mut doubtful);
        }
        self.write_journal(&doubtful)?;
        self.write_index(index)?;
        self.settle()
    }

    /// Writes the index.
    pub fn write_index(&self, index: &Index) -> ImageResult<()> {
        let path = self.paths.index();
        let json = serde_json::to_vec(index).map_err(|source| ImageError::Document {
            path: path.clone(),
            source: source.into(),
        })?;
        Ok(write_durable(&path, &json, 0o644)?)
    }

    fn move_into_place(&self, blobs: &[StagedBlob], layers: &[StagedLayer]) -> ImageResult<()> {
        for blob in blobs {
            if let Some(path) = &blob.path {
                let file = File::open(path).map_err(ImageError::io("open", path))?;
                file.sync_all().map_err(ImageError::io("sync", path))?;
                rename(path, &self.paths.blob(&blob.blob.digest))?;
            }
        }
        sync_directory(&self.paths.blobs())?;
        self.place_layers(layers)
    }

    /// Renames layers into place, after all of their bytes are on the disk.
    pub fn place_layers(&self, layers: &[StagedLayer]) -> ImageResult<()> {
        if layers.is_empty() {
            return Ok(());
        }
        let staging = self.paths.layer_staging();
        let directory = File::open(&staging).map_err(ImageError::io("open", &staging))?;
        rustix::fs::syncfs(&directory).map_err(|errno| ImageError::io("sync", &staging)(errno.into()))?;
        for layer in layers {
            rename(&layer.path, &self.paths.layer(&layer.chain))?;
        }
        Ok(sync_directory(&self.paths.layers)?)
    }

    /// Deletes what the journal names and no image refers to, then the journal. Where that cannot be told
    /// because an image cannot be read, the journal stays for a later writer.
    fn settle(&self) -> ImageResult<()> {
        if self.journal()?.is_empty() {
            return Ok(remove_file(&self.paths.journal())?);
        }
        // The index first: where it turns out to be damaged, the journal goes with it.
        let index = self.index()?;
        let doubtful = self.journal()?;
        let mut wanted = Doubtful::default();
        let mut certain = true;
        for descriptor in &index.manifests {
            certain &= self.reachable(descriptor, &mut wanted);
        }
        if !certain {
            tracing::warn!(
                "an image of the store is broken; what may be shared with it is not deleted until it is removed"
            );
            return Ok(());
        }
        for layer in doubtful.layers.difference(&wanted.layers) {
            self.delete_layer(layer)?;
        }
        for blob in doubtful.blobs.difference(&wanted.blobs) {
            remove_file(&self.paths.blobs().join(blob))?;
        }
        Ok(remove_file(&self.paths.journal())?)
    }

    /// A layer vanishes by a rename, so that a half-deleted one is never believed.
    fn delete_layer(&self, name: &str) -> ImageResult<()> {
        let gone = self.paths.layer_staging().join(format!("gone-{name}"));
        match fs::rename(self.paths.layers.join(name), &gone) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(ImageError::io("remove layer", &gone))?,
        }
        Ok(remove_tree(&gone)?)
    }

    /// Collects what an entry of the index refers to; false if it could not be told completely.
    fn reachable(&self, descriptor: &Descriptor, found: &mut Doubtful) -> bool {
        let Ok(BlobRef { digest, .. }) = BlobRef::of(descriptor) else {
            return true;
        };
        found.blobs.insert(digest.hex());
        if descriptor.is_index() {
            // All of the list's manifests that are here, this machine's or not.
            let path = self.paths.blob(&digest);
            let json = read_limited(&path, MAX_MANIFEST_BYTES).ok();
            let Some(list) = json.and_then(|json| parse_index(&json).ok()) else {
                return false;
            };
            let here = |child: &&Descriptor| {
                BlobRef::of(child).is_ok_and(|blob| self.paths.blob(&blob.digest).exists())
                    && !child.is_index()
            };
            let mut certain = true;
            for child in list.manifests.iter().filter(here) {
                certain &= self.reachable(child, found);
            }
            return certain;
        }
        self.reachable_from_manifest(digest, descriptor, found)
    }

    fn reachable_from_manifest(&self, digest: Digest, descriptor: &Descriptor, found: &mut Doubtful) -> bool {
        match load(self.paths, digest, descriptor) {
            Ok(image) => {
                found.blobs.insert(image.config_digest.hex());
                found
                    .blobs
                    .extend(image.layers.iter().map(|layer| layer.digest.hex()));
                found.layers.extend(image.chain.iter().map(Digest::hex));
                true
            }
            // Another platform's image, or no image: its layers were never unpacked, its blobs are told.
            Err(ImageError::Platform { .. } | ImageError::LayerCount { .. } | ImageError::Config { .. }) => {
                self.blobs_of(digest, found)
            }
            Err(_) => false,
        }
    }

    fn blobs_of(&self, digest: Digest, found: &mut Doubtful) -> bool {
        let json = read_limited(&self.paths.blob(&digest), MAX_MANIFEST_BYTES).ok();
        let Some(manifest) = json.and_then(|json| super::spec::parse_manifest(&json).ok()) else {
            return false;
        };
        found.blobs.insert(manifest.config.digest.hex());
        found
            .blobs
            .extend(manifest.layers.iter().map(|layer| layer.digest.hex()));
        true
    }

    fn journal(&self) -> ImageResult<Doubtful> {
        let path = self.paths.journal();
        let json = match read_limited(&path, MAX_JOURNAL_BYTES) {
            Err(error) if error.is_not_found() => return Ok(Doubtful::default()),
            other => other?,
        };
        // It was written durably by ourselves; if it is damaged, all it could tell is what to delete.
        let journal: Doubtful = serde_json::from_slice(&json).unwrap_or_else(|error| {
            tracing::warn!(path = %path.display(), %error, "the image store's journal is damaged and is dropped");
            Doubtful::default()
        });
        let is_digest = |name: &String| Digest::parse_hex(name).is_some();
        Ok(Doubtful {
            blobs: journal.blobs.into_iter().filter(is_digest).collect(),
            layers: journal.layers.into_iter().filter(is_digest).collect(),
        })
    }

    fn write_journal(&self, doubtful: &Doubtful) -> ImageResult<()> {
        let path = self.paths.journal();
        let json = serde_json::to_vec(doubtful).map_err(|source| ImageError::Document {
            path: path.clone(),
            source: source.into(),
        })?;
        Ok(write_durable(&path, &json, 0o600)?)
    }

    fn clear_staging(&self) -> ImageResult<()> {
        for directory in [self.paths.staging(), self.paths.layer_staging()] {
            let entries = fs::read_dir(&directory).map_err(ImageError::io("read", &directory))?;
            for entry in entries {
                let entry = entry.map_err(ImageError::io("read", &directory))?;
                remove_tree(&entry.path())?;
            }
        }
        let entries = fs::read_dir(&self.paths.images).map_err(ImageError::io("read", &self.paths.images))?;
        for entry in entries
            .flatten()
            .filter(|entry| pinnace_sys::file::is_temporary(&entry.file_name()))
        {
            remove_file(&entry.path())?;
        }
        Ok(())
    }
}

impl Drop for Writer<'_> {
    /// An import that failed leaves nothing behind; what cannot be removed now, the next writer removes.
    fn drop(&mut self) {
        if let Err(error) = self.clear_staging() {
            tracing::warn!(error = %chain(&error), "the image store's staging directory cannot be cleared");
        }
    }
}

fn rename(from: &Path, to: &Path) -> ImageResult<()> {
    fs::rename(from, to).map_err(ImageError::io("rename into place", to))
}
