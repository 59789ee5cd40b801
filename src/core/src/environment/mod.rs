//! A container's variables, command and arguments, as they are when it is made.
//!
//! ```text
//! envFrom ─▶ env (literals, fields, amounts, keys) ─▶ variables of Services ─▶ command, args
//! ```
//!
//! Each later variable may refer to those before it, and all of them to Services'; of one name the last wins,
//! and Services' are never before a container's own. This is the kubelet's order.

mod downward;
mod sub_path;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

use pinnace_api::expand::{ExpandError, Growth, expand};
use pinnace_api::pod::environment::{EnvFrom, KeySelector, ObjectSource};
use pinnace_api::pod::{Container, EnvValue};
use pinnace_api::{Pod, PodUid};

use crate::node::Node;
use crate::objects::{MissingObject, ObjectTable};

pub use downward::{amount, field};
pub use sub_path::{SubPathError, sub_path};

/// All that a pod's containers can be told.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// Its UID.
    pub uid: &'a PodUid,
    /// Its addresses; the node's where it uses the host's network.
    pub pod_ips: &'a [IpAddr],
    /// The node that it runs on.
    pub node: &'a Node,
    /// ConfigMaps and Secrets.
    pub objects: &'a ObjectTable,
    /// Variables of Services, each name once.
    pub services: &'a [(String, String)],
}

/// How a container is started, beside its image's own. What its variables hold may be a Secret's, and is never
/// printed.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Invocation {
    /// Variables in order, each name once.
    pub env: Vec<(String, String)>,
    /// Replaces the image's entrypoint where not empty.
    pub command: Vec<String>,
    /// Replaces the image's command.
    pub args: Vec<String>,
}

impl fmt::Debug for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.env.iter().map(|(name, _)| name.as_str()).collect();
        // Variables may be expanded into command and arguments.
        f.debug_struct("Invocation")
            .field("env", &names)
            .field("command", &self.command.len())
            .field("args", &self.args.len())
            .finish()
    }
}

/// Why a container cannot be told (`CreateContainerConfigError`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    /// An object or a key of it is not there (yet).
    #[error(transparent)]
    Missing(#[from] MissingObject),
    /// A text grows past its bound.
    #[error("{place}")]
    TooLong {
        /// `env NAME`, `command` or `args`.
        place: String,
        /// Which bound.
        #[source]
        source: ExpandError,
    },
    /// A key's bytes are no text.
    #[error("the value of {0} is not valid UTF-8 without zero bytes, which a variable must be")]
    NotText(String),
}

/// How a container of the pod is started.
pub fn invocation(container: &Container, facts: &Facts<'_>) -> Result<Invocation, EnvironmentError> {
    let mut variables = Variables {
        own: Vec::new(),
        places: HashMap::new(),
        services: facts.services,
        growth: Growth::default(),
    };
    for from in &container.env_from {
        variables.add_all(from, facts)?;
    }
    for variable in &container.env {
        let value = match &variable.value {
            EnvValue::Literal(text) => Some(variables.expand(text, || format!("env {}", variable.name))?),
            EnvValue::Field(selector) => Some(field(selector, facts)),
            EnvValue::Resource(selector) => Some(amount(selector, Some(container), facts).to_string()),
            EnvValue::ConfigMapKey(key) => config_map_key(key, facts)?,
            EnvValue::SecretKey(key) => secret_key(key, facts)?,
        };
        if let Some(value) = value {
            variables.set(&variable.name, value);
        }
    }
    let command = variables.expand_all(&container.command, "command")?;
    let args = variables.expand_all(&container.args, "args")?;
    Ok(Invocation {
        env: variables.finish(),
        command,
        args,
    })
}

/// A key of a ConfigMap; `None` where it may be missing and is. Only texts are variables.
fn config_map_key(key: &KeySelector, facts: &Facts<'_>) -> Result<Option<String>, MissingObject> {
    let namespace = &facts.pod.meta.namespace;
    let found = facts.objects.config_map(namespace, &key.name);
    let found = found.and_then(|map| {
        let text = map.data.get(&key.key).cloned();
        text.ok_or_else(|| MissingObject::ConfigMapKey {
            key: key.key.clone(),
            namespace: namespace.clone(),
            name: key.name.clone(),
        })
    });
    optional(found, key.optional, facts)
}

fn secret_key(key: &KeySelector, facts: &Facts<'_>) -> Result<Option<String>, EnvironmentError> {
    let namespace = &facts.pod.meta.namespace;
    let found = facts.objects.secret(namespace, &key.name);
    let found = found.and_then(|secret| {
        let bytes = secret.data.get(&key.key).cloned();
        bytes.ok_or_else(|| MissingObject::SecretKey {
            key: key.key.clone(),
            namespace: namespace.clone(),
            name: key.name.clone(),
        })
    });
    let bytes = optional(found, key.optional, facts)?;
    bytes
        .map(|bytes| text_of(bytes, || format!("key {} of secret \"{}\"", key.key, key.name)))
        .transpose()
}

/// What may be missing; of an object that is not known of, that is said only once all objects have been read.
fn optional<T>(
    found: Result<T, MissingObject>,
    optional: bool,
    facts: &Facts<'_>,
) -> Result<Option<T>, MissingObject> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(missing) if optional && (facts.objects.complete || missing.is_key()) => Ok(None),
        Err(missing) => Err(missing),
    }
}

fn text_of(bytes: Vec<u8>, what: impl Fn() -> String) -> Result<String, EnvironmentError> {
    String::from_utf8(bytes)
        .ok()
        .filter(|text| !text.contains('\0'))
        .ok_or_else(|| EnvironmentError::NotText(what()))
}

/// Variables in the making.
struct Variables<'a> {
    /// One that a later one of its name replaced is gone from its place.
    own: Vec<Option<(String, String)>>,
    places: HashMap<String, usize>,
    services: &'a [(String, String)],
    growth: Growth,
}

impl Variables<'_> {
    fn set(&mut self, name: &str, value: String) {
        if let Some(earlier) = self.places.insert(name.to_owned(), self.own.len()) {
            self.own[earlier] = None;
        }
        self.own.push(Some((name.to_owned(), value)));
    }

    fn add_all(&mut self, from: &EnvFrom, facts: &Facts<'_>) -> Result<(), EnvironmentError> {
        let namespace = &facts.pod.meta.namespace;
        let mut add = |key: &str, value: String| self.set(&format!("{}{key}", from.prefix), value);
        match &from.source {
            ObjectSource::ConfigMap(name) => {
                let found = facts.objects.config_map(namespace, name);
                if let Some(map) = optional(found, from.optional, facts)? {
                    map.data.iter().for_each(|(key, text)| add(key, text.clone()));
                }
            }
            ObjectSource::Secret(name) => {
                let found = facts.objects.secret(namespace, name);
                if let Some(secret) = optional(found, from.optional, facts)? {
                    for (key, bytes) in &secret.data {
                        let what = || format!("key {key} of secret \"{name}\"");
                        add(key, text_of(bytes.clone(), what)?);
                    }
                }
            }
        }
        Ok(())
    }

    fn value_of(&self, name: &str) -> Option<&str> {
        let own = self.places.get(name).and_then(|place| self.own[*place].as_ref());
        let found = own.or_else(|| self.services.iter().find(|(known, _)| known == name));
        found.map(|(_, value)| value.as_str())
    }

    fn expand(&mut self, text: &str, place: impl FnOnce() -> String) -> Result<String, EnvironmentError> {
        let mut growth = std::mem::take(&mut self.growth);
        let expanded = expand(text, |name| self.value_of(name), &mut growth);
        self.growth = growth;
        expanded.map_err(|source| EnvironmentError::TooLong {
            place: place(),
            source,
        })
    }

    fn expand_all(&mut self, texts: &[String], place: &str) -> Result<Vec<String>, EnvironmentError> {
        texts
            .iter()
            .map(|text| self.expand(text, || place.to_owned()))
            .collect()
    }

    fn finish(self) -> Vec<(String, String)> {
        let places = self.places;
        let services = self
            .services
            .iter()
            .filter(|(name, _)| !places.contains_key(name));
        self.own.into_iter().flatten().chain(services.cloned()).collect()
    }
}
