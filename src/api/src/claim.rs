//! PersistentVolumeClaims and StorageClasses: storage that outlasts a pod.

use crate::document::Document;
use crate::meta::Metadata;
use crate::pod::ClaimSpec;

/// A PersistentVolumeClaim of core/v1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersistentVolumeClaim {
    /// Name, namespace, labels, annotations.
    pub meta: Metadata,
    /// What it asks for.
    pub spec: ClaimSpec,
    /// The text it was read from, before defaulting.
    pub document: Document,
}

/// A StorageClass of storage.k8s.io/v1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageClass {
    /// Its name, labels and annotations; it is in no namespace.
    pub meta: Metadata,
    /// Who makes its volumes: this node only those of its own.
    pub provisioner: String,
    /// What becomes of a volume whose claim is removed; `Delete` by default.
    pub reclaim_policy: ReclaimPolicy,
    /// The text it was read from, before defaulting.
    pub document: Document,
}

/// What becomes of a volume whose claim is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum ReclaimPolicy {
    /// It stays, with all that it holds.
    Retain,
    /// It goes, with all that it holds.
    Delete,
}
