//! The table of each kind.

use serde_json::Value;

use super::super::describe::last_seen;
use super::super::row::{age, pod_row, text};
use super::super::table::Table;
use super::services;
use crate::cli::Resource;

/// The table of a resource's objects.
pub(super) fn of(resource: Resource, items: &[Value], wide: bool) -> Table {
    match resource {
        Resource::Pods => pods(items, wide),
        Resource::DaemonSets => daemonsets(items, wide),
        Resource::Services => services::services(items, wide),
        Resource::Endpoints => services::endpoints(items),
        Resource::EndpointSlices => services::slices(items),
        Resource::ConfigMaps => config_maps(items),
        Resource::Secrets => secrets(items),
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

/// How many keys a field has.
fn keys(object: &Value, field: &str) -> usize {
    object
        .get(field)
        .and_then(Value::as_object)
        .map_or(0, serde_json::Map::len)
}

fn config_maps(items: &[Value]) -> Table {
    let mut table = Table::new(&["NAMESPACE", "NAME", "DATA", "AGE"]);
    for map in items {
        table.row([
            text(map, "/metadata/namespace"),
            text(map, "/metadata/name"),
            (keys(map, "data") + keys(map, "binaryData")).to_string(),
            age(&text(map, "/metadata/creationTimestamp")),
        ]);
    }
    table
}

fn secrets(items: &[Value]) -> Table {
    let mut table = Table::new(&["NAMESPACE", "NAME", "TYPE", "DATA", "AGE"]);
    for secret in items {
        table.row([
            text(secret, "/metadata/namespace"),
            text(secret, "/metadata/name"),
            text(secret, "/type"),
            keys(secret, "data").to_string(),
            age(&text(secret, "/metadata/creationTimestamp")),
        ]);
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

/// A map's pairs in one line.
pub(super) fn pairs(map: Option<&Value>) -> String {
    let pairs = map.and_then(Value::as_object).into_iter().flatten();
    let pair = |(key, value): (&String, &Value)| format!("{key}={}", value.as_str().unwrap_or_default());
    pairs.map(pair).collect::<Vec<_>>().join(",")
}
