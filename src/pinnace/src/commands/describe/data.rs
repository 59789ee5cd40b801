//! ConfigMaps and Secrets as `kubectl describe` shows them: of a Secret only how much each key holds.

use serde_json::Value;

use super::super::row::text;
use super::super::tabs::Tabs;
use super::fields::pairs;

/// All of a ConfigMap but its events.
pub fn config_map(map: &Value, tabs: &mut Tabs) {
    head(map, tabs);
    section("Data", tabs);
    for (key, value) in entries(map, "data") {
        tabs.line(0, [format!("{key}:").as_str()]);
        tabs.line(0, ["----"]);
        for line in value.as_str().unwrap_or_default().split('\n') {
            tabs.line(0, [line]);
        }
        tabs.line(0, [""]);
    }
    section("BinaryData", tabs);
    sizes(map, "binaryData", tabs);
    tabs.line(0, [""]);
}

/// All of a Secret.
pub fn secret(secret: &Value, tabs: &mut Tabs) {
    head(secret, tabs);
    tabs.line(0, [""]);
    tabs.field(0, "Type", &text(secret, "/type"));
    section("Data", tabs);
    sizes(secret, "data", tabs);
}

fn head(object: &Value, tabs: &mut Tabs) {
    tabs.field(0, "Name", &text(object, "/metadata/name"));
    tabs.field(0, "Namespace", &text(object, "/metadata/namespace"));
    tabs.field(0, "Labels", &pairs(object.pointer("/metadata/labels"), "="));
    let annotations = pairs(object.pointer("/metadata/annotations"), ": ");
    tabs.field(0, "Annotations", &annotations);
}

fn section(title: &str, tabs: &mut Tabs) {
    tabs.line(0, [""]);
    tabs.line(0, [title]);
    tabs.line(0, ["===="]);
}

fn entries<'v>(object: &'v Value, field: &str) -> impl Iterator<Item = (&'v String, &'v Value)> + use<'v> {
    object.get(field).and_then(Value::as_object).into_iter().flatten()
}

fn sizes(object: &Value, field: &str, tabs: &mut Tabs) {
    for (key, value) in entries(object, field) {
        let bytes = decoded_len(value.as_str().unwrap_or_default());
        tabs.field(0, key, &format!("{bytes} bytes"));
    }
}

/// How many bytes a base64 text stands for.
fn decoded_len(base64: &str) -> usize {
    base64.trim_end_matches('=').len() * 3 / 4
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sizes_are_of_what_is_meant_and_not_of_its_text() {
        for (text, bytes) in [("", 0), ("YQ==", 1), ("YWI=", 2), ("YWJj", 3), ("YWJjZA==", 4)] {
            assert_eq!(decoded_len(text), bytes, "{text}");
        }
    }

    #[test]
    fn a_secrets_bytes_are_not_shown() {
        let mut tabs = Tabs::default();
        let object = json!({
            "metadata": {"name": "key", "namespace": "default"},
            "type": "Opaque",
            "data": {"token": "aGlkZGVu"},
        });
        secret(&object, &mut tabs);
        let mut out = Vec::new();
        tabs.print(&mut out).unwrap();
        let shown = String::from_utf8(out).unwrap();
        let end = "Annotations:  <none>\n\nType:  Opaque\n\nData\n====\ntoken:  6 bytes\n";
        assert!(shown.ends_with(end), "{shown}");
    }
}
