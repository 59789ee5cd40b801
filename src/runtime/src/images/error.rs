//! What can go wrong with images.

use std::io;
use std::path::PathBuf;

use pinnace_core::pod::FailureReason;
use pinnace_core::ports::Retry;
use pinnace_sys::SysError;

use super::config::ConfigError;
use super::digest::Digest;
use super::import::ImportError;
use super::reference::ReferenceError;
use super::spec::DocumentError;
use super::unpack::UnpackError;

/// A failed operation on the image store.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The reference cannot be read.
    #[error("couldn't parse image name {name:?}")]
    Reference {
        /// As it was given.
        name: String,
        /// The cause.
        #[source]
        source: ReferenceError,
    },
    /// No such image.
    #[error("image {reference:?} is not in the store")]
    NotFound {
        /// As it was given.
        reference: String,
    },
    /// The image runs.
    #[error("image {reference:?} is in use by {}", users.join(", "))]
    InUse {
        /// As it was given.
        reference: String,
        /// By whom.
        users: Vec<String>,
    },
    /// An archive or layout cannot be imported; the store is as it was.
    #[error("import {}", archive.display())]
    Import {
        /// Where it lies.
        archive: PathBuf,
        /// The cause.
        #[source]
        source: Box<ImportError>,
    },
    /// A layer cannot be unpacked.
    #[error("unpack layer {layer}")]
    Layer {
        /// Digest of the layer's blob.
        layer: Digest,
        /// The cause.
        #[source]
        source: Box<UnpackError>,
    },
    /// A blob that the store should have is missing or not what its name says.
    #[error("the store's blob {digest} is {}; import the image again", if *missing { "missing" } else { "damaged" })]
    Blob {
        /// Which.
        digest: Digest,
        /// Not there at all.
        missing: bool,
    },
    /// A document in the store cannot be used.
    #[error("read the store's document {}", path.display())]
    Document {
        /// Where it lies.
        path: PathBuf,
        /// The cause.
        #[source]
        source: DocumentError,
    },
    /// An image's configuration cannot be used.
    #[error("read the configuration {digest}")]
    Config {
        /// Its digest.
        digest: Digest,
        /// The cause.
        #[source]
        source: ConfigError,
    },
    /// Manifest and configuration do not agree on the number of layers.
    #[error("the manifest {digest} names {manifest} layers, its configuration {config}")]
    LayerCount {
        /// Digest of the manifest.
        digest: Digest,
        /// Layers that the manifest names.
        manifest: usize,
        /// Layers that the configuration names.
        config: usize,
    },
    /// The image, or every image of the list, is for other machines.
    #[error("the image is for {found}, not for this machine ({here})")]
    Platform {
        /// What it is for.
        found: String,
        /// What this machine is.
        here: String,
    },
    /// The host refused.
    #[error(transparent)]
    Host(#[from] SysError),
    /// The work was interrupted within the program.
    #[error("the work on images ended before it was done")]
    Interrupted(#[source] tokio::task::JoinError),
}

impl ImageError {
    pub(super) fn io(operation: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let object = path.display().to_string();
        move |source| ImageError::Host(SysError::new(operation, object, source))
    }

    pub(super) fn import(archive: &std::path::Path) -> impl Fn(ImportError) -> Self {
        move |source| ImageError::Import {
            archive: archive.to_owned(),
            source: Box::new(source),
        }
    }

    /// Kubernetes' word for it.
    pub fn reason(&self) -> FailureReason {
        match self {
            ImageError::Reference { .. } => FailureReason::InvalidImageName,
            ImageError::Blob { .. }
            | ImageError::Document { .. }
            | ImageError::Config { .. }
            | ImageError::LayerCount { .. }
            | ImageError::Platform { .. } => FailureReason::ImageInspectError,
            _ => FailureReason::ErrImagePull,
        }
    }

    /// Whether the same call may go through later though nobody changed the image.
    pub fn retry(&self) -> Retry {
        let transient = match self {
            ImageError::Host(_) | ImageError::Interrupted(_) => true,
            ImageError::Layer { source, .. } => source.is_transient(),
            ImageError::Import { source, .. } => source.is_transient(),
            // An import by another process mends these.
            ImageError::NotFound { .. } | ImageError::Blob { .. } => true,
            _ => false,
        };
        if transient {
            Retry::Later
        } else {
            Retry::AfterChange
        }
    }
}

/// Result of an operation on the image store.
pub type ImageResult<T> = Result<T, ImageError>;
