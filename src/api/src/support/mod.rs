//! Which fields this node honours, and what is said of the others.
//!
//! Every field of a document is looked up in [`table`]: it is in the model, or it is reported. What the table
//! does not know is refused, so that a field of a newer Kubernetes is never passed over.

#[cfg(test)]
mod page;
#[cfg(test)]
mod shown;
mod table;
#[cfg(test)]
mod tests;

use crate::report::Report;
use crate::tree::{Node, Path, Value};

/// What is done with a field.
///
/// A field that is null, or an empty text or list, is as if it were absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// The model holds it.
    Held,
    /// A type of its own (or a list of it), whose fields are looked up in turn.
    Into(&'static str),
    /// Without effect here, for the reason given; silently so for these values (as JSON).
    Inert(&'static [&'static str], &'static str),
    /// Not supported, but for these values (as JSON), which are Kubernetes' defaults.
    Refused(&'static [&'static str]),
    /// Never taken from a manifest, in Kubernetes' words too.
    Forbidden(&'static str),
    /// Some values mean what the node does anyway, some have no effect, all others are refused.
    Choice {
        silent: &'static [&'static str],
        inert: &'static [&'static str],
        reason: &'static str,
    },
}

/// Reports the fields of a document of type `kind` that have no effect here, or are not supported yet.
pub(crate) fn check(kind: &str, root: &Node, report: &mut Report<'_>) {
    walk(kind, root, &Path::Root, report);
}

fn walk(kind: &str, node: &Node, path: &Path<'_>, report: &mut Report<'_>) {
    match &node.value {
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(kind, item, &path.index(index), report);
            }
        }
        Value::Map(entries) => {
            for (name, entry) in entries {
                field(kind, name, &entry.node, &path.field(name), report);
            }
        }
        _ => {}
    }
}

fn field(kind: &str, name: &str, node: &Node, path: &Path<'_>, report: &mut Report<'_>) {
    if report.is_wrong(path) || is_absent(&node.value) {
        return;
    }
    let Some(effect) = effect_of(kind, name) else {
        report.not_yet(path, name);
        return;
    };
    let is_one_of =
        |values: &[&str]| !values.is_empty() && values.contains(&node.to_json().to_string().as_str());
    match effect {
        Effect::Held => {}
        Effect::Into(kind) => walk(kind, node, path, report),
        Effect::Inert(silent, reason) => {
            if !is_one_of(silent) {
                report.warn(path, format!("{name} has no effect here: {reason}"));
            }
        }
        Effect::Refused(silent) => {
            if !is_one_of(silent) {
                report.not_yet(path, name);
            }
        }
        Effect::Forbidden(why) => report.forbidden(path, why),
        Effect::Choice {
            silent,
            inert,
            reason,
        } => {
            if is_one_of(inert) {
                report.warn(path, format!("{name} has no effect here: {reason}"));
            } else if !is_one_of(silent) {
                let value = node
                    .as_str()
                    .map_or_else(|| node.value.kind().to_owned(), crate::report::quote);
                report.not_yet(path, &format!("{name} {value}"));
            }
        }
    }
}

fn effect_of(kind: &str, name: &str) -> Option<Effect> {
    let fields = table::TYPES.iter().find(|(known, _)| *known == kind)?.1;
    fields
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, effect)| *effect)
}

/// Whether Kubernetes would read the value as if it were not there.
fn is_absent(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::List(items) => items.is_empty(),
        _ => false,
    }
}
