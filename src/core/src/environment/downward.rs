//! What the downward API tells of a pod: its fields, and what its containers ask for and may use.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;

use pinnace_api::pod::Container;
use pinnace_api::pod::environment::{FieldSelector, ResourceField, ResourceSelector};

use super::Facts;

/// A field's text; of a label or annotation that is not there, an empty one.
pub fn field(selector: &FieldSelector, facts: &Facts<'_>) -> String {
    let meta = &facts.pod.meta;
    match selector {
        FieldSelector::Name => meta.name.to_string(),
        FieldSelector::Namespace => meta.namespace.to_string(),
        FieldSelector::Uid => facts.uid.to_string(),
        FieldSelector::Label(key) => value_of(&meta.labels, key),
        FieldSelector::Annotation(key) => value_of(&meta.annotations, key),
        FieldSelector::Labels => lines(&meta.labels),
        FieldSelector::Annotations => lines(&meta.annotations),
        FieldSelector::NodeName => facts.node.name.to_string(),
        FieldSelector::ServiceAccountName => {
            let name = facts.pod.spec.service_account_name.as_deref();
            name.unwrap_or("default").to_owned()
        }
        FieldSelector::HostIp => first(&facts.node.facts.addresses),
        FieldSelector::HostIps => all(&facts.node.facts.addresses),
        FieldSelector::PodIp => first(facts.pod_ips),
        FieldSelector::PodIps => all(facts.pod_ips),
    }
}

fn value_of(values: &BTreeMap<String, String>, key: &str) -> String {
    values.get(key).cloned().unwrap_or_default()
}

/// One `key="value"` a line, the value quoted as Go quotes it; the last line has no end.
fn lines(values: &BTreeMap<String, String>) -> String {
    let lines = values
        .iter()
        .map(|(key, value)| format!("{key}={}", quoted(value)));
    lines.collect::<Vec<_>>().join("\n")
}

/// As Go's `%q` of a string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\u{b}' => quoted.push_str("\\v"),
            letter if letter.is_ascii_control() => {
                // A String takes everything.
                let _ = write!(quoted, "\\x{:02x}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

fn first(addresses: &[IpAddr]) -> String {
    addresses.first().map(IpAddr::to_string).unwrap_or_default()
}

fn all(addresses: &[IpAddr]) -> String {
    let texts: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    texts.join(",")
}

/// A request or limit in units of its divisor, rounded up. `own` is the container that asks; a volume is no
/// container's.
pub fn amount(selector: &ResourceSelector, own: Option<&Container>, facts: &Facts<'_>) -> u64 {
    let named = selector.container.as_ref();
    let container = named.map_or(own, |name| facts.pod.spec.container(name));
    let Some(resources) = container.map(|container| container.resources) else {
        return 0;
    };
    let node = facts.node.allocatable;
    let (limits, requests) = (resources.limits, resources.requests);
    let amount = match selector.resource {
        ResourceField::LimitsCpu => limits.cpu.unwrap_or(node.cpu).0,
        ResourceField::LimitsMemory => limits.memory.unwrap_or(node.memory).0,
        ResourceField::LimitsEphemeralStorage => {
            let limit = limits.ephemeral_storage;
            limit.unwrap_or(node.ephemeral_storage).0
        }
        ResourceField::RequestsCpu => requests.cpu.unwrap_or_default().0,
        ResourceField::RequestsMemory => requests.memory.unwrap_or_default().0,
        ResourceField::RequestsEphemeralStorage => requests.ephemeral_storage.unwrap_or_default().0,
    };
    amount.div_ceil(selector.divisor.max(1))
}
