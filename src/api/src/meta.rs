//! What every object carries: name, namespace, labels, annotations.

use std::collections::BTreeMap;

use crate::ident::{LabelName, Namespace, ObjectName};

/// The part of `metadata` that a manifest may set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The object's name, unique in its namespace and kind.
    pub name: ObjectName,
    /// The namespace; `default` where the manifest gives none.
    pub namespace: Namespace,
    /// Labels, keys and values checked.
    pub labels: BTreeMap<LabelName, String>,
    /// Annotations, keys checked; data only.
    pub annotations: BTreeMap<LabelName, String>,
}
