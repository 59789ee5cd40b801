//! A container's variables, as they are written.

use std::collections::HashMap;

use k8s_openapi::api::core::v1;

use super::sound;
use crate::names;
use crate::pod::{EnvValue, EnvVar};
use crate::report::{Report, quote};
use crate::tree::Path;

/// Variables in order. One that a later one of its name replaces is reported where nothing refers to it.
pub(super) fn variables(
    given: Option<&[v1::EnvVar]>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Vec<EnvVar> {
    let mut variables: Vec<EnvVar> = Vec::new();
    let mut places = HashMap::new();
    for (index, given) in given.unwrap_or_default().iter().enumerate() {
        let path = path.index(index);
        let Some(variable) = variable(given, &path, report) else {
            continue;
        };
        if let Some(earlier) = places.insert(variable.name.clone(), variables.len()) {
            warn_of_hidden(&variables[earlier], &variable, &path, report);
        }
        variables.push(variable);
    }
    variables
}

fn variable(given: &v1::EnvVar, path: &Path<'_>, report: &mut Report<'_>) -> Option<EnvVar> {
    if given.name.is_empty() {
        report.required(&path.field("name"), "");
        return None;
    }
    let wrong = names::env_name(&given.name);
    sound(&given.name, &wrong, &path.field("name"), report).then(|| EnvVar {
        name: given.name.clone(),
        value: EnvValue::Literal(given.value.clone().unwrap_or_default()),
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
