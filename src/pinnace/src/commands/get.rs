//! `pinnace get`: lists as `kubectl` prints them.

use std::io::{self, Write};

use pinnace_api::Namespace;
use pinnace_server::{Client, ClientError};
use serde_json::Value;

use super::describe::last_seen;
use super::row::{age, pod_row, text};
use super::table::Table;
use crate::cli::{GetArgs, Output, Resource};

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
        Resource::Node => ("/v1/node", "nodes"),
        Resource::Events => ("/v1/events", "events"),
    }
}

/// The resource as `-o name` writes it.
fn type_name(resource: Resource) -> &'static str {
    match resource {
        Resource::Pods => "pod",
        Resource::DaemonSets => "daemonset.apps",
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
            let table = table(args.resource, &items(&object), args.output.is_some());
            if table.is_empty() {
                eprintln!("No resources found");
            } else {
                table.print(out)?;
            }
        }
    }
    Ok(())
}

fn table(resource: Resource, items: &[Value], wide: bool) -> Table {
    match resource {
        Resource::Pods => pods(items, wide),
        Resource::DaemonSets => daemonsets(items, wide),
        Resource::Node => nodes(items, wide),
        Resource::Events => events(items),
    }
}

fn pods(items: &[Value], wide: bool) -> Table {
    let mut header = vec!["NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS", "AGE"];
    if wide {
        header.extend(["IP", "NODE", "NOMINATED NODE", "READINESS GATES"]);
    }
    let mut table = Table::new(&header);
    for pod in items {
        let row = pod_row(pod);
        let mut cells = vec![text(pod, "/metadata/namespace"), text(pod, "/metadata/name")];
        cells.extend([
            row.ready,
            row.status,
            row.restarts,
            age(&text(pod, "/metadata/creationTimestamp")),
        ]);
        if wide {
            cells.extend([
                text(pod, "/status/podIP"),
                text(pod, "/spec/nodeName"),
                String::new(),
                String::new(),
            ]);
        }
        table.row(cells);
    }
    table
}

fn daemonsets(items: &[Value], wide: bool) -> Table {
    let mut header = vec![
        "NAMESPACE",
        "NAME",
        "DESIRED",
        "CURRENT",
        "READY",
        "UP-TO-DATE",
        "AVAILABLE",
        "NODE SELECTOR",
        "AGE",
    ];
    if wide {
        header.extend(["CONTAINERS", "IMAGES", "SELECTOR"]);
    }
    let mut table = Table::new(&header);
    for set in items {
        let count = |field: &str| {
            set.pointer(&format!("/status/{field}"))
                .and_then(Value::as_u64)
                .unwrap_or(0)
        };
        let mut cells = vec![text(set, "/metadata/namespace"), text(set, "/metadata/name")];
        let counts = [
            "desiredNumberScheduled",
            "currentNumberScheduled",
            "numberReady",
            "updatedNumberScheduled",
            "numberAvailable",
        ];
        cells.extend(counts.map(|field| count(field).to_string()));
        cells.push(pairs(set.pointer("/spec/template/spec/nodeSelector")));
        cells.push(age(&text(set, "/metadata/creationTimestamp")));
        if wide {
            let containers = set
                .pointer("/spec/template/spec/containers")
                .and_then(Value::as_array);
            let join = |field: &str| {
                let all = containers.into_iter().flatten().map(|one| text(one, field));
                all.collect::<Vec<_>>().join(",")
            };
            cells.extend([
                join("/name"),
                join("/image"),
                pairs(set.pointer("/spec/selector/matchLabels")),
            ]);
        }
        table.row(cells);
    }
    table
}

fn nodes(items: &[Value], wide: bool) -> Table {
    let mut header = vec!["NAME", "STATUS", "ROLES", "AGE", "VERSION"];
    if wide {
        header.extend([
            "INTERNAL-IP",
            "EXTERNAL-IP",
            "OS-IMAGE",
            "KERNEL-VERSION",
            "CONTAINER-RUNTIME",
        ]);
    }
    let mut table = Table::new(&header);
    for node in items {
        let conditions = node.pointer("/status/conditions").and_then(Value::as_array);
        let ready = conditions
            .into_iter()
            .flatten()
            .any(|one| one["type"] == "Ready" && one["status"] == "True");
        let mut cells = vec![text(node, "/metadata/name")];
        cells.push(if ready { "Ready" } else { "NotReady" }.to_owned());
        cells.push(roles(node));
        cells.push(age(&text(node, "/metadata/creationTimestamp")));
        cells.push(text(node, "/status/nodeInfo/kubeletVersion"));
        if wide {
            let addresses = node.pointer("/status/addresses").and_then(Value::as_array);
            let internal = addresses
                .into_iter()
                .flatten()
                .find(|one| one["type"] == "InternalIP");
            cells.push(internal.map(|one| text(one, "/address")).unwrap_or_default());
            cells.push(String::new());
            let info = ["osImage", "kernelVersion", "containerRuntimeVersion"];
            cells.extend(info.map(|field| text(node, &format!("/status/nodeInfo/{field}"))));
        }
        table.row(cells);
    }
    table
}

/// The roles that the node's labels name.
pub fn roles(node: &Value) -> String {
    let labels = node.pointer("/metadata/labels").and_then(Value::as_object);
    let role = |key: &String| key.strip_prefix("node-role.kubernetes.io/").map(str::to_owned);
    let roles: Vec<String> = labels
        .into_iter()
        .flatten()
        .filter_map(|(key, _)| role(key))
        .collect();
    roles.join(",")
}

fn events(items: &[Value]) -> Table {
    let mut table = Table::new(&["NAMESPACE", "LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]);
    for event in items {
        let kind = text(event, "/involvedObject/kind").to_lowercase();
        let object = format!("{kind}/{}", text(event, "/involvedObject/name"));
        table.row([
            text(event, "/metadata/namespace"),
            last_seen(event),
            text(event, "/type"),
            text(event, "/reason"),
            object,
            text(event, "/message"),
        ]);
    }
    table
}

fn pairs(map: Option<&Value>) -> String {
    let pairs = map.and_then(Value::as_object).into_iter().flatten();
    let pair = |(key, value): (&String, &Value)| format!("{key}={}", value.as_str().unwrap_or_default());
    pairs.map(pair).collect::<Vec<_>>().join(",")
}
