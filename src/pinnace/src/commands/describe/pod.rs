//! A pod, and a template of pods, as `kubectl describe` shows them.

use serde_json::Value;

use super::super::row::{age, text};
use super::super::tabs::Tabs;
use super::fields::{amounts, capital, list, or_none, pairs, shown, time};
use super::volumes;

/// All of a pod but its events.
pub fn describe(pod: &Value, tabs: &mut Tabs) {
    tabs.field(0, "Name", &text(pod, "/metadata/name"));
    tabs.field(0, "Namespace", &text(pod, "/metadata/namespace"));
    let priority = pod.pointer("/spec/priority").and_then(Value::as_i64).unwrap_or(0);
    tabs.field(0, "Priority", &priority.to_string());
    given(pod, "Service Account", "/spec/serviceAccountName", tabs);
    let (node, address) = (text(pod, "/spec/nodeName"), text(pod, "/status/hostIP"));
    let node = or_none(match address.as_str() {
        "" => node,
        address => format!("{node}/{address}"),
    });
    tabs.field(0, "Node", &node);
    let started = time(pod, "/status/startTime");
    if !started.is_empty() {
        tabs.field(0, "Start Time", &started);
    }
    tabs.field(0, "Labels", &pairs(pod.pointer("/metadata/labels"), "="));
    tabs.field(
        0,
        "Annotations",
        &pairs(pod.pointer("/metadata/annotations"), ": "),
    );
    standing(pod, tabs);
    containers(pod, "/spec", Some("/status"), tabs);
    conditions(pod, tabs);
    volumes::describe(pod, "/spec/volumes", tabs);
    given(pod, "QoS Class", "/status/qosClass", tabs);
    placement(pod, "/spec", tabs);
}

fn given(object: &Value, title: &str, path: &str, tabs: &mut Tabs) {
    let value = text(object, path);
    if !value.is_empty() {
        tabs.field(0, title, &value);
    }
}

/// Phase, reason, addresses, owner.
fn standing(pod: &Value, tabs: &mut Tabs) {
    if pod.pointer("/metadata/deletionTimestamp").is_some() {
        let since = age(&text(pod, "/metadata/deletionTimestamp"));
        tabs.field(0, "Status", &format!("Terminating (lasts {since})"));
        let grace = pod.pointer("/metadata/deletionGracePeriodSeconds");
        tabs.field(
            0,
            "Termination Grace Period",
            &format!("{}s", grace.map(shown).unwrap_or_default()),
        );
    } else {
        tabs.field(0, "Status", &text(pod, "/status/phase"));
    }
    given(pod, "Reason", "/status/reason", tabs);
    given(pod, "Message", "/status/message", tabs);
    tabs.field(0, "IP", &text(pod, "/status/podIP"));
    let addresses: Vec<String> = list(pod, "/status/podIPs").map(|one| text(one, "/ip")).collect();
    if addresses.is_empty() {
        tabs.field(0, "IPs", "<none>");
    } else {
        tabs.title(0, "IPs");
        addresses.iter().for_each(|address| tabs.field(1, "IP", address));
    }
    let owner = list(pod, "/metadata/ownerReferences").find(|owner| owner["controller"] == true);
    if let Some(owner) = owner {
        tabs.field(
            0,
            "Controlled By",
            &format!("{}/{}", text(owner, "/kind"), text(owner, "/name")),
        );
    }
}

/// The containers of the pod's spec at `spec`, with their states where there is a status.
pub fn containers(object: &Value, spec: &str, status: Option<&str>, tabs: &mut Tabs) {
    for (title, containers, statuses) in [
        ("Init Containers", "initContainers", "initContainerStatuses"),
        ("Containers", "containers", "containerStatuses"),
    ] {
        let mut all = list(object, &format!("{spec}/{containers}")).peekable();
        if all.peek().is_none() {
            continue;
        }
        tabs.title(0, title);
        for container in all {
            let status = status.and_then(|status| {
                list(object, &format!("{status}/{statuses}")).find(|one| one["name"] == container["name"])
            });
            self::container(container, status, tabs);
        }
    }
}

fn container(container: &Value, status: Option<&Value>, tabs: &mut Tabs) {
    tabs.title(1, &text(container, "/name"));
    if let Some(status) = status {
        tabs.field(2, "Container ID", &text(status, "/containerID"));
    }
    tabs.field(2, "Image", &text(container, "/image"));
    if let Some(status) = status {
        tabs.field(2, "Image ID", &text(status, "/imageID"));
    }
    ports(container, tabs);
    for (title, path) in [("Command", "/command"), ("Args", "/args")] {
        let mut words = list(container, path).peekable();
        if words.peek().is_some() {
            tabs.title(2, title);
            for word in words {
                shown(word).lines().for_each(|line| tabs.line(3, [line]));
            }
        }
    }
    if let Some(status) = status {
        state("State", status.get("state"), tabs);
        if status["lastState"]
            .as_object()
            .is_some_and(|last| !last.is_empty())
        {
            state("Last State", status.get("lastState"), tabs);
        }
        tabs.field(2, "Ready", capital(status.get("ready")));
        tabs.field(
            2,
            "Restart Count",
            &status["restartCount"].as_u64().unwrap_or(0).to_string(),
        );
    }
    amounts(2, "Limits", container.pointer("/resources/limits"), tabs);
    amounts(2, "Requests", container.pointer("/resources/requests"), tabs);
    environment(container, tabs);
    mounts(container, tabs);
}

fn ports(container: &Value, tabs: &mut Tabs) {
    let told = |field: &str| {
        let port = |port: &Value| {
            let protocol = text(port, "/protocol");
            format!("{}/{protocol}", port[field].as_u64().unwrap_or(0))
        };
        or_none(list(container, "/ports").map(port).collect::<Vec<_>>().join(", "))
    };
    let several = if list(container, "/ports").count() > 1 {
        "s"
    } else {
        ""
    };
    tabs.field(2, &format!("Port{several}"), &told("containerPort"));
    tabs.field(2, &format!("Host Port{several}"), &told("hostPort"));
}

fn state(title: &str, state: Option<&Value>, tabs: &mut Tabs) {
    let part = |kind: &str| state.and_then(|state| state.get(kind));
    if let Some(running) = part("running") {
        tabs.field(2, title, "Running");
        tabs.field(3, "Started", &time(running, "/startedAt"));
    } else if let Some(ended) = part("terminated") {
        tabs.field(2, title, "Terminated");
        for (title, path) in [("Reason", "/reason"), ("Message", "/message")] {
            let why = text(ended, path);
            if !why.is_empty() {
                tabs.field(3, title, &why);
            }
        }
        tabs.field(
            3,
            "Exit Code",
            &ended["exitCode"].as_i64().unwrap_or(0).to_string(),
        );
        if let Some(signal) = ended["signal"].as_i64().filter(|signal| *signal > 0) {
            tabs.field(3, "Signal", &signal.to_string());
        }
        tabs.field(3, "Started", &time(ended, "/startedAt"));
        tabs.field(3, "Finished", &time(ended, "/finishedAt"));
    } else {
        tabs.field(2, title, "Waiting");
        let reason = part("waiting")
            .map(|waiting| text(waiting, "/reason"))
            .unwrap_or_default();
        if !reason.is_empty() {
            tabs.field(3, "Reason", &reason);
        }
    }
}

fn environment(container: &Value, tabs: &mut Tabs) {
    if list(container, "/env").next().is_none() {
        tabs.field(2, "Environment", "<none>");
        return;
    }
    tabs.title(2, "Environment");
    for variable in list(container, "/env") {
        let reference = |path: &str, what: &str| {
            let source = variable.pointer(&format!("/valueFrom/{path}"))?;
            let (key, name) = (text(source, "/key"), text(source, "/name"));
            let optional = capital(source.get("optional"));
            Some(format!(
                "<set to the key '{key}' {what} '{name}'>  Optional: {}",
                optional.to_lowercase()
            ))
        };
        let field = variable
            .pointer("/valueFrom/fieldRef")
            .map(|field| format!("({}:{})", text(field, "/apiVersion"), text(field, "/fieldPath")));
        let value = reference("configMapKeyRef", "of config map")
            .or_else(|| reference("secretKeyRef", "in secret"))
            .or(field)
            .or_else(|| {
                variable
                    .pointer("/valueFrom/resourceFieldRef")
                    .map(|one| text(one, "/resource"))
            })
            .unwrap_or_else(|| text(variable, "/value"));
        tabs.field(3, &text(variable, "/name"), &value);
    }
}

fn mounts(container: &Value, tabs: &mut Tabs) {
    if list(container, "/volumeMounts").next().is_none() {
        tabs.field(2, "Mounts", "<none>");
        return;
    }
    tabs.title(2, "Mounts");
    for mount in list(container, "/volumeMounts") {
        let mut flags = if mount["readOnly"] == true { "ro" } else { "rw" }.to_owned();
        let sub_path = text(mount, "/subPath");
        if !sub_path.is_empty() {
            flags.push_str(&format!(",path={sub_path:?}"));
        }
        let line = format!(
            "{} from {} ({flags})",
            text(mount, "/mountPath"),
            text(mount, "/name")
        );
        tabs.line(3, [line.as_str()]);
    }
}

fn conditions(pod: &Value, tabs: &mut Tabs) {
    if list(pod, "/status/conditions").next().is_none() {
        return;
    }
    tabs.title(0, "Conditions");
    tabs.line(1, ["Type", "Status"]);
    for condition in list(pod, "/status/conditions") {
        tabs.line(
            1,
            [text(condition, "/type").as_str(), &text(condition, "/status")],
        );
    }
}

/// Where the pod may run.
pub fn placement(object: &Value, spec: &str, tabs: &mut Tabs) {
    tabs.field(
        0,
        "Node-Selectors",
        &pairs(object.pointer(&format!("{spec}/nodeSelector")), "="),
    );
    let tolerations: Vec<String> = list(object, &format!("{spec}/tolerations"))
        .map(toleration)
        .collect();
    tabs.field(0, "Tolerations", &or_none(tolerations.join("\n")));
}

fn toleration(given: &Value) -> String {
    let mut told = text(given, "/key");
    let mut add = |before: &str, value: String| {
        if !value.is_empty() {
            told.push_str(before);
            told.push_str(&value);
        }
    };
    add("=", text(given, "/value"));
    add(":", text(given, "/effect"));
    if given["operator"] == "Exists" && text(given, "/value").is_empty() {
        add(" ", "op=Exists".to_owned());
    }
    if let Some(seconds) = given["tolerationSeconds"].as_i64() {
        add(" for ", format!("{seconds}s"));
    }
    told.trim_start().to_owned()
}
