//! Objects and the documents that they were read from.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::canonical;
use crate::claim::{PersistentVolumeClaim, StorageClass};
use crate::config_map::ConfigMap;
use crate::daemonset::DaemonSet;
use crate::ident::{Namespace, ObjectName};
use crate::namespace::NamespaceObject;
use crate::network_policy::NetworkPolicy;
use crate::pod::Pod;
use crate::problem::Problem;
use crate::read::read_document;
use crate::secret::Secret;
use crate::service::Service;

const DIGEST_LENGTH: usize = 10;

/// Reads an object again from its recorded document; `file` names it in the problems.
pub fn from_document(document: &Document, file: &str) -> Result<Object, Vec<Problem>> {
    read_document(document, file)
}

/// An object's document as canonical JSON (sorted keys, no nulls, before defaulting).
///
/// Two documents with the same meaning have the same text, whatever their comments, order or quoting were.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Document(pub(crate) String);

impl Document {
    /// The canonical document of an object that a controller made.
    pub fn of_controller(object: &serde_json::Value) -> Self {
        canonical::of_object(object.clone())
    }

    /// The canonical JSON.
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// A short name for the document's meaning, such as a revision has: 10 characters of the alphabet that
    /// Kubernetes uses in names, out of the SHA-256 of the canonical JSON. Whether two documents are equal is
    /// to be asked of the documents.
    pub fn digest(&self) -> String {
        digest(&self.0)
    }
}

/// See [`Document::digest`].
pub(crate) fn digest(text: &str) -> String {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let hash = Sha256::digest(text.as_bytes());
    let mut number = hash
        .iter()
        .take(8)
        .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    let mut digest = String::with_capacity(DIGEST_LENGTH);
    for _ in 0..DIGEST_LENGTH {
        digest.push(char::from(ALPHABET[(number % 27) as usize]));
        number /= 27;
    }
    digest
}

/// What a document turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// A pod to be run as it is.
    Pod(Pod),
    /// A DaemonSet, of which the controller makes a pod.
    DaemonSet(DaemonSet),
    /// A Service, which this node's pods are behind.
    Service(Service),
    /// A NetworkPolicy, which this node's pods keep to.
    NetworkPolicy(NetworkPolicy),
    /// A Namespace: policies select by its labels.
    Namespace(NamespaceObject),
    /// A ConfigMap: pods take its texts as variables and files.
    ConfigMap(ConfigMap),
    /// A Secret: likewise, and nobody else may read it.
    Secret(Secret),
    /// A PersistentVolumeClaim: storage that outlasts a pod.
    PersistentVolumeClaim(PersistentVolumeClaim),
    /// A StorageClass: how claims are served.
    StorageClass(StorageClass),
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
    /// The document that it was read from; a kind without effect keeps none.
    pub fn document(&self) -> Option<&Document> {
        match self {
            Object::Pod(pod) => Some(&pod.document),
            Object::DaemonSet(set) => Some(&set.document),
            Object::Service(service) => Some(&service.document),
            Object::NetworkPolicy(policy) => Some(&policy.document),
            Object::Namespace(namespace) => Some(&namespace.document),
            Object::ConfigMap(map) => Some(&map.document),
            Object::Secret(secret) => Some(&secret.document),
            Object::PersistentVolumeClaim(claim) => Some(&claim.document),
            Object::StorageClass(class) => Some(&class.document),
            Object::Noted(_) => None,
        }
    }

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
            Object::Service(service) => of("Service", &service.meta),
            Object::NetworkPolicy(policy) => of("NetworkPolicy", &policy.meta),
            Object::Namespace(namespace) => of("Namespace", &namespace.meta),
            Object::ConfigMap(map) => of("ConfigMap", &map.meta),
            Object::Secret(secret) => of("Secret", &secret.meta),
            Object::PersistentVolumeClaim(claim) => of("PersistentVolumeClaim", &claim.meta),
            Object::StorageClass(class) => of("StorageClass", &class.meta),
            Object::Noted(key) => key.clone(),
        }
    }
}
