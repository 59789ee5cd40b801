//! A Namespace.

use k8s_openapi::api::core::v1;

use super::meta;
use crate::document::Document;
use crate::ident::Namespace;
use crate::names;
use crate::namespace::NamespaceObject;
use crate::report::Report;
use crate::tree::Path;

/// A Namespace of a manifest.
pub(crate) fn namespace(
    given: &v1::Namespace,
    document: Document,
    report: &mut Report<'_>,
) -> Option<NamespaceObject> {
    let path = Path::Root.field("metadata");
    let mut meta = meta::metadata_named(&given.metadata, names::dns_label, &path, report)?;
    // A namespace is in none; as an API server does, what is said of it is passed over.
    meta.namespace = Namespace::default();
    let name = Namespace::new(meta.name.as_str()).ok()?;
    Some(NamespaceObject { name, meta, document })
}
