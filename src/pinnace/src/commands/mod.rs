//! The verbs that ask a node, or need none.

pub mod config;
pub mod describe;
pub mod drain;
pub mod exec;
pub mod get;
pub mod image;
pub mod logs;
pub mod plan;
pub mod row;
pub mod table;
pub mod validate;

use serde_json::Value;

/// A value as YAML, as `kubectl get -o yaml` prints objects.
pub fn to_yaml(value: &Value) -> String {
    // A JSON value has no part that YAML lacks.
    serde_saphyr::to_string(value).unwrap_or_else(|error| format!("# {error}\n"))
}
