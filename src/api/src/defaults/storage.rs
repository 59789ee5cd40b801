//! Defaults of Secrets, PersistentVolumeClaims and StorageClasses.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use serde_json::{Value, json};

use super::{Object, set, set_text, within};

/// As an API server shows it, texts are bytes like others.
pub(super) fn secret(secret: &mut Object) {
    set_text(secret, "type", "Opaque");
    let Some(Value::Object(texts)) = secret.remove("stringData") else {
        return;
    };
    let encoded = texts.into_iter().filter_map(|(key, text)| {
        let bytes = ByteString(text.as_str()?.as_bytes().to_vec());
        Some((key, serde_json::to_value(bytes).ok()?))
    });
    let encoded: BTreeMap<String, Value> = encoded.collect();
    within(secret, "data", |data| data.extend(encoded));
}

pub(super) fn claim_spec(spec: &mut Object) {
    set_text(spec, "volumeMode", "Filesystem");
}

pub(super) fn storage_class(class: &mut Object) {
    set_text(class, "reclaimPolicy", "Delete");
    set(class, "volumeBindingMode", json!("Immediate"));
}
