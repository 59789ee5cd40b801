//! A Secret. Nothing said here shows what it holds.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1;

use super::config_map::{MOST_BYTES, bytes};
use super::{filled, meta, sound};
use crate::document::Document;
use crate::names;
use crate::report::Report;
use crate::secret::Secret;
use crate::tree::Path;

/// What stands for a value in a finding.
const REDACTED: &str = "<secret contents redacted>";

const ACCOUNT_NAME: &str = "kubernetes.io/service-account.name";

/// A Secret of a manifest: its texts take the place of bytes of the same keys.
pub(crate) fn secret(given: v1::Secret, document: Document, report: &mut Report<'_>) -> Option<Secret> {
    let meta_path = Path::Root.field("metadata");
    let meta = meta::metadata(&given.metadata, &meta_path, report);
    let mut data = bytes(given.data);
    let texts = given.string_data.unwrap_or_default();
    data.extend(texts.into_iter().map(|(key, text)| (key, text.into_bytes())));
    let data_path = Path::Root.field("data");
    for key in data.keys() {
        sound(
            key,
            &names::config_key(key),
            &place(key, &data_path, report),
            report,
        );
    }
    if data.values().map(Vec::len).sum::<usize>() > MOST_BYTES {
        report.too_long(&data_path, MOST_BYTES);
    }
    let kind = filled(&given.type_).unwrap_or("Opaque").to_owned();
    if kind == "kubernetes.io/service-account-token" {
        let annotations = given.metadata.annotations.as_ref();
        if annotations
            .and_then(|all| all.get(ACCOUNT_NAME))
            .is_none_or(String::is_empty)
        {
            report.required(&meta_path.field("annotations").key(ACCOUNT_NAME), "");
        }
    }
    check_required(&kind, &data, &data_path, report);
    Some(Secret {
        meta: meta?,
        kind,
        data,
        immutable: given.immutable.unwrap_or(false),
        document,
    })
}

const STRING_DATA: Path<'static> = Path::Field(&Path::Root, "stringData");

/// Where the key is written.
fn place<'p>(key: &'p str, data: &'p Path<'p>, report: &Report<'_>) -> Path<'p> {
    let text = STRING_DATA.key(key);
    if report.has_field(&text) {
        text
    } else {
        data.key(key)
    }
}

/// The keys that Secrets of a type must have.
fn check_required(kind: &str, data: &BTreeMap<String, Vec<u8>>, path: &Path<'_>, report: &mut Report<'_>) {
    let mut require = |key: &str, is_there: bool| {
        if !is_there {
            report.required(&path.key(key), "");
        }
    };
    let has = |key: &str| data.contains_key(key);
    match kind {
        "kubernetes.io/dockercfg" => check_json(".dockercfg", data, path, report),
        "kubernetes.io/dockerconfigjson" => check_json(".dockerconfigjson", data, path, report),
        "kubernetes.io/basic-auth" => {
            let has_one = has("username") || has("password");
            require("username", has_one);
            require("password", has_one);
        }
        "kubernetes.io/ssh-auth" => {
            let key = data.get("ssh-privatekey");
            require("ssh-privatekey", key.is_some_and(|key| !key.is_empty()));
        }
        "kubernetes.io/tls" => {
            require("tls.crt", has("tls.crt"));
            require("tls.key", has("tls.key"));
        }
        _ => {}
    }
}

/// The key holds a JSON object; what is wrong with it is not told, as that would show a part of it.
fn check_json(key: &str, data: &BTreeMap<String, Vec<u8>>, path: &Path<'_>, report: &mut Report<'_>) {
    let Some(bytes) = data.get(key) else {
        report.required(&path.key(key), "");
        return;
    };
    let parsed = serde_json::from_slice::<serde_json::Value>(bytes);
    if !parsed.is_ok_and(|value| value.is_object()) {
        report.invalid(&place(key, path, report), REDACTED, "must be a JSON object");
    }
}
