//! Why an archive or layout cannot be imported.

use std::io;

use crate::images::blobs::ReceiveError;
use crate::images::config::ConfigError;
use crate::images::digest::Digest;
use crate::images::error::ImageError;
use crate::images::reference::ReferenceError;
use crate::images::spec::DocumentError;
use crate::images::tar::TarError;
use crate::images::unpack::UnpackError;

/// A failed import; the store is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file or directory cannot be opened.
    #[error("open it")]
    Open(#[source] io::Error),
    /// It is in a form that is not supported, or its compression is broken at its begin.
    #[error("read its first bytes")]
    Format(#[source] io::Error),
    /// The store itself.
    #[error("it is the image store itself")]
    OwnStore,
    /// A tar archive that cannot be read on.
    #[error("after entry {after:?}")]
    Tar {
        /// The last entry that was read whole; empty before the first.
        after: String,
        /// The cause.
        #[source]
        source: TarError,
    },
    /// The compression is broken or cut off after the last entry.
    #[error("after the last entry, {after:?}")]
    Tail {
        /// The last entry.
        after: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The archive has more entries than any image.
    #[error("the archive has more than {0} entries")]
    TooManyEntries(usize),
    /// The archive is larger than allowed.
    #[error("entry {entry:?}: the archive holds more than {max} bytes")]
    TooLarge {
        /// The entry that went too far.
        entry: String,
        /// The limit.
        max: u64,
    },
    /// A file of the archive cannot be taken.
    #[error("entry {entry:?}")]
    Entry {
        /// Its name.
        entry: String,
        /// The cause.
        #[source]
        source: ReceiveError,
    },
    /// Neither an archive of `docker save` nor an OCI layout.
    #[error(
        "it is neither an archive made by `docker save` nor an OCI image layout (no manifest.json, no index.json)"
    )]
    NotAnImage,
    /// It has documents, and none of them names an image.
    #[error("it holds no image")]
    Empty,
    /// All images in it are for other machines.
    #[error("it holds no image for this machine ({here})")]
    Platform {
        /// What this machine is.
        here: String,
    },
    /// A file that a document names is not there.
    #[error("{wanted_by} names {missing:?}, which is not there")]
    Missing {
        /// The file.
        missing: String,
        /// The document.
        wanted_by: String,
    },
    /// A document is larger than allowed.
    #[error("{entry:?} has {size} bytes, more than {max}")]
    DocumentTooLarge {
        /// The document.
        entry: String,
        /// Its size.
        size: u64,
        /// The limit.
        max: u64,
    },
    /// A document cannot be used.
    #[error("{entry:?}")]
    Document {
        /// The document.
        entry: String,
        /// The cause.
        #[source]
        source: DocumentError,
    },
    /// An image configuration cannot be used.
    #[error("{entry:?}")]
    Config {
        /// The configuration.
        entry: String,
        /// The cause.
        #[source]
        source: ConfigError,
    },
    /// A name in the archive is no reference.
    #[error("the archive names an image {name:?}")]
    Name {
        /// The name.
        name: String,
        /// The cause.
        #[source]
        source: ReferenceError,
    },
    /// A name was given for an archive of several images.
    #[error("a name was given, but the archive holds {0} images")]
    NameForSeveral(usize),
    /// A size in a document does not fit the file.
    #[error("{entry:?} has {found} bytes, not {expected} as {wanted_by} says")]
    Size {
        /// The file.
        entry: String,
        /// As the document says.
        expected: u64,
        /// As it is.
        found: u64,
        /// The document.
        wanted_by: String,
    },
    /// A configuration's name states a digest that it does not have.
    #[error("{entry:?} has the digest {found}")]
    NameDigest {
        /// The configuration.
        entry: String,
        /// Its digest.
        found: Digest,
    },
    /// A layer cannot be unpacked.
    #[error("layer {entry:?}")]
    Layer {
        /// The layer's file.
        entry: String,
        /// The cause.
        #[source]
        source: Box<UnpackError>,
    },
    /// The store cannot take it.
    #[error("put it into the store")]
    Store(#[source] Box<ImageError>),
}

impl ImportError {
    /// The host failed, not the archive: a retry may go through.
    pub fn is_transient(&self) -> bool {
        match self {
            ImportError::Open(_) => true,
            ImportError::Format(source) | ImportError::Tail { source, .. } => source.raw_os_error().is_some(),
            ImportError::Tar {
                source: TarError::Read { source, .. },
                ..
            } => source.raw_os_error().is_some(),
            ImportError::Entry { source, .. } => match source {
                ReceiveError::Read(source) => source.raw_os_error().is_some(),
                ReceiveError::Write(_) => true,
                _ => false,
            },
            ImportError::Layer { source, .. } => source.is_transient(),
            // A damaged blob was taken away, so that the next import brings it anew.
            ImportError::Store(source) => matches!(**source, ImageError::Host(_) | ImageError::Blob { .. }),
            _ => false,
        }
    }
}
