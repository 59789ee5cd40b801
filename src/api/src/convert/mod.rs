//! Kubernetes' types to this node's model: every rule checked, every default laid in.
//!
//! Each function reports what is wrong with its part and goes on with the rest, so that one reading finds
//! everything. An answer of `None` (or a shortened list) has a reported error beside it, and an object with
//! errors is not taken.

mod address;
mod claim;
mod config_map;
mod container;
mod daemonset;
mod dns;
mod downward;
mod environment;
mod handler;
mod image;
mod lifecycle;
mod meta;
mod mounts;
mod namespace;
mod network_policy;
mod pod;
mod ports;
mod probe;
mod resources;
mod restart;
mod scheduling;
mod secret;
mod security;
mod selector;
mod service;
mod signal;
mod volume;

pub(crate) use claim::{claim, storage_class};
pub(crate) use config_map::config_map;
pub(crate) use daemonset::daemon_set;
pub(crate) use image::default_pull_policy;
pub(crate) use meta::key_of;
pub(crate) use namespace::namespace;
pub(crate) use network_policy::network_policy;
pub(crate) use pod::{pod, pod_template};
pub(crate) use secret::secret;
pub(crate) use service::service;

use crate::report::Report;
use crate::tree::Path;

/// Reports each thing that is wrong with `text`; whether nothing was.
fn sound(text: &str, wrong: &[String], path: &Path<'_>, report: &mut Report<'_>) -> bool {
    for why in wrong {
        report.invalid(path, text, why);
    }
    wrong.is_empty()
}

/// A required text, checked by `rule`.
fn required<'t>(
    text: &'t str,
    rule: fn(&str) -> Vec<String>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<&'t str> {
    if text.is_empty() {
        report.required(path, "");
        return None;
    }
    sound(text, &rule(text), path, report).then_some(text)
}

/// A number that must fit `T`; the bounds are named in Kubernetes' words.
fn within<T: TryFrom<i64>>(
    number: i64,
    least: i64,
    most: i64,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<T> {
    if (least..=most).contains(&number) {
        return T::try_from(number).ok();
    }
    report.invalid_value(
        path,
        number,
        format!("must be between {least} and {most}, inclusive"),
    );
    None
}

/// A text that is absent where it is empty, as Kubernetes takes it.
fn filled(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
