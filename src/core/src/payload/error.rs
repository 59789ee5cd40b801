//! Why a volume cannot be written, in the kubelet's words.

use pinnace_api::ContainerName;

use super::MAX_BYTES;
use crate::objects::MissingObject;

/// Why a pod's volume cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("MountVolume.SetUp failed for volume \"{volume}\" ")]
pub struct PayloadError {
    /// The volume.
    pub volume: ContainerName,
    /// Why.
    #[source]
    pub source: FileError,
}

/// What is wrong with a volume's files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// An object is not there (yet).
    #[error(transparent)]
    Missing(#[from] MissingObject),
    /// The ConfigMap has not the key.
    #[error("configmap references non-existent config key: {0}")]
    ConfigMapKey(String),
    /// The Secret has not the key.
    #[error("references non-existent secret key: {0}")]
    SecretKey(String),
    /// A path that leads elsewhere, or cannot be.
    #[error("invalid path: {0}")]
    Path(String),
    /// One file's path goes through another file.
    #[error("the path {beneath} goes through the file {file}")]
    Through {
        /// The longer path.
        beneath: String,
        /// The file on its way.
        file: String,
    },
    /// More than a volume may hold.
    #[error("its files hold more than {} MiB together", MAX_BYTES >> 20)]
    TooLarge,
    /// Several sources of a projected volume failed.
    #[error("[{}]", list(.0))]
    Several(Vec<FileError>),
}

impl FileError {
    /// Whether another object, or one that changed, may mend it.
    pub fn is_about_objects(&self) -> bool {
        match self {
            Self::Missing(_) | Self::ConfigMapKey(_) | Self::SecretKey(_) | Self::TooLarge => true,
            Self::Path(_) | Self::Through { .. } => false,
            Self::Several(all) => all.iter().any(Self::is_about_objects),
        }
    }

    /// Whether an object is missed, which may only not have been read yet.
    pub fn is_missing(&self) -> bool {
        match self {
            Self::Missing(_) => true,
            Self::Several(all) => all.iter().any(Self::is_missing),
            _ => false,
        }
    }
}

fn list(all: &[FileError]) -> String {
    let texts: Vec<String> = all.iter().map(FileError::to_string).collect();
    texts.join(", ")
}
