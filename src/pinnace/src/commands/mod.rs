//! The verbs that ask a node, or need none.

pub mod config;
pub mod describe;
pub mod doctor;
pub mod drain;
pub mod exec;
pub mod get;
pub mod image;
pub mod logs;
pub mod plan;
pub mod row;
pub mod table;
pub mod tabs;
pub mod validate;

use serde_json::Value;

/// A value as YAML, as `kubectl get -o yaml` prints objects.
pub fn to_yaml(value: &Value) -> String {
    // A JSON value has no part that YAML lacks.
    serde_saphyr::to_string(value).unwrap_or_else(|error| format!("# {error}\n"))
}

/// Of several containers the one that is meant where none is named, which is then said on stderr; `None` where
/// there is no choice.
pub fn default_container(pod: &Value) -> Option<String> {
    const ANNOTATION: &str = "kubectl.kubernetes.io/default-container";
    let containers = pod.pointer("/spec/containers").and_then(Value::as_array)?;
    let names: Vec<&str> = containers.iter().filter_map(|one| one["name"].as_str()).collect();
    let (first, rest) = names.split_first()?;
    if rest.is_empty() {
        return None;
    }
    let annotated = pod["metadata"]["annotations"][ANNOTATION].as_str();
    if let Some(annotated) = annotated.filter(|name| names.contains(name)) {
        return Some(annotated.to_owned());
    }
    eprintln!("Defaulted container {first:?} out of: {}", names.join(", "));
    Some((*first).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_default_container_is_the_annotated_one_or_the_first() {
        let mut pod = json!({"spec": {"containers": [{"name": "one"}, {"name": "two"}]}});
        assert_eq!(default_container(&pod).as_deref(), Some("one"));
        pod["metadata"] = json!({"annotations": {"kubectl.kubernetes.io/default-container": "two"}});
        assert_eq!(default_container(&pod).as_deref(), Some("two"));
        pod["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"] = json!("none");
        assert_eq!(default_container(&pod).as_deref(), Some("one"));
        assert_eq!(
            default_container(&json!({"spec": {"containers": [{"name": "one"}]}})),
            None
        );
    }
}
