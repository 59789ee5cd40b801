//! A container's variables, and what refers to them.

use std::collections::HashMap;

use k8s_openapi::api::core::v1::EnvVar;

use super::sound;
use crate::expand::{Growth, expand};
use crate::names;
use crate::report::{Report, quote};
use crate::tree::Path;

/// Variables in order, their references expanded.
#[derive(Default)]
pub(super) struct Environment {
    /// A variable that a later one of its name replaced is gone from its place.
    variables: Vec<Option<(String, String)>>,
    places: HashMap<String, usize>,
}

impl Environment {
    /// Literal variables; a value's references are to variables before it. The last of a name wins.
    pub(super) fn of(
        given: Option<&[EnvVar]>,
        growth: &mut Growth,
        path: &Path<'_>,
        report: &mut Report<'_>,
    ) -> Self {
        let mut environment = Self::default();
        for (index, variable) in given.unwrap_or_default().iter().enumerate() {
            environment.add(variable, growth, &path.index(index), report);
        }
        environment
    }

    fn add(&mut self, given: &EnvVar, growth: &mut Growth, path: &Path<'_>, report: &mut Report<'_>) {
        if given.name.is_empty() {
            report.required(&path.field("name"), "");
            return;
        }
        sound(
            &given.name,
            &names::env_name(&given.name),
            &path.field("name"),
            report,
        );
        let text = given.value.as_deref().unwrap_or_default();
        let value = match expand(text, |name| self.value_of(name), growth) {
            Ok(value) => value,
            Err(error) => {
                report.error(&path.field("value"), format!("Too long: {error}"));
                return;
            }
        };
        let place = self.variables.len();
        if let Some(earlier) = self.places.insert(given.name.clone(), place) {
            let hidden = self.variables[earlier].take();
            let unused = !text.contains(&format!("$({})", given.name));
            if unused || hidden.is_some_and(|(_, hidden)| hidden == value) {
                let name = quote(&given.name);
                let message =
                    format!("hides previous definition of {name}, which may be dropped when using apply");
                report.warn(path, message);
            }
        }
        self.variables.push(Some((given.name.clone(), value)));
    }

    fn value_of(&self, name: &str) -> Option<&str> {
        let place = self.places.get(name)?;
        self.variables[*place].as_ref().map(|(_, value)| value.as_str())
    }

    /// Texts with their references expanded.
    pub(super) fn expand(
        &self,
        texts: Option<&[String]>,
        growth: &mut Growth,
        path: &Path<'_>,
        report: &mut Report<'_>,
    ) -> Vec<String> {
        let mut expanded = Vec::new();
        for (index, text) in texts.unwrap_or_default().iter().enumerate() {
            match expand(text, |name| self.value_of(name), growth) {
                Ok(text) => expanded.push(text),
                Err(error) => report.error(&path.index(index), format!("Too long: {error}")),
            }
        }
        expanded
    }

    /// The variables that are left, in order.
    pub(super) fn into_variables(self) -> Vec<(String, String)> {
        self.variables.into_iter().flatten().collect()
    }
}
