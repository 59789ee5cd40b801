//! `metadata`: names, labels, annotations.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{filled, required, sound};
use crate::document::{ObjectKey, digest};
use crate::ident::{LabelName, Namespace, ObjectName};
use crate::meta::Metadata;
use crate::names;
use crate::report::Report;
use crate::tree::{Node, Path};

/// Bytes that an object's annotations may have together.
const MOST_ANNOTATION_BYTES: usize = 256 * 1024;

const NAMELESS: &str = "name or generateName is required";

/// An object's metadata.
pub(super) fn metadata(meta: &ObjectMeta, path: &Path<'_>, report: &mut Report<'_>) -> Option<Metadata> {
    metadata_named(meta, names::dns_subdomain, path, report)
}

/// The metadata of an object whose name keeps a narrower rule than other objects'.
pub(super) fn metadata_named(
    meta: &ObjectMeta,
    rule: fn(&str) -> Vec<String>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<Metadata> {
    let given = meta.name.as_deref().unwrap_or_default();
    let name = name(given, rule, &path.field("name"), report);
    let namespace = namespace(filled(&meta.namespace), &path.field("namespace"), report);
    let labels = labels(meta.labels.as_ref(), &path.field("labels"), report);
    let annotations = annotations(meta.annotations.as_ref(), &path.field("annotations"), report);
    Some(Metadata {
        name: name?,
        namespace: namespace?,
        labels,
        annotations,
    })
}

/// The identity of an object of which nothing else is read.
pub(crate) fn key_of(kind: &str, root: &Node, report: &mut Report<'_>) -> Option<ObjectKey> {
    let metadata = root.get("metadata");
    let path = Path::Root.field("metadata");
    let text = |field: &str| {
        metadata
            .and_then(|metadata| metadata.get(field))
            .and_then(Node::as_str)
    };
    let given = text("name").unwrap_or_default();
    let free = Some(given).filter(|name| has_free_name(kind) && is_path_segment(name));
    let name = match free.and_then(|name| ObjectName::new(name).ok().or_else(|| stand_in(name))) {
        Some(name) => name,
        None => self::name(given, names::dns_subdomain, &path.field("name"), report)?,
    };
    let filled = text("namespace").filter(|namespace| !namespace.is_empty());
    let namespace = namespace(filled, &path.field("namespace"), report)?;
    Some(ObjectKey {
        kind: kind.to_owned(),
        namespace,
        name,
    })
}

/// Whether objects of the kind are named by any text that can be a segment of a path, as `system:node` is.
fn has_free_name(kind: &str) -> bool {
    matches!(
        kind,
        "Role" | "ClusterRole" | "RoleBinding" | "ClusterRoleBinding"
    )
}

fn is_path_segment(text: &str) -> bool {
    !matches!(text, "" | "." | "..") && !text.contains(['/', '%'])
}

/// A name of our own for an object whose name is no RFC 1123 subdomain; different for different names.
fn stand_in(name: &str) -> Option<ObjectName> {
    let letter = |letter: char| match letter.to_ascii_lowercase() {
        lower if lower.is_ascii_lowercase() || lower.is_ascii_digit() => lower,
        _ => '-',
    };
    let similar: String = name.chars().take(200).map(letter).collect();
    ObjectName::new(format!("{}-{}", similar.trim_matches('-'), digest(name)).trim_matches('-')).ok()
}

fn name(
    text: &str,
    rule: fn(&str) -> Vec<String>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<ObjectName> {
    if text.is_empty() {
        report.required(path, NAMELESS);
        return None;
    }
    required(text, rule, path, report).and_then(|name| ObjectName::new(name).ok())
}

fn namespace(text: Option<&str>, path: &Path<'_>, report: &mut Report<'_>) -> Option<Namespace> {
    match text {
        None => Some(Namespace::default()),
        Some(text) => {
            required(text, names::dns_label, path, report).and_then(|name| Namespace::new(name).ok())
        }
    }
}

/// Labels, or a selector made of them.
pub(super) fn labels(
    labels: Option<&BTreeMap<String, String>>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> BTreeMap<LabelName, String> {
    let labels = labels.cloned().unwrap_or_default();
    for (key, value) in &labels {
        sound(key, &names::qualified_name(key), &path.key(key), report);
        sound(value, &names::label_value(value), &path.key(key), report);
    }
    labels
}

/// Annotations: any text under a label's key, bounded together.
pub(super) fn annotations(
    annotations: Option<&BTreeMap<String, String>>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> BTreeMap<LabelName, String> {
    let annotations = annotations.cloned().unwrap_or_default();
    for key in annotations.keys() {
        sound(
            key,
            &names::qualified_name(&key.to_lowercase()),
            &path.key(key),
            report,
        );
    }
    let bytes: usize = annotations
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    if bytes > MOST_ANNOTATION_BYTES {
        report.error(
            path,
            format!("Too long: must have at most {MOST_ANNOTATION_BYTES} bytes"),
        );
    }
    annotations
}
