//! A tree to Kubernetes' own types, with every finding and not only the first.
//!
//! A value of the wrong type is reported, taken out, and the rest is read again; unknown fields are reported
//! together. This is the only place where typed reading is instantiated: each further one would cost the
//! build much time.

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{
    ConfigMap, Namespace, PersistentVolumeClaim, Pod, PodTemplate, Secret, Service,
};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::storage::v1::StorageClass;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use crate::problem::Severity;
use crate::report::Report;
use crate::tree::{Node, Path};

/// Values of a wrong type that are reported of one document.
const MOST_MISTYPED: usize = 32;

/// Reads a Pod.
pub(crate) fn pod(root: &Node, report: &mut Report<'_>) -> Option<Pod> {
    typed(root, report)
}

/// Reads a DaemonSet.
pub(crate) fn daemon_set(root: &Node, report: &mut Report<'_>) -> Option<DaemonSet> {
    typed(root, report)
}

/// Reads a Service.
pub(crate) fn service(root: &Node, report: &mut Report<'_>) -> Option<Service> {
    typed(root, report)
}

/// Reads a NetworkPolicy.
pub(crate) fn network_policy(root: &Node, report: &mut Report<'_>) -> Option<NetworkPolicy> {
    typed(root, report)
}

/// Reads a Namespace.
pub(crate) fn namespace(root: &Node, report: &mut Report<'_>) -> Option<Namespace> {
    typed(root, report)
}

/// Reads a ConfigMap from what [`with_whole_data`] made of it.
pub(crate) fn config_map(json: &Value, report: &mut Report<'_>) -> Option<ConfigMap> {
    typed_json(json.clone(), report)
}

/// Reads a Secret from what [`with_whole_data`] made of it.
pub(crate) fn secret(json: &Value, report: &mut Report<'_>) -> Option<Secret> {
    typed_json(json.clone(), report)
}

/// Reads a PersistentVolumeClaim.
pub(crate) fn claim(root: &Node, report: &mut Report<'_>) -> Option<PersistentVolumeClaim> {
    typed(root, report)
}

/// Reads a PodTemplate.
pub(crate) fn pod_template(root: &Node, report: &mut Report<'_>) -> Option<PodTemplate> {
    typed(root, report)
}

/// Reads a StorageClass.
pub(crate) fn storage_class(root: &Node, report: &mut Report<'_>) -> Option<StorageClass> {
    typed(root, report)
}

/// The document of a ConfigMap or Secret with its data as Go reads it: a null is an empty value, and base64 may
/// be folded into lines.
pub(crate) fn with_whole_data(root: &Node) -> Value {
    let mut json = root.to_json();
    let is_secret = json["kind"] == "Secret";
    for (field, is_base64) in [("data", is_secret), ("binaryData", true), ("stringData", false)] {
        let members = json.get_mut(field).and_then(Value::as_object_mut);
        for value in members.into_iter().flat_map(|members| members.values_mut()) {
            match value {
                Value::Null => *value = Value::String(String::new()),
                Value::String(text) if is_base64 => text.retain(|letter| !matches!(letter, '\r' | '\n')),
                _ => {}
            }
        }
    }
    json
}

fn typed<T: DeserializeOwned>(root: &Node, report: &mut Report<'_>) -> Option<T> {
    typed_json(root.to_json(), report)
}

/// `None` where the document is too wrong to go on with; the reasons are reported.
fn typed_json<T: DeserializeOwned>(mut json: Value, report: &mut Report<'_>) -> Option<T> {
    for _ in 0..MOST_MISTYPED {
        let mut unknown = Vec::new();
        match attempt(&json, &mut unknown) {
            Ok(object) => {
                for steps in unknown {
                    with_path(&steps, &mut |path| {
                        report.error(
                            path,
                            format!("unknown field {}", crate::report::quote(&path.to_string())),
                        );
                    });
                }
                return Some(object);
            }
            Err(error) => {
                let steps = steps_of(error.path());
                let expected = expected_type(error.inner());
                let detail = mistyped(lookup(&json, &steps), &expected, report.hides_values());
                with_path(&steps, &mut |path| {
                    report.add(Severity::Error, path, detail.clone())
                });
                if !remove(&mut json, &steps, &expected) {
                    return None;
                }
            }
        }
    }
    None
}

/// One step of an owned path.
#[derive(Debug, Clone)]
enum Step {
    Field(String),
    Index(usize),
}

fn attempt<T: DeserializeOwned>(
    json: &Value,
    unknown: &mut Vec<Vec<Step>>,
) -> Result<T, serde_path_to_error::Error<serde_json::Error>> {
    let mut track = serde_path_to_error::Track::new();
    let mut note = |path: serde_ignored::Path<'_>| unknown.push(steps_of_ignored(&path));
    let mut note: &mut dyn FnMut(serde_ignored::Path<'_>) = &mut note;
    let inner = serde_path_to_error::Deserializer::new(json, &mut track);
    match T::deserialize(serde_ignored::Deserializer::new(inner, &mut note)) {
        Ok(object) => Ok(object),
        Err(error) => Err(serde_path_to_error::Error::new(track.path(), error)),
    }
}

fn steps_of(path: &serde_path_to_error::Path) -> Vec<Step> {
    let step = |segment: &Segment| match segment {
        Segment::Seq { index } => Some(Step::Index(*index)),
        Segment::Map { key } => Some(Step::Field(key.clone())),
        Segment::Enum { .. } | Segment::Unknown => None,
    };
    path.iter().filter_map(step).collect()
}

fn steps_of_ignored(path: &serde_ignored::Path<'_>) -> Vec<Step> {
    use serde_ignored::Path as Ignored;
    let (mut steps, mut path) = (Vec::new(), path);
    loop {
        path = match path {
            Ignored::Root => break,
            Ignored::Seq { parent, index } => {
                steps.push(Step::Index(*index));
                parent
            }
            Ignored::Map { parent, key } => {
                steps.push(Step::Field(key.clone()));
                parent
            }
            Ignored::Some { parent }
            | Ignored::NewtypeStruct { parent }
            | Ignored::NewtypeVariant { parent } => parent,
        };
    }
    steps.reverse();
    steps
}

/// Calls `then` with `steps` as a borrowed path.
fn with_path(steps: &[Step], then: &mut dyn FnMut(&Path<'_>)) {
    fn descend(steps: &[Step], path: &Path<'_>, then: &mut dyn FnMut(&Path<'_>)) {
        match steps.split_first() {
            None => then(path),
            Some((Step::Field(name), rest)) => descend(rest, &path.field(name), then),
            Some((Step::Index(index), rest)) => descend(rest, &path.index(*index), then),
        }
    }
    descend(steps, &Path::Root, then);
}

fn lookup<'j>(json: &'j Value, steps: &[Step]) -> Option<&'j Value> {
    steps.iter().try_fold(json, |value, step| match step {
        Step::Field(name) => value.get(name),
        Step::Index(index) => value.get(*index),
    })
}

/// Takes the value at `steps` out; a list's item is replaced by an empty one of the type `expected`, so that
/// the others keep their places.
fn remove(json: &mut Value, steps: &[Step], expected: &str) -> bool {
    let Some((last, parents)) = steps.split_last() else {
        return false;
    };
    let parent = parents.iter().try_fold(json, |value, step| match step {
        Step::Field(name) => value.get_mut(name),
        Step::Index(index) => value.get_mut(*index),
    });
    match (parent, last) {
        (Some(Value::Object(members)), Step::Field(name)) => members.remove(name).is_some(),
        (Some(Value::Array(items)), Step::Index(index)) => {
            let empty = match expected {
                "string" => Value::String(String::new()),
                "bool" => false.into(),
                "int32" | "int64" => 0.into(),
                _ => Value::Object(serde_json::Map::new()),
            };
            items
                .get_mut(*index)
                .is_some_and(|item| std::mem::replace(item, empty) != Value::Null)
        }
        _ => false,
    }
}

/// What must be base64 and is not.
const BASE64: &str = "a base64-encoded string";

/// How errors of the decoder begin; they would show a part of the text.
const BASE64_ERRORS: [&str; 4] = [
    "Invalid symbol",
    "Invalid last symbol",
    "Invalid input length",
    "Invalid padding",
];

/// The type that a field must have, in Kubernetes' words.
fn expected_type(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let is_base64 = BASE64_ERRORS.iter().any(|start| text.starts_with(start));
    let expected = text
        .rsplit_once("expected ")
        .map_or(text.as_str(), |(_, expected)| expected);
    let expected = if is_base64 { BASE64 } else { expected };
    let expected = match expected {
        "a boolean" => "bool",
        "a string" => "string",
        "i32" => "int32",
        "i64" => "int64",
        "a sequence" => "array",
        "a map" => "object",
        other => other,
    };
    expected.to_owned()
}

/// What is wrong with a value of the wrong type.
fn mistyped(value: Option<&Value>, expected: &str, is_hidden: bool) -> String {
    if let (Some(Value::String(_)), BASE64) = (value, expected) {
        return "illegal base64 data".to_owned();
    }
    let kind = match value {
        Some(Value::Number(_)) if is_hidden => "number".to_owned(),
        Some(Value::Bool(_)) => "bool".to_owned(),
        Some(Value::Number(number)) => format!("number {number}"),
        Some(Value::String(_)) => "string".to_owned(),
        Some(Value::Array(_)) => "array".to_owned(),
        Some(Value::Object(_)) => "object".to_owned(),
        Some(Value::Null) | None => "null".to_owned(),
    };
    format!("cannot unmarshal {kind} into a field of type {expected}")
}
