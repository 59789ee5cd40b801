//! Layers into directories, safely.
//!
//! - Every path is resolved by the kernel beneath the layer's directory; links that lead out lead to the
//!   layer's own root. Names with `..` are refused, absolute names are taken from the layer's root.
//! - Whiteouts become overlayfs' own: a character device 0/0 for a removed file, the attribute
//!   `trusted.overlay.opaque` for a directory that hides those below it. They count for the layers below
//!   only: what the same layer brings stays, in whatever order it comes.
//! - Directories that a layer leaves out though it brings files in them take owner, mode and attributes from
//!   the layers below, as they would in a merged tree; this is why layers are kept by chain ID.
//! - Attributes: `user.*` and `security.capability`. `trusted.*` (overlayfs' own) and labels of a foreign
//!   security policy are dropped. Owner comes before mode and capability, since it clears both.
//! - Devices and fifos are made as the image says (see [`UnpackLimits::devices`]).
//! - Both digests, that of the compressed layer and that of its content, are verified in the same pass;
//!   nothing of a layer is to be believed before this has returned.

mod decompress;
mod entry;
mod error;
mod limits;
mod root;

use std::io::{self, Read};
use std::os::fd::OwnedFd;

pub(super) use decompress::decompress;
pub use error::{EntryError, UnpackError};
pub use limits::{LimitExceeded, UnpackLimits};

use super::digest::{Digest, HashingReader};
use super::tar::TarReader;
pub(super) use limits::BoundedReader;
use root::LayerRoot;
pub(super) use root::OPAQUE;

/// A layer as its image describes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    /// Digest of the blob.
    pub blob: Digest,
    /// Length of the blob.
    pub blob_bytes: u64,
    /// Digest of the uncompressed archive.
    pub diff_id: Digest,
}

/// Unpacks the layer that `blob` yields into the empty directory `into`. `below` are the layers beneath it,
/// the nearest first. On an error the directory holds rubbish; the caller removes it.
pub(super) fn unpack_layer(
    blob: impl Read,
    expected: &Expected,
    into: OwnedFd,
    below: &[OwnedFd],
    limits: &UnpackLimits,
) -> Result<(), UnpackError> {
    let mut compressed = HashingReader::new(blob);
    let plain = decompress(&mut compressed).map_err(read_error)?;
    let mut content = HashingReader::new(BoundedReader::new(plain, expected.blob_bytes, *limits));
    let applied = apply(&mut content, into, below, limits);
    // A blob that is not what it claims to be explains every other complaint, so it is read to its end.
    let drained = io::copy(&mut content, &mut io::sink());
    let diff_id = content.digest();
    drop(content);
    io::copy(&mut compressed, &mut io::sink()).map_err(read_error)?;
    if compressed.digest() != expected.blob {
        return Err(UnpackError::WrongDigest {
            expected: expected.blob,
            found: compressed.digest(),
        });
    }
    applied?;
    drained.map_err(read_error)?;
    if diff_id != expected.diff_id {
        return Err(UnpackError::WrongDiffId {
            expected: expected.diff_id,
            found: diff_id,
        });
    }
    Ok(())
}

fn apply(
    content: impl Read,
    into: OwnedFd,
    below: &[OwnedFd],
    limits: &UnpackLimits,
) -> Result<(), UnpackError> {
    let mut tar = TarReader::new(content);
    let mut root = LayerRoot::new(into, below, limits)?;
    let mut after = String::new();
    loop {
        let entry = match tar.next_entry() {
            Ok(Some(entry)) => entry,
            Ok(None) => break,
            Err(source) => return Err(tar_error(after, source)),
        };
        let name = String::from_utf8_lossy(&entry.path).into_owned();
        if let Err(source) = root.apply(&entry, &mut tar) {
            return Err(entry_error(name, source));
        }
        after = name;
    }
    root.finish()
}

/// A limit travels through the readers as the source of an I/O error.
fn limit_in(error: &io::Error) -> Option<LimitExceeded> {
    error.get_ref()?.downcast_ref::<LimitExceeded>().copied()
}

fn read_error(source: io::Error) -> UnpackError {
    match limit_in(&source) {
        Some(limit) => UnpackError::Limit(limit),
        None => UnpackError::Read(source),
    }
}

fn tar_error(after: String, source: super::tar::TarError) -> UnpackError {
    match source {
        super::tar::TarError::Read { source, .. } if limit_in(&source).is_some() => read_error(source),
        source => UnpackError::Tar { after, source },
    }
}

fn entry_error(entry: String, source: EntryError) -> UnpackError {
    match source {
        EntryError::Data(source) if limit_in(&source).is_some() => read_error(source),
        EntryError::Limit(limit @ (LimitExceeded::TotalBytes(_) | LimitExceeded::Entries(_))) => {
            UnpackError::Limit(limit)
        }
        source => UnpackError::Entry { entry, source },
    }
}

#[cfg(test)]
mod tests;
