//! Where the parts of the store lie.

use std::path::{Path, PathBuf};

use pinnace_sys::Layout;
use pinnace_sys::file::{create_dir_all, write_durable};

use super::digest::Digest;
use super::error::ImageResult;

const OCI_LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
/// Images hold programs with set-id bits, which must not be reachable for the host's users.
const PRIVATE: u32 = 0o700;

/// Paths of the store.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    pub images: PathBuf,
    pub layers: PathBuf,
    pub bundles: PathBuf,
}

impl Paths {
    pub fn new(layout: &Layout) -> Self {
        Self {
            images: layout.images(),
            layers: layout.layers(),
            bundles: layout.image_bundles(),
        }
    }

    /// Makes what is missing.
    pub fn prepare(&self) -> ImageResult<()> {
        for directory in [
            &self.images,
            &self.layers,
            &self.blobs(),
            &self.staging(),
            &self.layer_staging(),
        ] {
            create_dir_all(directory, PRIVATE)?;
        }
        // Seen as the root of a container without layers.
        create_dir_all(&self.empty_layer(), 0o755)?;
        let marker = self.images.join("oci-layout");
        if !marker.exists() {
            write_durable(&marker, OCI_LAYOUT, 0o644)?;
        }
        Ok(())
    }

    pub fn index(&self) -> PathBuf {
        self.images.join("index.json")
    }

    pub fn blobs(&self) -> PathBuf {
        self.images.join("blobs/sha256")
    }

    pub fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    /// Held by the one writer.
    pub fn lock(&self) -> PathBuf {
        self.images.join(".lock")
    }

    /// Blobs on their way; what lies here while nobody holds the lock is rubbish.
    pub fn staging(&self) -> PathBuf {
        self.images.join(".staging")
    }

    /// Layers on their way, in or out.
    pub fn layer_staging(&self) -> PathBuf {
        self.layers.join(".staging")
    }

    /// What the writer is about to add or remove, so that the next one can tell rubbish after a crash.
    pub fn journal(&self) -> PathBuf {
        self.images.join(".journal.json")
    }

    /// Which bundles were imported.
    pub fn bundles_seen(&self) -> PathBuf {
        self.images.join(".bundles.json")
    }

    pub fn layer(&self, chain: &Digest) -> PathBuf {
        self.layers.join(chain.hex())
    }

    /// Stands in for an image without layers, since overlayfs wants at least one.
    pub fn empty_layer(&self) -> PathBuf {
        self.layers.join("empty")
    }

    pub fn is_inside(&self, path: &Path) -> bool {
        path.starts_with(&self.images) || path.starts_with(&self.layers)
    }
}
