//! Variables from outside the manifest: what Services tell a pod.
//!
//! A container's own variables, its command and its arguments may refer to them. References were expanded when
//! the document was read, and those that nothing was known for stayed; here all are expanded again, from the
//! document, as an escaped reference looks the same once it was read.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::expand::{ExpandError, Growth, expand};
use crate::pod::{Container, Pod};

type Variables = Vec<(String, String)>;

impl Pod {
    /// The pod as its containers are to be made where these variables are known beside their own: each
    /// container has them behind its own, unless it has one of the name. A container whose texts would grow past
    /// every bound stays as it was read, with the variables.
    pub fn with_variables(&self, outer: &[(String, String)]) -> Pod {
        // A document is an object's JSON by construction.
        let document: Value = serde_json::from_str(self.document.as_json()).unwrap_or_default();
        let given = document["spec"]["containers"].as_array();
        let known: BTreeMap<&str, &str> = outer
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let mut growth = Growth::default();
        let mut pod = self.clone();
        for container in &mut pod.spec.containers {
            let named = |one: &&Value| one["name"] == container.name.as_str();
            if let Some(given) = given.into_iter().flatten().find(named)
                && let Ok(texts) = Texts::of(given, &known, &mut growth)
            {
                container.env = texts.env;
                container.command = texts.command;
                container.args = texts.args;
            }
            add(container, outer);
        }
        pod
    }
}

fn add(container: &mut Container, outer: &[(String, String)]) {
    let own = container.env.len();
    for (name, value) in outer {
        if !container.env[..own].iter().any(|(given, _)| given == name) {
            container.env.push((name.clone(), value.clone()));
        }
    }
}

/// What of a container may refer to variables.
struct Texts {
    env: Variables,
    command: Vec<String>,
    args: Vec<String>,
}

impl Texts {
    fn of(given: &Value, outer: &BTreeMap<&str, &str>, growth: &mut Growth) -> Result<Self, ExpandError> {
        let mut env: Variables = Vec::new();
        for one in given["env"].as_array().into_iter().flatten() {
            let name = one["name"].as_str().unwrap_or_default();
            let text = one["value"].as_str().unwrap_or_default();
            let value = expand(text, |name| value_of(&env, outer, name), growth)?;
            env.retain(|(given, _)| given != name);
            env.push((name.to_owned(), value));
        }
        let mut all = |field: &str| -> Result<Vec<String>, ExpandError> {
            let texts = given[field]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str);
            texts
                .map(|text| expand(text, |name| value_of(&env, outer, name), growth))
                .collect()
        };
        let (command, args) = (all("command"), all("args"));
        Ok(Self {
            command: command?,
            args: args?,
            env,
        })
    }
}

fn value_of<'v>(env: &'v Variables, outer: &BTreeMap<&str, &'v str>, name: &str) -> Option<&'v str> {
    let own = env.iter().find(|(given, _)| given == name);
    own.map(|(_, value)| value.as_str())
        .or_else(|| outer.get(name).copied())
}

#[cfg(test)]
mod tests {
    use crate::document::Object;
    use crate::read::{ReadLimits, read_documents};

    use super::*;

    fn pod(container: &str) -> Pod {
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec: {{containers: [{{name: c, image: i, {container}}}]}}\n"
        );
        let mut reading = read_documents(text.as_bytes(), "f.yaml", &ReadLimits::default());
        assert!(!reading.has_errors(), "{:?}", reading.problems);
        match reading.objects.remove(0).object {
            Object::Pod(pod) => pod,
            other => panic!("{other:?}"),
        }
    }

    fn outer() -> Vec<(String, String)> {
        [("DB_SERVICE_HOST", "10.96.0.7"), ("DB_SERVICE_PORT", "5432")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec()
    }

    #[test]
    fn a_containers_texts_refer_to_outer_variables_too() {
        let pod = pod(
            "command: [run, '$(DB_SERVICE_HOST)', '$(URL)'], args: ['$$(DB_SERVICE_HOST)', '$(NOT_THERE)'], \
             env: [{name: URL, value: 'pg://$(DB_SERVICE_HOST):$(DB_SERVICE_PORT)'}]",
        );
        assert_eq!(
            pod.spec.containers[0].command[1], "$(DB_SERVICE_HOST)",
            "unknown when it was read"
        );
        let told = pod.with_variables(&outer());
        let container = &told.spec.containers[0];
        assert_eq!(container.command, ["run", "10.96.0.7", "pg://10.96.0.7:5432"]);
        assert_eq!(
            container.args,
            ["$(DB_SERVICE_HOST)", "$(NOT_THERE)"],
            "escaped, unknown"
        );
        let names: Vec<&str> = container.env.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["URL", "DB_SERVICE_HOST", "DB_SERVICE_PORT"]);
        assert_eq!(told.document, pod.document);
    }

    #[test]
    fn a_containers_own_variable_goes_first() {
        let pod = pod(
            "env: [{name: FIRST, value: '$(DB_SERVICE_HOST)'}, {name: DB_SERVICE_HOST, value: mine}, \
             {name: THEN, value: '$(DB_SERVICE_HOST)'}]",
        );
        let told = pod.with_variables(&outer());
        let env = &told.spec.containers[0].env;
        let of = |name: &str| -> Vec<&str> {
            let named = env.iter().filter(|(given, _)| given == name);
            named.map(|(_, value)| value.as_str()).collect()
        };
        assert_eq!(of("FIRST"), ["10.96.0.7"]);
        assert_eq!(of("DB_SERVICE_HOST"), ["mine"]);
        assert_eq!(of("THEN"), ["mine"]);
        assert_eq!(env.len(), 4);
    }

    #[test]
    fn without_outer_variables_a_pod_stays_as_it_was_read() {
        let pod = pod(
            "args: ['$(A)', '$$(A)'], env: [{name: A, value: '1'}, {name: A, value: '$(A)2'}, {name: EMPTY}]",
        );
        assert_eq!(pod.with_variables(&[]), pod);
    }

    #[test]
    fn texts_that_would_grow_past_every_bound_stay_as_they_were_read() {
        let pod = pod("args: ['$(BIG)$(BIG)']");
        let outer = [("BIG".to_owned(), "x".repeat(100_000))];
        let told = pod.with_variables(&outer);
        assert_eq!(told.spec.containers[0].args, ["$(BIG)$(BIG)"]);
        assert_eq!(told.spec.containers[0].env.len(), 1);
    }
}
