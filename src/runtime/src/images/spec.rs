//! The JSON documents of OCI image layouts and Docker archives.
//!
//! Fields that others wrote and we do not know are kept where a document is written back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::config::{MAX_CONFIG_BYTES, MAX_LAYERS};
use super::digest::Digest;

/// The reference, where skopeo and its like look for it.
pub(super) const ANNOTATION_REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The full reference, where containerd looks for it.
pub(super) const ANNOTATION_IMAGE_NAME: &str = "io.containerd.image.name";
/// Digest of the list of platforms from which an image was taken: a registry's digest of the image.
pub(super) const ANNOTATION_LIST_DIGEST: &str = "io.pinnace.image.list-digest";

pub(super) const MEDIA_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(super) const MEDIA_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const MEDIA_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(super) const MEDIA_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const MEDIA_DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const MEDIA_DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const MEDIA_DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// Largest index, manifest or list.
pub(super) const MAX_MANIFEST_BYTES: u64 = 4 << 20;
/// Entries of an index or list.
pub(super) const MAX_MANIFESTS: usize = 10_000;

/// A reference to a blob.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    #[serde(default)]
    pub media_type: String,
    pub digest: String,
    #[serde(default)]
    pub size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// What a manifest of a list is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub(super) struct Platform {
    #[serde(default)]
    pub architecture: String,
    #[serde(default)]
    pub os: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// `index.json`, or a list of manifests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Index {
    pub schema_version: u32,
    #[serde(default)]
    pub manifests: Vec<Descriptor>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// An image's manifest.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    pub schema_version: u32,
    #[serde(default)]
    pub media_type: String,
    pub config: Descriptor,
    #[serde(default)]
    pub layers: Vec<Descriptor>,
}

/// One image of a Docker archive's `manifest.json`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DockerImage {
    pub config: String,
    #[serde(default)]
    pub repo_tags: Option<Vec<String>>,
    #[serde(default)]
    pub layers: Option<Vec<String>>,
}

impl Descriptor {
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(String::as_str)
    }

    pub fn is_index(&self) -> bool {
        matches!(self.media_type.as_str(), MEDIA_INDEX | MEDIA_DOCKER_LIST)
    }

    /// A manifest of another kind (a signature, an attestation's subject) is no image.
    pub fn is_manifest(&self) -> bool {
        matches!(
            self.media_type.as_str(),
            MEDIA_MANIFEST | MEDIA_DOCKER_MANIFEST | ""
        )
    }

    /// Attestations lie in lists under a platform that no host has.
    pub fn is_attestation(&self) -> bool {
        self.annotation("vnd.docker.reference.type") == Some("attestation-manifest")
    }
}

impl Default for Index {
    fn default() -> Self {
        Self {
            schema_version: 2,
            manifests: Vec::new(),
            rest: Map::from_iter([("mediaType".to_owned(), MEDIA_INDEX.into())]),
        }
    }
}

/// A document that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Not JSON, or not of this form.
    #[error("malformed document")]
    Json(#[from] serde_json::Error),
    /// A digest of another kind or form.
    #[error("bad digest in document")]
    Digest(#[from] super::digest::DigestError),
    /// Not an image.
    #[error("the manifest is of type {0:?}, which is no container image")]
    NotAnImage(String),
    /// Too many of something.
    #[error("the document names {count} {what}, more than {max}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many may be.
        max: usize,
    },
    /// A configuration that is larger than allowed.
    #[error("the image configuration has {0} bytes, more than {MAX_CONFIG_BYTES}")]
    ConfigTooLarge(u64),
}

/// A manifest, checked: digests parsed, counts and sizes within bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ImageManifest {
    pub config: BlobRef,
    pub layers: Vec<BlobRef>,
}

/// A blob by digest and length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlobRef {
    pub digest: Digest,
    pub size: u64,
}

impl BlobRef {
    pub fn of(descriptor: &Descriptor) -> Result<Self, DocumentError> {
        Ok(Self {
            digest: Digest::parse(&descriptor.digest)?,
            size: descriptor.size,
        })
    }
}

pub(super) fn parse_index(json: &[u8]) -> Result<Index, DocumentError> {
    let index: Index = serde_json::from_slice(json)?;
    if index.manifests.len() > MAX_MANIFESTS {
        return Err(DocumentError::TooMany {
            what: "manifests",
            count: index.manifests.len(),
            max: MAX_MANIFESTS,
        });
    }
    Ok(index)
}

pub(super) fn parse_manifest(json: &[u8]) -> Result<ImageManifest, DocumentError> {
    let manifest: Manifest = serde_json::from_slice(json)?;
    let kind = manifest.config.media_type.as_str();
    // Artifacts (charts, signatures) are manifests too, told by the type of their configuration.
    if !matches!(kind, MEDIA_CONFIG | MEDIA_DOCKER_CONFIG | "") {
        return Err(DocumentError::NotAnImage(kind.chars().take(100).collect()));
    }
    if manifest.layers.len() > MAX_LAYERS {
        return Err(DocumentError::TooMany {
            what: "layers",
            count: manifest.layers.len(),
            max: MAX_LAYERS,
        });
    }
    if manifest.config.size > MAX_CONFIG_BYTES {
        return Err(DocumentError::ConfigTooLarge(manifest.config.size));
    }
    Ok(ImageManifest {
        config: BlobRef::of(&manifest.config)?,
        layers: manifest
            .layers
            .iter()
            .map(BlobRef::of)
            .collect::<Result<_, _>>()?,
    })
}
