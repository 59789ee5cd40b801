//! The ConfigMaps and Secrets that pods may take from.

use std::collections::BTreeMap;
use std::sync::Arc;

use pinnace_api::{ConfigMap, Namespace, ObjectName, Secret};

/// Namespace and name.
pub type Name = (Namespace, ObjectName);

/// All ConfigMaps and Secrets of the node's sources at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectTable {
    /// ConfigMaps.
    pub config_maps: BTreeMap<Name, Arc<ConfigMap>>,
    /// Secrets.
    pub secrets: BTreeMap<Name, Arc<Secret>>,
    /// Every source has listed: what is not here is nowhere.
    pub complete: bool,
}

impl ObjectTable {
    /// A ConfigMap of a namespace.
    pub fn config_map(
        &self,
        namespace: &Namespace,
        name: &ObjectName,
    ) -> Result<&Arc<ConfigMap>, MissingObject> {
        let found = self.config_maps.get(&(namespace.clone(), name.clone()));
        found.ok_or_else(|| MissingObject::ConfigMap(name.clone()))
    }

    /// A Secret of a namespace.
    pub fn secret(&self, namespace: &Namespace, name: &ObjectName) -> Result<&Arc<Secret>, MissingObject> {
        let found = self.secrets.get(&(namespace.clone(), name.clone()));
        found.ok_or_else(|| MissingObject::Secret(name.clone()))
    }
}

/// An object that a pod waits for, or a key of it; in the words of the API server and the kubelet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MissingObject {
    /// No ConfigMap of the name.
    #[error("configmap \"{0}\" not found")]
    ConfigMap(ObjectName),
    /// No Secret of the name.
    #[error("secret \"{0}\" not found")]
    Secret(ObjectName),
    /// The ConfigMap has not the key.
    #[error("couldn't find key {key} in ConfigMap {namespace}/{name}")]
    ConfigMapKey {
        /// The key.
        key: String,
        /// The ConfigMap's namespace.
        namespace: Namespace,
        /// Its name.
        name: ObjectName,
    },
    /// The Secret has not the key.
    #[error("couldn't find key {key} in Secret {namespace}/{name}")]
    SecretKey {
        /// The key.
        key: String,
        /// The Secret's namespace.
        namespace: Namespace,
        /// Its name.
        name: ObjectName,
    },
}

impl MissingObject {
    /// The object is there, and lacks the key.
    pub fn is_key(&self) -> bool {
        matches!(self, Self::ConfigMapKey { .. } | Self::SecretKey { .. })
    }
}
