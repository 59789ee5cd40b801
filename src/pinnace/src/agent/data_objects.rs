//! ConfigMaps and Secrets as JSON, as an API server shows them.

use pinnace_api::{ConfigMap, Metadata, Secret};
use serde_json::{Map, Value, json};

/// A ConfigMap.
pub fn config_map(map: &ConfigMap) -> Value {
    let mut object = Map::new();
    object.insert("apiVersion".to_owned(), json!("v1"));
    object.insert("kind".to_owned(), json!("ConfigMap"));
    object.insert("metadata".to_owned(), metadata(&map.meta));
    if !map.data.is_empty() {
        object.insert("data".to_owned(), json!(map.data));
    }
    if !map.binary_data.is_empty() {
        object.insert("binaryData".to_owned(), encoded(map.binary_data.iter()));
    }
    if map.immutable {
        object.insert("immutable".to_owned(), json!(true));
    }
    Value::Object(object)
}

/// A Secret; what was written as `stringData` is in its `data`.
pub fn secret(secret: &Secret) -> Value {
    let mut object = Map::new();
    object.insert("apiVersion".to_owned(), json!("v1"));
    object.insert("kind".to_owned(), json!("Secret"));
    object.insert("metadata".to_owned(), metadata(&secret.meta));
    if !secret.data.is_empty() {
        object.insert("data".to_owned(), encoded(secret.data.iter()));
    }
    object.insert("type".to_owned(), json!(secret.kind));
    if secret.immutable {
        object.insert("immutable".to_owned(), json!(true));
    }
    Value::Object(object)
}

fn metadata(meta: &Metadata) -> Value {
    let mut object = json!({"name": meta.name.as_str(), "namespace": meta.namespace.as_str()});
    if !meta.labels.is_empty() {
        object["labels"] = json!(meta.labels);
    }
    if !meta.annotations.is_empty() {
        object["annotations"] = json!(meta.annotations);
    }
    object
}

fn encoded<'d>(entries: impl Iterator<Item = (&'d String, &'d Vec<u8>)>) -> Value {
    entries
        .map(|(key, bytes)| (key.clone(), json!(base64(bytes))))
        .collect::<Map<String, Value>>()
        .into()
}

/// The standard alphabet with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let at = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for index in 0..4 {
            if index <= group.len() {
                let letter = (bits >> (18 - 6 * index)) & 63;
                text.push(char::from(ALPHABET[letter as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_encoded_as_the_standard_has_it() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff]), "+/8=");
    }
}
