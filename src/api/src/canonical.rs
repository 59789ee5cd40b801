//! The canonical text of a document, from which its meaning is compared and it is read again.
//!
//! Left out is what says nothing: nulls, empty lists, and what only an API server writes (`status`,
//! `creationTimestamp` and its like). Quantities are in canonical form, keys sorted, defaults not laid in.

use serde_json::Value;

use crate::document::Document;
use crate::quantity::Quantity;

/// Members of `metadata` that an API server writes.
const SERVER_METADATA: [&str; 7] = [
    "creationTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
    "deletionTimestamp",
];

/// The canonical document of an object.
pub(crate) fn of_object(mut object: Value) -> Document {
    if let Value::Object(members) = &mut object {
        members.remove("status");
    }
    of_template(object)
}

/// The canonical document of a template: like an object's, without a kind.
pub(crate) fn of_template(mut template: Value) -> Document {
    strip_metadata(&mut template);
    if let Some(spec) = template.get_mut("spec") {
        if let Some(inner) = spec.get_mut("template") {
            strip_metadata(inner);
            if let Some(spec) = inner.get_mut("spec") {
                canonical_quantities(spec);
            }
        }
        canonical_quantities(spec);
    }
    tidy(&mut template);
    Document(template.to_string())
}

fn strip_metadata(object: &mut Value) {
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        for key in SERVER_METADATA {
            metadata.remove(key);
        }
    }
}

/// Takes out nulls and empty lists. An empty map stays: `emptyDir: {}` says something.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.values_mut().for_each(tidy);
            members.retain(|_, value| !value.is_null() && !value.as_array().is_some_and(Vec::is_empty));
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// Quantities of a pod's spec, or a claim's, where a text or number is one.
fn canonical_quantities(spec: &mut Value) {
    canonical_resources(spec);
    for list in ["initContainers", "containers"] {
        for container in items(spec.get_mut(list)) {
            canonical_resources(container);
            items(container.get_mut("env")).for_each(|variable| {
                variable
                    .get_mut("valueFrom")
                    .into_iter()
                    .for_each(canonical_divisor);
            });
        }
    }
    members(spec.get_mut("overhead")).for_each(canonical_quantity);
    items(spec.get_mut("volumes")).for_each(canonical_volume);
}

fn canonical_resources(of: &mut Value) {
    for list in ["requests", "limits"] {
        let amounts = of.get_mut("resources").and_then(|all| all.get_mut(list));
        members(amounts).for_each(canonical_quantity);
    }
}

fn canonical_volume(volume: &mut Value) {
    let limit = volume.pointer_mut("/emptyDir/sizeLimit");
    limit.into_iter().for_each(canonical_quantity);
    let claim = volume.pointer_mut("/ephemeral/volumeClaimTemplate/spec");
    claim.into_iter().for_each(canonical_resources);
    items(volume.pointer_mut("/downwardAPI/items")).for_each(canonical_divisor);
    for source in items(volume.pointer_mut("/projected/sources")) {
        items(source.pointer_mut("/downwardAPI/items")).for_each(canonical_divisor);
    }
}

/// The divisor of a `resourceFieldRef`.
fn canonical_divisor(of: &mut Value) {
    let divisor = of.pointer_mut("/resourceFieldRef/divisor");
    divisor.into_iter().for_each(canonical_quantity);
}

fn items(list: Option<&mut Value>) -> impl Iterator<Item = &mut Value> {
    list.and_then(Value::as_array_mut).into_iter().flatten()
}

fn members(map: Option<&mut Value>) -> impl Iterator<Item = &mut Value> {
    let map = map.and_then(Value::as_object_mut);
    map.into_iter().flat_map(|members| members.values_mut())
}

fn canonical_quantity(value: &mut Value) {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return,
    };
    if let Ok(quantity) = text.parse::<Quantity>() {
        *value = Value::String(quantity.to_string());
    }
}
