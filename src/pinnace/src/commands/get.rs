//! `pinnace get`: lists as `kubectl` prints them.

pub mod services;
mod tables;

use std::io::{self, Write};

use pinnace_api::Namespace;
use pinnace_server::{Client, ClientError};
use serde_json::Value;

use super::row::text;
use crate::cli::{GetArgs, Output, Resource};
pub use tables::roles;

/// Why nothing was listed.
#[derive(Debug, thiserror::Error)]
pub enum GetError {
    /// The agent refused or does not run.
    #[error(transparent)]
    Agent(#[from] ClientError),
    /// No object of this name.
    #[error("{kind} {name:?} not found")]
    NotFound {
        /// `pods`, `daemonsets`.
        kind: &'static str,
        /// The name asked for.
        name: String,
    },
    /// Several namespaces have an object of this name.
    #[error("{kind} {name:?} exists in several namespaces: add -n NAMESPACE")]
    Ambiguous {
        /// `pods`, `daemonsets`.
        kind: &'static str,
        /// The name asked for.
        name: String,
    },
    /// Standard output is closed or full.
    #[error("write to standard output")]
    Write(#[from] io::Error),
}

/// The path of a resource's list, and its plural.
fn place(resource: Resource) -> (&'static str, &'static str) {
    match resource {
        Resource::Pods => ("/v1/pods", "pods"),
        Resource::DaemonSets => ("/v1/daemonsets", "daemonsets"),
        Resource::Services => ("/v1/services", "services"),
        Resource::Endpoints => ("/v1/endpoints", "endpoints"),
        Resource::EndpointSlices => ("/v1/endpointslices", "endpointslices"),
        Resource::ConfigMaps => ("/v1/configmaps", "configmaps"),
        Resource::Secrets => ("/v1/secrets", "secrets"),
        Resource::Node => ("/v1/node", "nodes"),
        Resource::Events => ("/v1/events", "events"),
    }
}

/// The resource as `-o name` writes it.
fn type_name(resource: Resource) -> &'static str {
    match resource {
        Resource::Pods => "pod",
        Resource::DaemonSets => "daemonset.apps",
        Resource::Services => "service",
        Resource::Endpoints => "endpoints",
        Resource::EndpointSlices => "endpointslice.discovery.k8s.io",
        Resource::ConfigMaps => "configmap",
        Resource::Secrets => "secret",
        Resource::Node => "node",
        Resource::Events => "event",
    }
}

/// The objects asked for, as a list object.
pub async fn fetch(
    client: &Client,
    resource: Resource,
    namespace: Option<&Namespace>,
) -> Result<Value, ClientError> {
    let (path, _) = place(resource);
    match namespace.filter(|_| resource != Resource::Node) {
        Some(namespace) => client.get(&format!("{path}?namespace={namespace}")).await,
        None => client.get(path).await,
    }
}

/// The one object of this name.
pub async fn fetch_one(
    client: &Client,
    resource: Resource,
    namespace: Option<&Namespace>,
    name: &str,
) -> Result<Value, GetError> {
    let (_, kind) = place(resource);
    let list = fetch(client, resource, namespace).await?;
    let mut found: Vec<Value> = items(&list)
        .into_iter()
        .filter(|item| text(item, "/metadata/name") == name)
        .collect();
    let namespaces: std::collections::BTreeSet<String> = found
        .iter()
        .map(|item| text(item, "/metadata/namespace"))
        .collect();
    if namespaces.len() > 1 {
        return Err(GetError::Ambiguous {
            kind,
            name: name.to_owned(),
        });
    }
    // Of an ending pod and its successor the newest is meant.
    found.pop().ok_or_else(|| GetError::NotFound {
        kind,
        name: name.to_owned(),
    })
}

/// The items of a list; of a single object, that one.
pub fn items(list: &Value) -> Vec<Value> {
    match list.get("items").and_then(Value::as_array) {
        Some(items) => items.clone(),
        None => vec![list.clone()],
    }
}

/// Prints what the arguments ask for.
pub async fn run(client: &Client, args: &GetArgs, out: &mut impl Write) -> Result<(), GetError> {
    let namespace = args.namespace.as_ref().filter(|_| !args.all_namespaces);
    let object = match &args.name {
        Some(name) => fetch_one(client, args.resource, namespace, name).await?,
        None => fetch(client, args.resource, namespace).await?,
    };
    match args.output {
        Some(Output::Json) => writeln!(out, "{object:#}")?,
        Some(Output::Yaml) => out.write_all(super::to_yaml(&object).as_bytes())?,
        Some(Output::Name) => {
            for item in items(&object) {
                writeln!(
                    out,
                    "{}/{}",
                    type_name(args.resource),
                    text(&item, "/metadata/name")
                )?;
            }
        }
        None | Some(Output::Wide) => {
            let table = tables::of(args.resource, &items(&object), args.output.is_some());
            if table.is_empty() {
                eprintln!("No resources found");
            } else {
                table.print(out)?;
            }
        }
    }
    Ok(())
}
