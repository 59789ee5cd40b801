//! A DaemonSet as `kubectl describe` shows it, and why it has no pod here, if so.

use serde_json::Value;

use super::super::row::text;
use super::super::tabs::Tabs;
use super::fields::{list, pairs};
use super::{conditions, pod, volumes};

const TEMPLATE: &str = "/spec/template";

/// All of a DaemonSet but its events; `pods` are all of the node.
pub fn describe(set: &Value, pods: &[Value], tabs: &mut Tabs) {
    tabs.field(0, "Name", &text(set, "/metadata/name"));
    tabs.field(0, "Namespace", &text(set, "/metadata/namespace"));
    let selector = pairs(set.pointer("/spec/selector/matchLabels"), "=").replace('\n', ",");
    tabs.field(0, "Selector", &selector);
    let wanted = pairs(set.pointer("/spec/template/spec/nodeSelector"), "=");
    tabs.field(0, "Node-Selector", &wanted.replace('\n', ","));
    tabs.field(0, "Labels", &pairs(set.pointer("/metadata/labels"), "="));
    tabs.field(
        0,
        "Annotations",
        &pairs(set.pointer("/metadata/annotations"), ": "),
    );
    counts(set, tabs);
    phases(set, pods, tabs);
    conditions(set, tabs);
    tabs.title(0, "Pod Template");
    tabs.field(
        1,
        "Labels",
        &pairs(set.pointer(&format!("{TEMPLATE}/metadata/labels")), "="),
    );
    let annotations = set.pointer(&format!("{TEMPLATE}/metadata/annotations"));
    if annotations.is_some() {
        tabs.field(1, "Annotations", &pairs(annotations, ": "));
    }
    let spec = format!("{TEMPLATE}/spec");
    tabs.shift(1);
    pod::containers(set, &spec, None, tabs);
    volumes::describe(set, &format!("{spec}/volumes"), tabs);
    pod::placement(set, &spec, tabs);
    tabs.shift(0);
}

fn counts(set: &Value, tabs: &mut Tabs) {
    for (title, field) in [
        ("Desired Number of Nodes Scheduled", "desiredNumberScheduled"),
        ("Current Number of Nodes Scheduled", "currentNumberScheduled"),
        (
            "Number of Nodes Scheduled with Up-to-date Pods",
            "updatedNumberScheduled",
        ),
        ("Number of Nodes Scheduled with Available Pods", "numberAvailable"),
        ("Number of Nodes Misscheduled", "numberMisscheduled"),
    ] {
        let count = set.pointer(&format!("/status/{field}")).and_then(Value::as_u64);
        tabs.line(0, [format!("{title}: {}", count.unwrap_or(0)).as_str()]);
    }
}

fn phases(set: &Value, pods: &[Value], tabs: &mut Tabs) {
    let owned = |pod: &&Value| {
        let owner = |owner: &Value| owner["kind"] == "DaemonSet" && owner["name"] == set["metadata"]["name"];
        pod["metadata"]["namespace"] == set["metadata"]["namespace"]
            && list(pod, "/metadata/ownerReferences").any(owner)
    };
    let count = |phase: &str| {
        let of_phase = |pod: &&Value| text(pod, "/status/phase") == phase;
        pods.iter().filter(owned).filter(of_phase).count()
    };
    let (running, waiting) = (count("Running"), count("Pending"));
    let (succeeded, failed) = (count("Succeeded"), count("Failed"));
    let told = format!("{running} Running / {waiting} Waiting / {succeeded} Succeeded / {failed} Failed");
    tabs.field(0, "Pods Status", &told);
}
