//! Blobs: received into a staging file with their digest, read back with a check of it.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use pinnace_sys::SysError;
use pinnace_sys::file::read_limited;

use super::digest::{Digest, HashingReader};
use super::error::{ImageError, ImageResult};
use super::paths::Paths;
use super::spec::BlobRef;

const COPY_BUFFER_BYTES: usize = 256 << 10;

/// A blob whose content is known to be that of its digest.
#[derive(Debug, Clone)]
pub(super) struct StagedBlob {
    pub blob: BlobRef,
    /// Where it lies; `None` if the store had it before.
    pub path: Option<PathBuf>,
}

/// Why a blob could not be received.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// The source cannot be read, or ends early.
    #[error("read its data")]
    Read(#[source] io::Error),
    /// The store cannot take it.
    #[error("write to the store")]
    Write(#[source] SysError),
    /// The content is another.
    #[error("its digest is {found}, not {expected}")]
    WrongDigest {
        /// As its name or its manifest says.
        expected: Digest,
        /// As the bytes say.
        found: Digest,
    },
    /// The length is another.
    #[error("it has {found} bytes, not {expected}")]
    WrongSize {
        /// As its manifest says.
        expected: u64,
        /// As it is.
        found: u64,
    },
}

/// Receives one blob of `size` bytes into `staged`. If the store has a blob of the expected digest and this
/// size, the bytes are verified and not written.
pub(super) fn receive(
    paths: &Paths,
    reader: impl Read,
    size: u64,
    expected: Option<&Digest>,
    staged: &Path,
) -> Result<StagedBlob, ReceiveError> {
    let present = expected.is_some_and(|digest| {
        has_blob(
            paths,
            &BlobRef {
                digest: *digest,
                size,
            },
        )
    });
    let mut reader = HashingReader::new(reader);
    if present {
        io::copy(&mut reader, &mut io::sink()).map_err(ReceiveError::Read)?;
    } else {
        write_file(&mut reader, staged)?;
    }
    if reader.count() != size {
        return Err(ReceiveError::WrongSize {
            expected: size,
            found: reader.count(),
        });
    }
    let digest = reader.digest();
    match expected {
        Some(expected) if *expected != digest => Err(ReceiveError::WrongDigest {
            expected: *expected,
            found: digest,
        }),
        _ => Ok(StagedBlob {
            blob: BlobRef { digest, size },
            path: (!present).then(|| staged.to_owned()),
        }),
    }
}

fn write_file(reader: &mut impl Read, path: &Path) -> Result<(), ReceiveError> {
    let failed =
        |operation| move |source| ReceiveError::Write(SysError::new(operation, path.display(), source));
    let mut file = File::create_new(path).map_err(failed("make"))?;
    let mut buffer = vec![0; COPY_BUFFER_BYTES];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => file.write_all(&buffer[..read]).map_err(failed("write"))?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(ReceiveError::Read(error)),
        }
    }
}

/// Whether the store has a blob of this digest and size. A blob is renamed into place only when its content
/// was verified and synced.
pub(super) fn has_blob(paths: &Paths, blob: &BlobRef) -> bool {
    let is_file = |found: &fs::Metadata| found.is_file() && found.len() == blob.size;
    fs::symlink_metadata(paths.blob(&blob.digest)).is_ok_and(|found| is_file(&found))
}

/// Reads a document of the store, verified.
pub(super) fn read_document(paths: &Paths, digest: &Digest, max: u64) -> ImageResult<Vec<u8>> {
    let path = paths.blob(digest);
    let content = read_limited(&path, max).map_err(|error| match error.is_not_found() {
        true => ImageError::Blob {
            digest: *digest,
            missing: true,
        },
        false => error.into(),
    })?;
    if Digest::of(&content) != *digest {
        return Err(damaged(paths, digest));
    }
    Ok(content)
}

/// Reports a blob whose content is not what its name says. It is taken away, so that an import brings it
/// again rather than trusting what lies there.
pub(super) fn damaged(paths: &Paths, digest: &Digest) -> ImageError {
    let path = paths.blob(digest);
    tracing::warn!(%digest, path = %path.display(), "a blob of the image store is damaged and is taken away");
    if let Err(error) = fs::remove_file(&path) {
        tracing::warn!(%digest, %error, "the damaged blob cannot be removed");
    }
    ImageError::Blob {
        digest: *digest,
        missing: false,
    }
}
