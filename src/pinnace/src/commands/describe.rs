//! `pinnace describe`: one object in full, and what happened to it.

use std::io::Write;

use pinnace_api::Problem;
use pinnace_server::Client;
use serde_json::Value;

use super::get::{GetError, fetch, fetch_one, items, place};
use super::row::{age, text};
use super::table::Table;
use crate::cli::{DescribeArgs, Resource};

/// Prints the object that the arguments name.
pub async fn run(client: &Client, args: &DescribeArgs, out: &mut impl Write) -> Result<(), GetError> {
    let object = match (&args.name, args.resource) {
        (_, Resource::Node) => fetch(client, Resource::Node, None).await?,
        (Some(name), resource) => fetch_one(client, resource, args.namespace.as_deref(), name).await?,
        (None, resource) => return Err(GetError::NoName(place(resource).1)),
    };
    print_fields(&object, out)?;
    if args.resource == Resource::Node {
        print_problems(&client.get("/v1/problems").await?, out)?;
    }
    let (kind, name) = (text(&object, "/kind"), text(&object, "/metadata/name"));
    let namespace = text(&object, "/metadata/namespace");
    let events = fetch(client, Resource::Events, None).await?;
    let about = |event: &&Value| {
        let is_node = kind == "Node" && text(event, "/involvedObject/kind") == "Node";
        let is_it = text(event, "/involvedObject/kind") == kind
            && text(event, "/involvedObject/name") == name
            && text(event, "/metadata/namespace") == namespace;
        is_node || is_it
    };
    let mut table = Table::new(&["  TYPE", "REASON", "AGE", "MESSAGE"]);
    for event in items(&events).iter().filter(about) {
        let count = event["count"].as_u64().unwrap_or(1);
        let mut seen = age(&text(event, "/lastTimestamp"));
        if count > 1 {
            seen = format!("{seen} (x{count})");
        }
        let kind = format!("  {}", text(event, "/type"));
        table.row([kind, text(event, "/reason"), seen, text(event, "/message")]);
    }
    if table.is_empty() {
        writeln!(out, "Events:  <none>")?;
    } else {
        writeln!(out, "Events:")?;
        table.print(out)?;
    }
    Ok(())
}

/// What is wrong with the node's manifests, as `validate` says it.
fn print_problems(list: &Value, out: &mut impl Write) -> Result<(), GetError> {
    let problems = items(list)
        .into_iter()
        .filter_map(|problem| serde_json::from_value::<Problem>(problem).ok())
        .collect::<Vec<_>>();
    if problems.is_empty() {
        writeln!(out, "Manifest problems:  <none>")?;
        return Ok(());
    }
    writeln!(out, "Manifest problems:")?;
    for problem in &problems {
        write!(out, "  ")?;
        super::validate::print(problem, out)?;
    }
    Ok(())
}

/// Identity first, then spec and status as they are.
fn print_fields(object: &Value, out: &mut impl Write) -> Result<(), GetError> {
    for (title, path) in [
        ("Name", "/metadata/name"),
        ("Namespace", "/metadata/namespace"),
        ("Node", "/spec/nodeName"),
    ] {
        let value = text(object, path);
        if !value.is_empty() {
            writeln!(out, "{:<14}{value}", format!("{title}:"))?;
        }
    }
    let created = text(object, "/metadata/creationTimestamp");
    if !created.is_empty() {
        writeln!(out, "{:<14}{created} ({} ago)", "Created:", age(&created))?;
    }
    for (title, path) in [
        ("Labels", "/metadata/labels"),
        ("Annotations", "/metadata/annotations"),
        ("Spec", "/spec"),
        ("Status", "/status"),
    ] {
        let Some(value) = object.pointer(path) else {
            continue;
        };
        writeln!(out, "{title}:")?;
        for line in super::to_yaml(value).lines() {
            writeln!(out, "  {line}")?;
        }
    }
    Ok(())
}
