//! Volumes as `kubectl describe` shows them; a kind that has no lines of its own here is shown as it is written.

use serde_json::Value;

use super::super::row::text;
use super::super::tabs::Tabs;
use super::fields::{list, or_none, shown};

/// The volumes in the list at `path`.
pub fn describe(object: &Value, path: &str, tabs: &mut Tabs) {
    if list(object, path).next().is_none() {
        tabs.field(0, "Volumes", "<none>");
        return;
    }
    tabs.title(0, "Volumes");
    for volume in list(object, path) {
        tabs.title(1, &text(volume, "/name"));
        let sources = volume.as_object().into_iter().flatten();
        for (kind, source) in sources.filter(|(key, _)| *key != "name") {
            self::source(kind, source, tabs);
        }
    }
}

fn source(kind: &str, source: &Value, tabs: &mut Tabs) {
    match kind {
        "hostPath" => {
            tabs.field(2, "Type", "HostPath (bare host directory volume)");
            tabs.field(2, "Path", &text(source, "/path"));
            tabs.field(2, "HostPathType", &text(source, "/type"));
        }
        "emptyDir" => {
            tabs.field(
                2,
                "Type",
                "EmptyDir (a temporary directory that shares a pod's lifetime)",
            );
            tabs.field(2, "Medium", &text(source, "/medium"));
            tabs.field(2, "SizeLimit", &limit(source));
        }
        "configMap" => {
            tabs.field(2, "Type", "ConfigMap (a volume populated by a ConfigMap)");
            tabs.field(2, "Name", &text(source, "/name"));
            optional(source, tabs);
        }
        "secret" => {
            tabs.field(2, "Type", "Secret (a volume populated by a Secret)");
            tabs.field(2, "SecretName", &text(source, "/secretName"));
            optional(source, tabs);
        }
        "projected" => {
            tabs.field(
                2,
                "Type",
                "Projected (a volume that contains injected data from multiple sources)",
            );
            for one in list(source, "/sources").filter_map(Value::as_object).flatten() {
                tabs.field(2, one.0, &or_none(text(one.1, "/name")));
            }
        }
        "downwardAPI" => {
            tabs.field(
                2,
                "Type",
                "DownwardAPI (a volume populated by information about the pod)",
            );
            tabs.title(2, "Items");
            for item in list(source, "/items") {
                let field = text(item, "/fieldRef/fieldPath") + &text(item, "/resourceFieldRef/resource");
                tabs.line(3, [format!("{field} -> {}", text(item, "/path")).as_str()]);
            }
        }
        _ => {
            tabs.field(2, "Type", kind);
            for (field, value) in source.as_object().into_iter().flatten() {
                tabs.field(2, field, &shown(value));
            }
        }
    }
}

fn limit(source: &Value) -> String {
    match text(source, "/sizeLimit") {
        none if none.is_empty() => "<unset>".to_owned(),
        limit => limit,
    }
}

fn optional(source: &Value, tabs: &mut Tabs) {
    let optional = source["optional"].as_bool().unwrap_or(false);
    tabs.field(2, "Optional", &optional.to_string());
}
