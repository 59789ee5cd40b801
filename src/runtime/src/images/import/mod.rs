//! Images out of archives and layouts, into the store.
//!
//! ```text
//! archive ── scan: every file into staging, hashed ──┐
//! layout directory ──────────────────────────────────┴─ resolve ─ plan ── unpack ── commit
//! ```
//! An archive is read once, forward, whatever the order of its entries; memory holds names and digests only.
//! A plan is made of documents that are verified and bounded; layers are unpacked before anything is put in
//! place. So an archive is in the store whole, or not at all.

mod docker;
mod error;
mod oci;
mod scan;
mod source;

use std::path::Path;

pub use error::ImportError;

use super::blobs::StagedBlob;
use super::config::ImageConfig;
use super::digest::Digest;
use super::error::{ImageError, ImageResult};
use super::layers::{LayerOfImage, note_damage, unpack_missing};
use super::reference::Reference;
use super::snapshot::name_of;
use super::spec::{
    ANNOTATION_IMAGE_NAME, ANNOTATION_LIST_DIGEST, ANNOTATION_REF_NAME, BlobRef, Descriptor, Index,
};
use super::unpack::UnpackLimits;
use super::writer::{StagedLayer, Writer};
use source::{Origin, Source};

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportProgress<'a> {
    /// Another process writes to the store; its end is waited for.
    Waiting,
    /// A file of the archive is being read.
    Reading {
        /// Its name in the archive.
        entry: &'a str,
        /// Its size.
        bytes: u64,
    },
    /// A layer is being unpacked.
    Unpacking {
        /// Which, counted from 1.
        layer: usize,
        /// Of how many.
        layers: usize,
    },
    /// All is being put in place.
    Committing,
}

/// An image that an archive brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Digest of its configuration.
    pub id: String,
    /// Digest of its manifest.
    pub manifest_digest: String,
    /// Its names in full; empty for one that can be asked for by ID only.
    pub names: Vec<String>,
}

/// An image in an archive, its documents read and verified.
#[derive(Debug)]
pub(super) struct Plan {
    pub manifest: BlobRef,
    pub media_type: &'static str,
    pub list_digest: Option<Digest>,
    pub names: Vec<Reference>,
    pub config_digest: Digest,
    pub config: ImageConfig,
    pub layers: Vec<BlobRef>,
}

/// Imports everything in `archive` that is for this machine. `name` names the image of an archive of one.
pub(super) fn import(
    writer: &mut Writer<'_>,
    archive: &Path,
    name: Option<&Reference>,
    limits: &UnpackLimits,
    progress: &mut dyn FnMut(ImportProgress<'_>),
) -> ImageResult<Vec<Imported>> {
    let failed = ImageError::import(archive);
    // Another name for it is no other place.
    let place = archive.canonicalize().unwrap_or_else(|_| archive.to_owned());
    if writer.paths.is_inside(archive) || writer.paths.is_inside(&place) {
        return Err(failed(ImportError::OwnStore));
    }
    let mut source = Source::open(writer, archive, progress).map_err(&failed)?;
    let mut plans = source.plans().map_err(&failed)?;
    if let Some(name) = name {
        match plans.as_mut_slice() {
            [only] => only.names = vec![name.clone()],
            several => return Err(failed(ImportError::NameForSeveral(several.len()))),
        }
    }
    let (staged, origins) = source.finish();
    let layers = unpack(writer, &plans, &staged, limits, progress).map_err(|error| {
        // What was staged was verified just now; what the store had may have gone bad since.
        let error = note_damage(writer.paths, error);
        failed(origins.explain(error))
    })?;
    progress(ImportProgress::Committing);
    let mut index = writer.index()?;
    plans.iter().for_each(|plan| enter(&mut index, plan));
    let wanted = wanted_blobs(&plans, staged);
    writer.commit(&wanted, &layers, &index)?;
    Ok(plans.iter().map(imported).collect())
}

fn unpack(
    writer: &mut Writer<'_>,
    plans: &[Plan],
    staged: &[StagedBlob],
    limits: &UnpackLimits,
    progress: &mut dyn FnMut(ImportProgress<'_>),
) -> ImageResult<Vec<StagedLayer>> {
    let mut ready = Vec::new();
    let paths = writer.paths;
    let path_of = |digest: &Digest| {
        let staged = staged.iter().find(|staged| staged.blob.digest == *digest);
        staged
            .and_then(|staged| staged.path.clone())
            .unwrap_or_else(|| paths.blob(digest))
    };
    for plan in plans {
        let count = plan.layers.len();
        let layers = layers_of(&plan.layers, &plan.config);
        unpack_missing(writer, &layers, path_of, limits, &mut ready, |number| {
            progress(ImportProgress::Unpacking {
                layer: number + 1,
                layers: count,
            });
        })?;
    }
    Ok(ready)
}

/// Blobs and digests of an image's layers; both lists were found to be of one length.
pub(super) fn layers_of(blobs: &[BlobRef], config: &ImageConfig) -> Vec<LayerOfImage> {
    let chain = config.chain_ids();
    let pairs = blobs.iter().zip(&config.diff_ids).zip(chain);
    pairs
        .map(|((blob, diff_id), chain)| LayerOfImage {
            blob: *blob,
            diff_id: *diff_id,
            chain,
        })
        .collect()
}

/// The blobs that the images refer to, out of all that the archive brought.
fn wanted_blobs(plans: &[Plan], staged: Vec<StagedBlob>) -> Vec<StagedBlob> {
    let wanted: std::collections::HashSet<Digest> = plans
        .iter()
        .flat_map(|plan| {
            let layers = plan.layers.iter().map(|layer| layer.digest);
            layers.chain([plan.manifest.digest, plan.config_digest])
        })
        .collect();
    staged
        .into_iter()
        .filter(|blob| wanted.contains(&blob.blob.digest))
        .collect()
}

/// Enters an image into the index. A name moves to the newest image; the one that had it stays, by ID.
fn enter(index: &mut Index, plan: &Plan) {
    let digest = plan.manifest.digest.to_string();
    for name in &plan.names {
        let (mut moved, kept) = std::mem::take(&mut index.manifests)
            .into_iter()
            .partition::<Vec<_>, _>(|entry| name_of(entry).as_ref() == Some(name));
        index.manifests = kept;
        moved.retain(|entry| !index.manifests.iter().any(|other| other.digest == entry.digest));
        for mut entry in moved.into_iter().take(1) {
            if let Some(annotations) = &mut entry.annotations {
                annotations.remove(ANNOTATION_IMAGE_NAME);
                annotations.remove(ANNOTATION_REF_NAME);
            }
            index.manifests.push(entry);
        }
    }
    if plan.names.is_empty() {
        if !index.manifests.iter().any(|entry| entry.digest == digest) {
            index.manifests.push(descriptor(plan, None));
        }
        return;
    }
    index
        .manifests
        .retain(|entry| entry.digest != digest || name_of(entry).is_some());
    index
        .manifests
        .extend(plan.names.iter().map(|name| descriptor(plan, Some(name))));
}

fn descriptor(plan: &Plan, name: Option<&Reference>) -> Descriptor {
    let mut annotations = std::collections::BTreeMap::new();
    if let Some(name) = name {
        for key in [ANNOTATION_REF_NAME, ANNOTATION_IMAGE_NAME] {
            annotations.insert(key.to_owned(), name.to_string());
        }
    }
    if let Some(list) = &plan.list_digest {
        annotations.insert(ANNOTATION_LIST_DIGEST.to_owned(), list.to_string());
    }
    Descriptor {
        media_type: plan.media_type.to_owned(),
        digest: plan.manifest.digest.to_string(),
        size: plan.manifest.size,
        annotations: (!annotations.is_empty()).then_some(annotations),
        ..Descriptor::default()
    }
}

fn imported(plan: &Plan) -> Imported {
    Imported {
        id: plan.config_digest.to_string(),
        manifest_digest: plan.manifest.digest.to_string(),
        names: plan.names.iter().map(Reference::to_string).collect(),
    }
}

/// Tells which entry of the archive a layer's error is about.
impl Origin {
    fn explain(&self, error: ImageError) -> ImportError {
        match error {
            ImageError::Layer { layer, source } => ImportError::Layer {
                entry: self.name_of(&layer),
                source,
            },
            other => ImportError::Store(Box::new(other)),
        }
    }
}
