//! Where manifests come from.
//!
//! A source delivers complete lists, and only when it could read everything: a directory that vanishes or a
//! server that does not answer is a [`Delivery::Unavailable`], which removes nothing.

pub mod directory;
pub mod files;
pub mod url;

use std::sync::Arc;

use pinnace_api::read::Located;
use pinnace_api::{
    ConfigMap, DaemonSet, NamespaceObject, NetworkPolicy, Object, ObjectKey, PersistentVolumeClaim, Pod,
    Problem, Secret, Service, StorageClass,
};

/// Which source delivered; also `origin.source` in a pod's record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub &'static str);

/// An object, cheap to hand around.
#[derive(Debug, Clone)]
pub enum Item {
    /// A pod to be run as it is.
    Pod(Arc<Pod>),
    /// A DaemonSet.
    DaemonSet(Arc<DaemonSet>),
    /// A Service.
    Service(Arc<Service>),
    /// A NetworkPolicy.
    NetworkPolicy(Arc<NetworkPolicy>),
    /// A Namespace, for its labels.
    Namespace(Arc<NamespaceObject>),
    /// A ConfigMap.
    ConfigMap(Arc<ConfigMap>),
    /// A Secret.
    Secret(Arc<Secret>),
    /// A PersistentVolumeClaim.
    Claim(Arc<PersistentVolumeClaim>),
    /// A StorageClass.
    StorageClass(Arc<StorageClass>),
    /// A kind without effect here.
    Noted(ObjectKey),
}

impl From<Object> for Item {
    fn from(object: Object) -> Self {
        match object {
            Object::Pod(pod) => Item::Pod(Arc::new(pod)),
            Object::DaemonSet(set) => Item::DaemonSet(Arc::new(set)),
            Object::Service(service) => Item::Service(Arc::new(service)),
            Object::NetworkPolicy(policy) => Item::NetworkPolicy(Arc::new(policy)),
            Object::Namespace(namespace) => Item::Namespace(Arc::new(namespace)),
            Object::ConfigMap(map) => Item::ConfigMap(Arc::new(map)),
            Object::Secret(secret) => Item::Secret(Arc::new(secret)),
            Object::PersistentVolumeClaim(claim) => Item::Claim(Arc::new(claim)),
            Object::StorageClass(class) => Item::StorageClass(Arc::new(class)),
            Object::Noted(key) => Item::Noted(key),
        }
    }
}

/// An object and where it stands.
#[derive(Debug, Clone)]
pub struct Placed {
    /// The object's identity.
    pub key: ObjectKey,
    /// The object.
    pub item: Item,
    /// File or URL.
    pub file: String,
    /// Line of the document in it.
    pub line: u32,
}

impl Placed {
    /// An object that was read from `file`.
    pub fn of(located: Located, file: &str) -> Self {
        let Located { object, line } = located;
        Self {
            key: object.key(),
            item: object.into(),
            file: file.to_owned(),
            line,
        }
    }
}

/// All that a source holds now.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Good objects, in the order of files and lines.
    pub objects: Vec<Placed>,
    /// What is wrong with the rest.
    pub problems: Vec<Problem>,
}

/// What a source says.
#[derive(Debug)]
pub enum Delivery {
    /// One complete list.
    Listed(SourceId, Listing),
    /// The source cannot be read now; what it delivered before stands.
    Unavailable(SourceId, String),
}
