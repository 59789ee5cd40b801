//! Objects and the documents that they were read from.

use std::fmt;

use crate::daemonset::DaemonSet;
use crate::ident::{Namespace, ObjectName};
use crate::pod::Pod;

/// An object's document as canonical JSON (sorted keys, no nulls, before defaulting).
///
/// Two documents with the same meaning have the same text, whatever their comments, order or quoting were.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Document(pub(crate) String);

impl Document {
    /// The document of an object that a controller made out of canonical parts.
    pub fn of_controller(object: &serde_json::Value) -> Self {
        Self(object.to_string())
    }
    /// The canonical JSON.
    pub fn as_json(&self) -> &str {
        &self.0
    }
}

/// What a document turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// A pod to be run as it is.
    Pod(Pod),
    /// A DaemonSet, of which the controller makes a pod.
    DaemonSet(DaemonSet),
    /// A kind that only accompanies others and is without effect here.
    Noted(ObjectKey),
}

/// Identity of an object on this node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct ObjectKey {
    /// `Pod`, `DaemonSet`, ….
    pub kind: String,
    /// Empty name spaces do not occur: cluster-wide kinds carry `default`.
    pub namespace: Namespace,
    /// The object's name.
    pub name: ObjectName,
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

impl Object {
    /// The object's identity.
    pub fn key(&self) -> ObjectKey {
        let of = |kind: &str, meta: &crate::Metadata| ObjectKey {
            kind: kind.to_owned(),
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
        };
        match self {
            Object::Pod(pod) => of("Pod", &pod.meta),
            Object::DaemonSet(set) => of("DaemonSet", &set.meta),
            Object::Noted(key) => key.clone(),
        }
    }
}
