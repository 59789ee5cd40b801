//! Secrets: what pods take as variables and files, and nobody else may read.
//!
//! What a Secret holds is in no log, event, error or status: neither type here prints it, and problems of a
//! Secret's document name keys only.

use std::collections::BTreeMap;
use std::fmt;

use crate::document::Document;
use crate::meta::Metadata;

/// A Secret of core/v1.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// Name, namespace, labels, annotations.
    pub meta: Metadata,
    /// `type`, `Opaque` by default.
    pub kind: String,
    /// Bytes by their keys; of `stringData` too, which wins.
    pub data: BTreeMap<String, Vec<u8>>,
    /// Its data may not change: pods that use it do not look at it again.
    pub immutable: bool,
    /// The text it was read from, before defaulting.
    pub document: Document,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret")
            .field("namespace", &self.meta.namespace)
            .field("name", &self.meta.name)
            .field("kind", &self.kind)
            .field("immutable", &self.immutable)
            .finish_non_exhaustive()
    }
}
