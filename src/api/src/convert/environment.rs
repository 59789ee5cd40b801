//! A container's variables, as they are written.

use std::collections::HashMap;

use k8s_openapi::api::core::v1;

use super::downward::Names;
use super::{downward, required, sound};
use crate::ident::ObjectName;
use crate::names;
use crate::pod::environment::{EnvFrom, KeySelector, ObjectSource};
use crate::pod::{EnvValue, EnvVar};
use crate::report::{Report, quote};
use crate::tree::Path;

/// Variables in order. One that a later one of its name replaces is reported where nothing refers to it.
pub(super) fn variables(
    given: Option<&[v1::EnvVar]>,
    containers: &Names<'_>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Vec<EnvVar> {
    let mut variables: Vec<EnvVar> = Vec::new();
    let mut places = HashMap::new();
    for (index, given) in given.unwrap_or_default().iter().enumerate() {
        let path = path.index(index);
        let Some(variable) = variable(given, containers, &path, report) else {
            continue;
        };
        if let Some(earlier) = places.insert(variable.name.clone(), variables.len()) {
            warn_of_hidden(&variables[earlier], &variable, &path, report);
        }
        variables.push(variable);
    }
    variables
}

fn variable(
    given: &v1::EnvVar,
    containers: &Names<'_>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<EnvVar> {
    let literal = given.value.as_deref().unwrap_or_default();
    let value = match &given.value_from {
        None => Some(EnvValue::Literal(literal.to_owned())),
        Some(source) => value_from(source, literal, containers, &path.field("valueFrom"), report),
    };
    let name = required(&given.name, names::env_name, &path.field("name"), report)?;
    Some(EnvVar {
        name: name.to_owned(),
        value: value?,
    })
}

/// Exactly one source, and no value beside it.
fn value_from(
    given: &v1::EnvVarSource,
    literal: &str,
    containers: &Names<'_>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<EnvValue> {
    let count = [
        given.field_ref.is_some(),
        given.resource_field_ref.is_some(),
        given.config_map_key_ref.is_some(),
        given.secret_key_ref.is_some(),
        given.file_key_ref.is_some(),
    ];
    let why = match count.into_iter().filter(|is_given| *is_given).count() {
        0 => {
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        }
        _ if !literal.is_empty() => "may not be specified when `value` is not empty",
        1 => "",
        _ => "may not have more than one field specified at a time",
    };
    if !why.is_empty() {
        report.invalid(path, "", why);
        return None;
    }
    if let Some(field) = &given.field_ref {
        let path = path.field("fieldRef");
        return downward::field(field, downward::Use::Variable, &path, report).map(EnvValue::Field);
    }
    if let Some(resource) = &given.resource_field_ref {
        let path = path.field("resourceFieldRef");
        return downward::resource(resource, downward::Use::Variable, containers, &path, report)
            .map(EnvValue::Resource);
    }
    if let Some(key) = &given.config_map_key_ref {
        let path = path.field("configMapKeyRef");
        return key_selector(&key.name, &key.key, key.optional, &path, report).map(EnvValue::ConfigMapKey);
    }
    // A file's key was reported as not supported when the fields were looked up.
    let key = given.secret_key_ref.as_ref()?;
    let path = path.field("secretKeyRef");
    key_selector(&key.name, &key.key, key.optional, &path, report).map(EnvValue::SecretKey)
}

fn key_selector(
    name: &str,
    key: &str,
    optional: Option<bool>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<KeySelector> {
    let name_path = path.field("name");
    let is_sound = sound(name, &names::dns_subdomain(name), &name_path, report);
    let key = required(key, names::config_key, &path.field("key"), report);
    let name = ObjectName::new(name).ok().filter(|_| is_sound);
    Some(KeySelector {
        name: name?,
        key: key?.to_owned(),
        optional: optional.unwrap_or(false),
    })
}

/// `envFrom`.
pub(super) fn sources(
    given: Option<&[v1::EnvFromSource]>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Vec<EnvFrom> {
    let source = |(index, given)| source(given, &path.index(index), report);
    let given = given.unwrap_or_default();
    given.iter().enumerate().filter_map(source).collect()
}

fn source(given: &v1::EnvFromSource, path: &Path<'_>, report: &mut Report<'_>) -> Option<EnvFrom> {
    let prefix = given.prefix.clone().unwrap_or_default();
    if !prefix.is_empty() {
        sound(&prefix, &names::env_name(&prefix), &path.field("prefix"), report);
    }
    let mut name = |name: &str, field: &str| {
        let path = path.field(field);
        let name = required(name, names::dns_subdomain, &path.field("name"), report);
        name.and_then(|name| ObjectName::new(name).ok())
    };
    let (source, optional) = match (&given.config_map_ref, &given.secret_ref) {
        (Some(map), None) => {
            let name = name(&map.name, "configMapRef")?;
            (ObjectSource::ConfigMap(name), map.optional)
        }
        (None, Some(secret)) => {
            let name = name(&secret.name, "secretRef")?;
            (ObjectSource::Secret(name), secret.optional)
        }
        (None, None) => {
            report.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`");
            return None;
        }
        (Some(_), Some(_)) => {
            report.invalid(path, "", "may not have more than one field specified at a time");
            return None;
        }
    };
    Some(EnvFrom {
        prefix,
        source,
        optional: optional.unwrap_or(false),
    })
}

fn warn_of_hidden(hidden: &EnvVar, variable: &EnvVar, path: &Path<'_>, report: &mut Report<'_>) {
    let reference = format!("$({})", variable.name);
    let is_used = matches!(&variable.value, EnvValue::Literal(text) if text.contains(&reference));
    if !is_used || hidden.value == variable.value {
        let name = quote(&variable.name);
        let message = format!("hides previous definition of {name}, which may be dropped when using apply");
        report.warn(path, message);
    }
}
