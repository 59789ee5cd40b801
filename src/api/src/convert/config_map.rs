//! A ConfigMap.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1;

use super::{meta, sound};
use crate::config_map::ConfigMap;
use crate::document::Document;
use crate::names;
use crate::report::Report;
use crate::tree::Path;

/// Bytes that the values of a ConfigMap or Secret may have together.
pub(super) const MOST_BYTES: usize = 1024 * 1024;

/// A ConfigMap of a manifest.
pub(crate) fn config_map(
    given: v1::ConfigMap,
    document: Document,
    report: &mut Report<'_>,
) -> Option<ConfigMap> {
    let meta = meta::metadata(&given.metadata, &Path::Root.field("metadata"), report);
    let data = given.data.unwrap_or_default();
    let binary_data = bytes(given.binary_data);
    check_keys(&data, &binary_data, "data", "binaryData", report);
    check_keys(&binary_data, &data, "binaryData", "data", report);
    let of_texts: usize = data.values().map(String::len).sum();
    let of_bytes: usize = binary_data.values().map(Vec::len).sum();
    if of_texts + of_bytes > MOST_BYTES {
        report.too_long(&Path::Root, MOST_BYTES);
    }
    Some(ConfigMap {
        meta: meta?,
        data,
        binary_data,
        immutable: given.immutable.unwrap_or(false),
        document,
    })
}

fn check_keys<V, W>(
    values: &BTreeMap<String, V>,
    others: &BTreeMap<String, W>,
    field: &str,
    other: &str,
    report: &mut Report<'_>,
) {
    let path = Path::Root.field(field);
    for key in values.keys() {
        let path = path.key(key);
        sound(key, &names::config_key(key), &path, report);
        if others.contains_key(key) {
            report.invalid(&path, key, format!("duplicate of key present in {other}"));
        }
    }
}

/// Bytes by their keys.
pub(super) fn bytes(given: Option<BTreeMap<String, ByteString>>) -> BTreeMap<String, Vec<u8>> {
    let given = given.unwrap_or_default().into_iter();
    given.map(|(key, ByteString(bytes))| (key, bytes)).collect()
}
