//! What the store holds, as `index.json` said at one moment, indexed for lookups.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use pinnace_sys::file::read_limited;

use crate::error::chain;

use super::blobs::read_document;
use super::config::{ImageConfig, MAX_CONFIG_BYTES};
use super::digest::Digest;
use super::error::{ImageError, ImageResult};
use super::paths::Paths;
use super::platform;
use super::reference::Reference;
use super::spec::{
    ANNOTATION_IMAGE_NAME, ANNOTATION_LIST_DIGEST, ANNOTATION_REF_NAME, BlobRef, Descriptor, Index,
    MAX_MANIFEST_BYTES, parse_index, parse_manifest,
};

/// Tells one state of `index.json` from another: it is only ever replaced by a rename.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// `None` where the file is absent.
    pub fn of(path: &Path) -> ImageResult<Option<Self>> {
        match std::fs::metadata(path) {
            Ok(found) => Ok(Some(Self {
                inode: found.ino(),
                size: found.len(),
                modified: (found.mtime(), found.mtime_nsec()),
                changed: (found.ctime(), found.ctime_nsec()),
            })),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ImageError::io("stat", path)(error)),
        }
    }
}

/// An image whose documents were read and agree with each other.
#[derive(Debug)]
pub(super) struct Loaded {
    pub manifest_digest: Digest,
    /// The list of platforms that it was taken from, where the index names the list.
    pub list_digest: Option<Digest>,
    pub config_digest: Digest,
    pub config: Arc<ImageConfig>,
    /// Blobs of the layers, lowest first.
    pub layers: Vec<BlobRef>,
    /// Their chain IDs.
    pub chain: Vec<Digest>,
    /// Bytes of all blobs.
    pub size: u64,
}

/// One image of the index; all entries of the same digest are one image.
#[derive(Debug)]
pub(super) struct Image {
    /// Digest that the index names.
    pub digest: Digest,
    pub list_digest: Option<Digest>,
    pub names: Vec<Reference>,
    pub descriptor: Descriptor,
    /// `None` if it is broken.
    pub loaded: Option<Arc<Loaded>>,
    /// Why.
    pub problem: Option<String>,
}

/// All images.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    pub images: Vec<Image>,
    by_name: HashMap<String, usize>,
    by_digest: HashMap<Digest, usize>,
}

impl Snapshot {
    /// Builds the snapshot; images that the older one had loaded are not read again, since what a digest
    /// names does not change.
    pub fn build(paths: &Paths, index: &Index, older: Option<&Snapshot>) -> Self {
        let mut snapshot = Self::default();
        for descriptor in &index.manifests {
            let Ok(digest) = Digest::parse(&descriptor.digest) else {
                tracing::warn!(digest = %descriptor.digest, "the image index has an entry of an unknown digest");
                continue;
            };
            let at = match snapshot.images.iter().position(|image| image.digest == digest) {
                Some(at) => at,
                None => {
                    snapshot
                        .images
                        .push(Image::load(paths, digest, descriptor, older));
                    snapshot.images.len() - 1
                }
            };
            if let Some(name) = name_of(descriptor) {
                snapshot.by_name.entry(name.to_string()).or_insert(at);
                snapshot.images[at].names.push(name);
            }
        }
        for (at, image) in snapshot.images.iter().enumerate() {
            let loaded = image.loaded.as_ref();
            let digests = [
                Some(image.digest),
                image.list_digest,
                loaded.map(|loaded| loaded.manifest_digest),
                loaded.map(|loaded| loaded.config_digest),
            ];
            for digest in digests.into_iter().flatten() {
                snapshot.by_digest.entry(digest).or_insert(at);
            }
        }
        snapshot
    }

    /// Finds by name, by name and digest, or by the ID (`sha256:…`) of image or manifest.
    pub fn find(&self, text: &str) -> ImageResult<Option<&Image>> {
        let id = Digest::parse(text).ok().or_else(|| Digest::parse_hex(text));
        if let Some(id) = id {
            return Ok(self.by_digest.get(&id).map(|at| &self.images[*at]));
        }
        let reference = parse(text)?;
        let Some(digest) = reference.digest() else {
            return Ok(self
                .by_name
                .get(&reference.to_string())
                .map(|at| &self.images[*at]));
        };
        // The digest decides; the tag beside it does not matter, the repository does.
        let image = self.by_digest.get(digest).map(|at| &self.images[*at]);
        Ok(image.filter(|image| image.names.iter().any(|name| name.name() == reference.name())))
    }
}

impl Image {
    fn load(paths: &Paths, digest: Digest, descriptor: &Descriptor, older: Option<&Snapshot>) -> Self {
        let known = older.and_then(|older| {
            let image = older.images.iter().find(|image| image.digest == digest)?;
            image.loaded.clone()
        });
        let (loaded, problem) = match known.map_or_else(|| load(paths, digest, descriptor).map(Arc::new), Ok)
        {
            Ok(loaded) => (Some(loaded), None),
            Err(error) => (None, Some(chain(&error))),
        };
        let annotated = descriptor.annotation(ANNOTATION_LIST_DIGEST);
        let list_digest = annotated.and_then(|text| Digest::parse(text).ok());
        Self {
            digest,
            list_digest: list_digest.or_else(|| loaded.as_ref()?.list_digest),
            names: Vec::new(),
            descriptor: descriptor.clone(),
            loaded,
            problem,
        }
    }

    /// The documents, or the reason why they cannot be used.
    pub fn loaded(&self, paths: &Paths) -> ImageResult<Arc<Loaded>> {
        match &self.loaded {
            Some(loaded) => Ok(Arc::clone(loaded)),
            None => load(paths, self.digest, &self.descriptor).map(Arc::new),
        }
    }
}

pub(super) fn parse(text: &str) -> ImageResult<Reference> {
    Reference::parse(text).map_err(|source| ImageError::Reference {
        name: text.chars().take(300).collect(),
        source,
    })
}

/// The name that an index entry gives. A bare version is no name, though it would read as one.
pub(super) fn name_of(descriptor: &Descriptor) -> Option<Reference> {
    if let Some(name) = descriptor.annotation(ANNOTATION_IMAGE_NAME) {
        return Reference::parse(name).ok();
    }
    let name = descriptor.annotation(ANNOTATION_REF_NAME)?;
    let bare = name.strip_prefix('v').unwrap_or(name);
    let is_tag =
        name == "latest" || (!name.contains(['/', ':']) && bare.starts_with(|c: char| c.is_ascii_digit()));
    if is_tag { None } else { Reference::parse(name).ok() }
}

/// Reads `index.json`; absent is empty.
pub(super) fn read_index(paths: &Paths) -> ImageResult<Index> {
    let path = paths.index();
    let json = match read_limited(&path, MAX_MANIFEST_BYTES) {
        Err(error) if error.is_not_found() => return Ok(Index::default()),
        other => other?,
    };
    parse_index(&json).map_err(|source| ImageError::Document { path, source })
}

/// Reads manifest and configuration of an entry of the index; a list is followed to this machine's platform.
pub(super) fn load(paths: &Paths, digest: Digest, descriptor: &Descriptor) -> ImageResult<Loaded> {
    let document = |digest: Digest| {
        move |source| ImageError::Document {
            path: paths.blob(&digest),
            source,
        }
    };
    let (mut manifest_digest, mut list_digest) = (digest, None);
    if descriptor.is_index() {
        let list =
            parse_index(&read_document(paths, &digest, MAX_MANIFEST_BYTES)?).map_err(document(digest))?;
        let chosen = platform::choose(&list.manifests).ok_or_else(|| wrong_platform("other platforms"))?;
        manifest_digest = BlobRef::of(chosen).map_err(document(digest))?.digest;
        list_digest = Some(digest);
    }
    let json = read_document(paths, &manifest_digest, MAX_MANIFEST_BYTES)?;
    let manifest = parse_manifest(&json).map_err(document(manifest_digest))?;
    let json_size = json.len() as u64;
    let json = read_document(paths, &manifest.config.digest, MAX_CONFIG_BYTES)?;
    let config_error = |source| ImageError::Config {
        digest: manifest.config.digest,
        source,
    };
    let config = ImageConfig::parse(&json).map_err(config_error)?;
    check_pair(&manifest_digest, manifest.layers.len(), &config)?;
    let layer_bytes = manifest
        .layers
        .iter()
        .fold(0, |sum: u64, layer| sum.saturating_add(layer.size));
    Ok(Loaded {
        manifest_digest,
        list_digest,
        config_digest: manifest.config.digest,
        chain: config.chain_ids(),
        size: layer_bytes.saturating_add(json_size + json.len() as u64),
        config: Arc::new(config),
        layers: manifest.layers,
    })
}

/// Manifest and configuration agree, and the image is for this machine.
pub(super) fn check_pair(manifest: &Digest, layers: usize, config: &ImageConfig) -> ImageResult<()> {
    if layers != config.diff_ids.len() {
        return Err(ImageError::LayerCount {
            digest: *manifest,
            manifest: layers,
            config: config.diff_ids.len(),
        });
    }
    // Images of the first years state nothing.
    if config.os.is_empty() && config.architecture.is_empty() {
        return Ok(());
    }
    let platform = super::spec::Platform {
        os: config.os.clone(),
        architecture: config.architecture.clone(),
        variant: Some(config.variant.clone()),
        ..Default::default()
    };
    match platform::rank(&platform) {
        Some(_) => Ok(()),
        None => Err(wrong_platform(&format!(
            "{}/{} {}",
            config.os, config.architecture, config.variant
        ))),
    }
}

fn wrong_platform(found: &str) -> ImageError {
    ImageError::Platform {
        found: found.trim().chars().take(100).collect(),
        here: platform::here(),
    }
}
