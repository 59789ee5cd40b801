//! A DaemonSet: one pod on each node that its template allows.

use std::collections::BTreeMap;

use crate::document::Document;
use crate::ident::LabelName;
use crate::meta::Metadata;
use crate::pod::PodSpec;

/// `DaemonSet` of apps/v1 as this node understands it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonSet {
    /// Name, namespace, labels, annotations.
    pub meta: Metadata,
    /// Labels of the template; the selector was found to match them when the document was read.
    pub template_labels: BTreeMap<LabelName, String>,
    /// Annotations of the template.
    pub template_annotations: BTreeMap<LabelName, String>,
    /// The template's pod.
    pub template_spec: PodSpec,
    /// The template alone, before defaulting: its digest is the revision.
    pub template_document: Document,
    /// When pods of an older template are replaced.
    pub update_strategy: UpdateStrategy,
    /// The whole object, before defaulting.
    pub document: Document,
}

/// `updateStrategy.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UpdateStrategy {
    /// The old pod goes first, then the new one starts.
    #[default]
    RollingUpdate,
    /// A pod changes only when someone deletes it.
    OnDelete,
}
