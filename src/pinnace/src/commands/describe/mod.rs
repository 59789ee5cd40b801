//! `pinnace describe`: one object in full, or all of a kind, and what happened to them, as `kubectl describe`
//! lays it out.

mod daemonset;
mod data;
mod fields;
mod node;
mod pod;
mod service;
mod volumes;

use std::io::Write;

use pinnace_api::Problem;
use pinnace_server::Client;
use serde_json::Value;

use super::get::{GetError, fetch, fetch_one, items};
use super::row::{age, text};
use super::tabs::Tabs;
use crate::cli::{DescribeArgs, Resource};

/// Prints the objects that the arguments name.
pub async fn run(client: &Client, args: &DescribeArgs, out: &mut impl Write) -> Result<(), GetError> {
    let namespace = args.namespace.as_ref();
    let objects = match &args.name {
        Some(name) => vec![fetch_one(client, args.resource, namespace, name).await?],
        None => items(&fetch(client, args.resource, namespace).await?),
    };
    if objects.is_empty() {
        eprintln!("No resources found");
        return Ok(());
    }
    let events = items(&fetch(client, Resource::Events, None).await?);
    let pods = match args.resource {
        Resource::Node | Resource::DaemonSets => items(&fetch(client, Resource::Pods, None).await?),
        _ => Vec::new(),
    };
    let endpoints = match args.resource {
        Resource::Services => items(&fetch(client, Resource::Endpoints, None).await?),
        _ => Vec::new(),
    };
    for (index, object) in objects.iter().enumerate() {
        if index > 0 {
            writeln!(out, "\n")?;
        }
        let mut tabs = Tabs::default();
        match args.resource {
            Resource::Pods => pod::describe(object, &mut tabs),
            Resource::DaemonSets => daemonset::describe(object, &pods, &mut tabs),
            Resource::Services => service::describe(object, &endpoints, &mut tabs),
            Resource::Endpoints => service::endpoints(object, &mut tabs),
            Resource::EndpointSlices => service::slice(object, &mut tabs),
            Resource::ConfigMaps => data::config_map(object, &mut tabs),
            Resource::Secrets => data::secret(object, &mut tabs),
            Resource::Node => node::describe(object, &pods, &mut tabs),
            Resource::Events => event(object, &mut tabs),
        }
        if args.resource == Resource::Node {
            problems(&client.get("/v1/problems").await?, &mut tabs);
        }
        if !matches!(args.resource, Resource::Events | Resource::Secrets) {
            happened(object, &events, &mut tabs);
        }
        tabs.print(out)?;
    }
    Ok(())
}

/// A cluster's objects of these kinds have none; here one says why the node does not do what they ask for.
fn conditions(object: &Value, tabs: &mut Tabs) {
    if fields::list(object, "/status/conditions").next().is_none() {
        return;
    }
    tabs.title(0, "Conditions");
    tabs.line(1, ["Type", "Status", "Reason", "Message"]);
    tabs.line(1, ["----", "------", "------", "-------"]);
    for condition in fields::list(object, "/status/conditions") {
        let cells = ["/type", "/status", "/reason", "/message"].map(|path| text(condition, path));
        tabs.line(1, cells.iter().map(String::as_str));
    }
}

/// What is wrong with the node's manifests, as `validate` says it.
fn problems(list: &Value, tabs: &mut Tabs) {
    let problems = items(list)
        .into_iter()
        .filter_map(|problem| serde_json::from_value::<Problem>(problem).ok())
        .collect::<Vec<_>>();
    if problems.is_empty() {
        tabs.field(0, "Manifest Problems", "<none>");
        return;
    }
    tabs.title(0, "Manifest Problems");
    for problem in &problems {
        tabs.line(1, [super::validate::told(problem).as_str()]);
    }
}

/// The events about an object.
fn happened(object: &Value, events: &[Value], tabs: &mut Tabs) {
    let (kind, name) = (text(object, "/kind"), text(object, "/metadata/name"));
    let namespace = text(object, "/metadata/namespace");
    let about = |event: &&Value| {
        text(event, "/involvedObject/kind") == kind
            && (kind == "Node"
                || text(event, "/involvedObject/name") == name
                    && text(event, "/metadata/namespace") == namespace)
    };
    let about: Vec<&Value> = events.iter().filter(about).collect();
    if about.is_empty() {
        tabs.field(0, "Events", "<none>");
        return;
    }
    tabs.title(0, "Events");
    tabs.line(1, ["Type", "Reason", "Age", "From", "Message"]);
    tabs.line(1, ["----", "------", "----", "----", "-------"]);
    for event in about {
        tabs.line(
            1,
            [
                text(event, "/type").as_str(),
                &text(event, "/reason"),
                &last_seen(event),
                &text(event, "/source/component"),
                text(event, "/message").trim(),
            ],
        );
    }
}

/// How long ago an event was, and how often since when.
pub fn last_seen(event: &Value) -> String {
    let seen = age(&text(event, "/lastTimestamp"));
    match event["count"].as_u64() {
        Some(count) if count > 1 => {
            let first = age(&text(event, "/firstTimestamp"));
            format!("{seen} (x{count} over {first})")
        }
        _ => seen,
    }
}

fn event(event: &Value, tabs: &mut Tabs) {
    for (title, path) in [
        ("Name", "/metadata/name"),
        ("Namespace", "/metadata/namespace"),
        ("Type", "/type"),
        ("Reason", "/reason"),
        ("Kind", "/involvedObject/kind"),
        ("Object", "/involvedObject/name"),
        ("Message", "/message"),
    ] {
        tabs.field(0, title, &text(event, path));
    }
    tabs.field(0, "Last Seen", &last_seen(event));
}
