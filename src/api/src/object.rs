//! One document's tree to the object that it is.

use crate::document::Object;
use crate::kinds::{self, Refusal, Treatment};
use crate::problem::Severity;
use crate::report::{Report, quote};
use crate::tree::{Node, Path, Value};
use crate::{canonical, convert, support, typed};

/// One object; `None` where it cannot be taken, for the reasons reported.
pub(crate) fn object(root: &Node, report: &mut Report<'_>) -> Option<Object> {
    let (kind, treatment) = header(root, report)?;
    let object = match treatment {
        Treatment::Pod => {
            let pod = typed::pod(root, report)?;
            support::check(kind, root, report);
            convert::pod(&pod, canonical::of_object(root.to_json()), report).map(Object::Pod)
        }
        Treatment::DaemonSet => {
            let set = typed::daemon_set(root, report)?;
            support::check(kind, root, report);
            let document = canonical::of_object(root.to_json());
            convert::daemon_set(&set, root, document, report).map(Object::DaemonSet)
        }
        Treatment::Service => {
            let service = typed::service(root, report)?;
            support::check(kind, root, report);
            let document = canonical::of_object(root.to_json());
            convert::service(&service, document, report).map(Object::Service)
        }
        Treatment::NetworkPolicy => {
            let policy = typed::network_policy(root, report)?;
            support::check(kind, root, report);
            let document = canonical::of_object(root.to_json());
            convert::network_policy(&policy, document, report).map(Object::NetworkPolicy)
        }
        Treatment::Namespace => {
            let namespace = typed::namespace(root, report)?;
            support::check(kind, root, report);
            let document = canonical::of_object(root.to_json());
            convert::namespace(&namespace, document, report).map(Object::Namespace)
        }
        Treatment::ConfigMap => {
            let json = typed::with_whole_data(root);
            let map = typed::config_map(&json, report)?;
            support::check(kind, root, report);
            convert::config_map(map, canonical::of_object(json), report).map(Object::ConfigMap)
        }
        Treatment::Secret => {
            report.hide_values();
            let json = typed::with_whole_data(root);
            let secret = typed::secret(&json, report)?;
            support::check(kind, root, report);
            convert::secret(secret, canonical::of_object(json), report).map(Object::Secret)
        }
        Treatment::PersistentVolumeClaim => {
            let claim = typed::claim(root, report)?;
            support::check(kind, root, report);
            let document = canonical::of_object(root.to_json());
            convert::claim(&claim, document, report).map(Object::PersistentVolumeClaim)
        }
        Treatment::StorageClass => {
            let class = typed::storage_class(root, report)?;
            support::check(kind, root, report);
            let document = canonical::of_object(root.to_json());
            convert::storage_class(&class, document, report).map(Object::StorageClass)
        }
        Treatment::PodTemplate => {
            let template = typed::pod_template(root, report)?;
            support::check(kind, root, report);
            convert::pod_template(&template, report);
            let why = "no controller here makes pods of it";
            noted(kind, why, root, report)
        }
        Treatment::Noted { why } => noted(kind, why, root, report),
        Treatment::List { .. } => {
            report.error(&Path::Root, "a list within a list is not supported");
            None
        }
    };
    object.filter(|_| !report.has_errors())
}

/// An object that has no effect.
fn noted(kind: &str, why: &str, root: &Node, report: &mut Report<'_>) -> Option<Object> {
    let key = convert::key_of(kind, root, report);
    let message = format!("{kind} has no effect here: {why}");
    report.add(Severity::Note, &Path::Root, message);
    key.map(Object::Noted)
}

/// The document's kind and what is done with it.
fn header<'n>(root: &'n Node, report: &mut Report<'_>) -> Option<(&'n str, Treatment)> {
    if !matches!(root.value, Value::Map(_)) {
        let kind = root.value.kind();
        report.error(
            &Path::Root,
            format!("document is not an object but of type {kind}"),
        );
        return None;
    }
    let text = |field: &str| {
        root.get(field)
            .and_then(Node::as_str)
            .filter(|text| !text.is_empty())
    };
    let (kind, version) = (text("kind"), text("apiVersion"));
    if let Some(kind) = kind {
        report.set_object(object_name(kind, root));
    }
    if kind.is_none() {
        report.error(&Path::Root.field("kind"), "Object 'Kind' is missing");
    }
    if version.is_none() {
        report.error(&Path::Root.field("apiVersion"), "Object 'apiVersion' is missing");
    }
    let (kind, version) = (kind?, version?);
    match kinds::treatment(kind, version) {
        Ok(treatment) => Some((kind, treatment)),
        Err(Refusal::NotYet) => {
            report.error(
                &Path::Root.field("kind"),
                format!("kind {} is not supported yet", plain(kind)),
            );
            None
        }
        Err(Refusal::Version(served)) => {
            let message = format!(
                "no matches for kind {} in version {}: use {served}",
                quote(kind),
                quote(version)
            );
            report.error(&Path::Root.field("apiVersion"), message);
            None
        }
    }
}

/// A kind as it is, where it is one.
fn plain(kind: &str) -> String {
    let is_plain = kind.len() <= 63 && kind.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_plain { kind.to_owned() } else { quote(kind) }
}

/// `Kind namespace/name`, as far as the document tells.
fn object_name(kind: &str, root: &Node) -> String {
    let metadata = root.get("metadata");
    let text = |field: &str| {
        metadata
            .and_then(|metadata| metadata.get(field))
            .and_then(Node::as_str)
    };
    let kind = plain(kind);
    let cut = |text: &str| text.chars().take(253).collect::<String>();
    match (text("namespace"), text("name")) {
        (namespace, Some(name)) => format!("{kind} {}/{}", cut(namespace.unwrap_or("default")), cut(name)),
        (_, None) => kind,
    }
}
