//! ConfigMaps: texts that pods take as variables and files.

use std::collections::BTreeMap;

use crate::document::Document;
use crate::meta::Metadata;

/// A ConfigMap of core/v1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigMap {
    /// Name, namespace, labels, annotations.
    pub meta: Metadata,
    /// Texts by their keys.
    pub data: BTreeMap<String, String>,
    /// Bytes by their keys, none of which `data` has; never variables.
    pub binary_data: BTreeMap<String, Vec<u8>>,
    /// Its data may not change: pods that use it do not look at it again.
    pub immutable: bool,
    /// The text it was read from, before defaulting.
    pub document: Document,
}

impl ConfigMap {
    /// What a key holds.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        let text = self.data.get(key).map(String::as_bytes);
        text.or_else(|| self.binary_data.get(key).map(Vec::as_slice))
    }

    /// All keys with what they hold, in order.
    pub fn entries(&self) -> BTreeMap<&str, &[u8]> {
        let texts = self
            .data
            .iter()
            .map(|(key, text)| (key.as_str(), text.as_bytes()));
        let bytes = self
            .binary_data
            .iter()
            .map(|(key, bytes)| (key.as_str(), bytes.as_slice()));
        texts.chain(bytes).collect()
    }
}
