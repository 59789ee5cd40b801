//! Unpacked layers: one directory for each chain ID, the lower directories of overlayfs.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::blobs::damaged;
use super::digest::Digest;
use super::error::{ImageError, ImageResult};
use super::paths::Paths;
use super::spec::BlobRef;
use super::unpack::{Expected, OPAQUE, UnpackError, UnpackLimits, unpack_layer};
use super::writer::{StagedLayer, Writer};

/// The layers of one image, lowest first: blob, digest of the content, chain ID.
#[derive(Debug, Clone, Copy)]
pub(super) struct LayerOfImage {
    pub blob: BlobRef,
    pub diff_id: Digest,
    pub chain: Digest,
}

/// Unpacks what is missing of an image's layers into staging directories. `path_of` tells where a blob lies;
/// `staged` are layers that wait already, to which the new ones are added.
pub(super) fn unpack_missing(
    writer: &mut Writer<'_>,
    layers: &[LayerOfImage],
    path_of: impl Fn(&Digest) -> PathBuf,
    limits: &UnpackLimits,
    staged: &mut Vec<StagedLayer>,
    mut progress: impl FnMut(usize),
) -> ImageResult<()> {
    let mut below: Vec<OwnedFd> = Vec::with_capacity(layers.len());
    for (number, layer) in layers.iter().enumerate() {
        let place = writer.paths.layer(&layer.chain);
        let waiting = staged.iter().find(|waiting| waiting.chain == layer.chain);
        let path = match waiting {
            Some(waiting) => waiting.path.clone(),
            None if place.is_dir() => place,
            None => {
                progress(number);
                let path = writer.staging_directory()?;
                unpack_one(layer, &path_of(&layer.blob.digest), &path, &below, limits)?;
                staged.push(StagedLayer {
                    chain: layer.chain,
                    path: path.clone(),
                });
                path
            }
        };
        below.insert(0, open(&path)?);
    }
    Ok(())
}

fn unpack_one(
    layer: &LayerOfImage,
    blob: &Path,
    into: &Path,
    below: &[OwnedFd],
    limits: &UnpackLimits,
) -> ImageResult<()> {
    let file = File::open(blob).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => ImageError::Blob {
            digest: layer.blob.digest,
            missing: true,
        },
        _ => ImageError::io("open", blob)(error),
    })?;
    let expected = Expected {
        blob: layer.blob.digest,
        blob_bytes: layer.blob.size,
        diff_id: layer.diff_id,
    };
    unpack_layer(file, &expected, open(into)?, below, limits).map_err(|source| ImageError::Layer {
        layer: layer.blob.digest,
        source: Box::new(source),
    })
}

fn open(path: &Path) -> ImageResult<OwnedFd> {
    File::open(path)
        .map(OwnedFd::from)
        .map_err(ImageError::io("open", path))
}

/// Whether the blob turned out not to be what the store's name for it says.
pub(super) fn note_damage(paths: &Paths, error: ImageError) -> ImageError {
    match &error {
        ImageError::Layer { layer, source } if matches!(**source, UnpackError::WrongDigest { .. }) => {
            damaged(paths, layer)
        }
        _ => error,
    }
}

/// The lower directories, the topmost first; `None` if one is missing. Those under a layer whose root is
/// opaque are left out, since overlayfs heeds that mark on every directory but the root.
pub(super) fn lower_directories(paths: &Paths, chain: &[Digest]) -> Option<Vec<PathBuf>> {
    let mut lower = Vec::with_capacity(chain.len());
    let mut hidden = false;
    for chain in chain.iter().rev() {
        let path = paths.layer(chain);
        if !path.is_dir() {
            return None;
        }
        if hidden {
            continue;
        }
        hidden = rustix::fs::lgetxattr(&path, OPAQUE, &mut [0_u8; 1][..]).is_ok_and(|length| length > 0);
        lower.push(path);
    }
    if lower.is_empty() {
        lower.push(paths.empty_layer());
    }
    Some(lower)
}
