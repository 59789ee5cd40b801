//! A Namespace: nothing needs to be made for it here, but policies select by its labels.

use std::collections::BTreeMap;

use crate::document::Document;
use crate::ident::{LabelName, Namespace};
use crate::meta::Metadata;

/// The label that every namespace has of its own accord: its name.
pub const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// `Namespace` of core/v1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceObject {
    /// The namespace that it is.
    pub name: Namespace,
    /// Its labels and annotations; `meta.namespace` is `default`, as of every cluster-wide kind.
    pub meta: Metadata,
    /// The whole object, before defaulting.
    pub document: Document,
}

impl NamespaceObject {
    /// Its labels, [`NAME_LABEL`] among them.
    pub fn labels(&self) -> BTreeMap<LabelName, String> {
        let mut labels = self.meta.labels.clone();
        labels.extend(labels_of_unmade(&self.name));
        labels
    }
}

/// The labels of a namespace that has no object.
pub fn labels_of_unmade(name: &Namespace) -> BTreeMap<LabelName, String> {
    BTreeMap::from([(NAME_LABEL.to_owned(), name.as_str().to_owned())])
}
