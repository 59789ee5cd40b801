//! The store's face. All functions block, on the disk or on another writer; those that only look take no
//! lock, and microseconds as long as `index.json` stays as it is.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use pinnace_core::ports::ImageHandle;
use pinnace_sys::Layout;

use super::config::ImageConfig;
use super::error::{ImageError, ImageResult};
use super::import::{self, ImportProgress, Imported, layers_of};
use super::layers::{lower_directories, note_damage, unpack_missing};
use super::paths::Paths;
use super::reference::Reference;
use super::snapshot::{Image, Loaded, Snapshot, Stamp, name_of, parse, read_index};
use super::unpack::UnpackLimits;
use super::writer::Writer;

/// Images on this node; clones share one cache.
#[derive(Debug, Clone)]
pub struct ImageStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    paths: Paths,
    limits: UnpackLimits,
    cache: Mutex<Option<(Stamp, Arc<Snapshot>)>>,
}

/// An image as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSummary {
    /// Names in full; empty for one whose name has moved to a newer image.
    pub names: Vec<String>,
    /// Digest of the configuration; of the manifest where the image is broken.
    pub id: String,
    /// Digest of the manifest.
    pub manifest_digest: String,
    /// Bytes of its blobs.
    pub size_bytes: u64,
    /// When it was made, as it says.
    pub created: Option<String>,
    /// Why it cannot be used, if it is broken.
    pub problem: Option<String>,
}

/// Everything about an image.
#[derive(Debug, Clone)]
pub struct ImageDetails {
    /// As in a list.
    pub summary: ImageSummary,
    /// Digest of the list of platforms that it was taken from.
    pub list_digest: Option<String>,
    /// How it is run.
    pub config: Arc<ImageConfig>,
    /// Its layers, lowest first.
    pub layers: Vec<LayerDetails>,
}

/// A layer of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerDetails {
    /// Digest of its blob.
    pub digest: String,
    /// Digest of its content.
    pub diff_id: String,
    /// Bytes of its blob.
    pub size_bytes: u64,
    /// Where it is unpacked.
    pub directory: PathBuf,
    /// Whether it is.
    pub unpacked: bool,
}

/// What a removal did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Names that are gone.
    pub untagged: Vec<String>,
    /// ID of the image, if it is gone too, with what only it referred to.
    pub deleted: Option<String>,
}

impl ImageStore {
    /// Opens the store, making it where it is absent.
    pub fn open(layout: &Layout) -> ImageResult<Self> {
        Self::open_with(layout, UnpackLimits::default())
    }

    /// [`ImageStore::open`] with other limits.
    pub fn open_with(layout: &Layout, limits: UnpackLimits) -> ImageResult<Self> {
        let paths = Paths::new(layout);
        paths.prepare()?;
        if Stamp::of(&paths.index())?.is_none() {
            let writer = Writer::lock(&paths, || {})?;
            // Another process may have made it while we waited.
            writer.write_index(&writer.index()?)?;
        }
        Ok(Self {
            inner: Arc::new(Inner {
                paths,
                limits,
                cache: Mutex::new(None),
            }),
        })
    }

    /// All images, broken ones too.
    pub fn list(&self) -> ImageResult<Vec<ImageSummary>> {
        Ok(self.snapshot()?.images.iter().map(summary).collect())
    }

    /// Everything about one image.
    pub fn inspect(&self, reference: &str) -> ImageResult<ImageDetails> {
        let snapshot = self.snapshot()?;
        let image = known(&snapshot, reference)?;
        let loaded = image.loaded(&self.inner.paths)?;
        let layers = layers_of(&loaded.layers, &loaded.config)
            .into_iter()
            .map(|layer| {
                let directory = self.inner.paths.layer(&layer.chain);
                LayerDetails {
                    digest: layer.blob.digest.to_string(),
                    diff_id: layer.diff_id.to_string(),
                    size_bytes: layer.blob.size,
                    unpacked: directory.is_dir(),
                    directory,
                }
            });
        Ok(ImageDetails {
            summary: summary(image),
            list_digest: image.list_digest.map(|digest| digest.to_string()),
            layers: layers.collect(),
            config: Arc::clone(&loaded.config),
        })
    }

    /// Finds an image by name, name and digest, or ID; `None` if it is not there, an error if it is broken.
    pub fn find(&self, reference: &str) -> ImageResult<Option<ImageHandle>> {
        let snapshot = self.snapshot()?;
        let Some(image) = snapshot.find(reference)? else {
            return Ok(None);
        };
        let loaded = image.loaded(&self.inner.paths)?;
        Ok(Some(handle(image, &loaded, reference)))
    }

    /// Imports all images of an archive (Docker's or OCI's, plain, gzip or zstd) or of a layout directory.
    /// All of them are in the store when this returns, or none.
    pub fn import(
        &self,
        archive: &Path,
        progress: &mut dyn FnMut(ImportProgress<'_>),
    ) -> ImageResult<Vec<Imported>> {
        self.import_as(archive, None, progress)
    }

    /// [`ImageStore::import`] of an archive of one image, which gets `name` instead of its own names.
    pub fn import_as(
        &self,
        archive: &Path,
        name: Option<&str>,
        progress: &mut dyn FnMut(ImportProgress<'_>),
    ) -> ImageResult<Vec<Imported>> {
        let name = name.map(parse).transpose()?;
        let mut writer = Writer::lock(&self.inner.paths, || progress(ImportProgress::Waiting))?;
        let imported = import::import(&mut writer, archive, name.as_ref(), &self.inner.limits, progress)?;
        for image in &imported {
            tracing::info!(names = ?image.names, id = image.id, archive = %archive.display(), "imported image");
        }
        Ok(imported)
    }

    /// Removes a name, and with the last name the image and what only it referred to; by ID, the image with
    /// all of its names. `in_use` tells who runs an image: then it is refused.
    pub fn remove(
        &self,
        reference: &str,
        in_use: impl FnOnce(&ImageHandle) -> Vec<String>,
    ) -> ImageResult<Removed> {
        let paths = &self.inner.paths;
        let mut writer = Writer::lock(paths, || {})?;
        let mut index = writer.index()?;
        let snapshot = Snapshot::build(paths, &index, None);
        let image = known(&snapshot, reference)?;
        let one_name = Reference::parse(reference)
            .ok()
            .filter(|name| image.names.contains(name));
        if let Some(name) = one_name.filter(|_| image.names.len() > 1) {
            index
                .manifests
                .retain(|entry| name_of(entry).as_ref() != Some(&name));
            writer.write_index(&index)?;
            return Ok(Removed {
                untagged: vec![name.to_string()],
                deleted: None,
            });
        }
        let handle = match &image.loaded {
            Some(loaded) => handle(image, loaded, reference),
            None => broken_handle(image, reference),
        };
        let users = in_use(&handle);
        if !users.is_empty() {
            return Err(ImageError::InUse {
                reference: reference.to_owned(),
                users,
            });
        }
        let digest = image.digest.to_string();
        let (removed, kept) = index
            .manifests
            .into_iter()
            .partition(|entry| entry.digest == digest);
        index.manifests = kept;
        let removed: Vec<_> = removed;
        writer.remove(&removed, &index)?;
        Ok(Removed {
            untagged: image.names.iter().map(Reference::to_string).collect(),
            deleted: Some(handle.id),
        })
    }

    /// The image's layers as overlayfs takes them, the topmost first, never empty. A layer that is not there
    /// is unpacked again from its blob, and verified again.
    pub fn lower_dirs(&self, image: &ImageHandle) -> ImageResult<Vec<PathBuf>> {
        let loaded = self.loaded(image)?;
        let paths = &self.inner.paths;
        if let Some(found) = lower_directories(paths, &loaded.chain) {
            return Ok(found);
        }
        let mut writer = Writer::lock(paths, || {})?;
        let mut staged = Vec::new();
        let layers = layers_of(&loaded.layers, &loaded.config);
        unpack_missing(
            &mut writer,
            &layers,
            |digest| paths.blob(digest),
            &self.inner.limits,
            &mut staged,
            |_| {},
        )
        .map_err(|error| note_damage(paths, error))?;
        writer.place_layers(&staged)?;
        lower_directories(paths, &loaded.chain).ok_or_else(|| ImageError::NotFound {
            reference: image.reference.clone(),
        })
    }

    /// How the image is run.
    pub fn config(&self, image: &ImageHandle) -> ImageResult<Arc<ImageConfig>> {
        Ok(Arc::clone(&self.loaded(image)?.config))
    }

    /// Whether all layers are unpacked, so that [`ImageStore::lower_dirs`] will not take long.
    pub(super) fn is_unpacked(&self, image: &ImageHandle) -> ImageResult<bool> {
        Ok(lower_directories(&self.inner.paths, &self.loaded(image)?.chain).is_some())
    }

    pub(super) fn paths(&self) -> &Paths {
        &self.inner.paths
    }

    fn loaded(&self, image: &ImageHandle) -> ImageResult<Arc<Loaded>> {
        let snapshot = self.snapshot()?;
        known(&snapshot, &image.manifest_digest)?.loaded(&self.inner.paths)
    }

    /// What the store holds now; read again only if `index.json` is another file than before.
    fn snapshot(&self) -> ImageResult<Arc<Snapshot>> {
        let paths = &self.inner.paths;
        let mut cache = self.inner.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(stamp) = Stamp::of(&paths.index())? else {
            return Ok(Arc::default());
        };
        if let Some((known, snapshot)) = &*cache
            && *known == stamp
            && snapshot.images.iter().all(|image| image.problem.is_none())
        {
            return Ok(Arc::clone(snapshot));
        }
        // If the file is replaced between the two, the older stamp makes the next call read again.
        let older = cache.as_ref().map(|(_, snapshot)| Arc::clone(snapshot));
        let snapshot = Arc::new(Snapshot::build(paths, &read_index(paths)?, older.as_deref()));
        *cache = Some((stamp, Arc::clone(&snapshot)));
        Ok(snapshot)
    }
}

fn known<'a>(snapshot: &'a Snapshot, reference: &str) -> ImageResult<&'a Image> {
    snapshot.find(reference)?.ok_or_else(|| ImageError::NotFound {
        reference: reference.chars().take(300).collect(),
    })
}

/// The reference in full as it was asked for, or the image's name where it was asked for by ID.
fn full_reference(image: &Image, asked: &str) -> String {
    match Reference::parse(asked) {
        Ok(reference) if !asked.starts_with("sha256:") => reference.to_string(),
        _ => image
            .names
            .first()
            .map_or_else(|| asked.to_owned(), Reference::to_string),
    }
}

fn handle(image: &Image, loaded: &Loaded, asked: &str) -> ImageHandle {
    ImageHandle {
        id: loaded.config_digest.to_string(),
        manifest_digest: loaded.manifest_digest.to_string(),
        reference: full_reference(image, asked),
    }
}

fn broken_handle(image: &Image, asked: &str) -> ImageHandle {
    ImageHandle {
        id: image.digest.to_string(),
        manifest_digest: image.digest.to_string(),
        reference: full_reference(image, asked),
    }
}

fn summary(image: &Image) -> ImageSummary {
    let loaded = image.loaded.as_ref();
    ImageSummary {
        names: image.names.iter().map(Reference::to_string).collect(),
        id: loaded
            .map_or(image.digest, |loaded| loaded.config_digest)
            .to_string(),
        manifest_digest: loaded
            .map_or(image.digest, |loaded| loaded.manifest_digest)
            .to_string(),
        size_bytes: loaded.map_or(0, |loaded| loaded.size),
        created: loaded.and_then(|loaded| loaded.config.created.clone()),
        problem: image.problem.clone(),
    }
}
