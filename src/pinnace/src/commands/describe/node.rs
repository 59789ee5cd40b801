//! The node as `kubectl describe` shows it: what it has, and what its pods ask of it.

use pinnace_api::{Bytes, MilliCpu, Quantity};
use serde_json::Value;

use super::super::get::roles;
use super::super::row::{age, text};
use super::super::tabs::Tabs;
use super::fields::{amounts, list, or_none, pairs, time};

/// All of the node but its manifests' problems and events; `pods` are all of the node.
pub fn describe(node: &Value, pods: &[Value], tabs: &mut Tabs) {
    tabs.field(0, "Name", &text(node, "/metadata/name"));
    tabs.field(0, "Roles", &or_none(roles(node)));
    tabs.field(0, "Labels", &pairs(node.pointer("/metadata/labels"), "="));
    tabs.field(
        0,
        "Annotations",
        &pairs(node.pointer("/metadata/annotations"), ": "),
    );
    tabs.field(0, "CreationTimestamp", &time(node, "/metadata/creationTimestamp"));
    let taints: Vec<String> = list(node, "/spec/taints").map(taint).collect();
    tabs.field(0, "Taints", &or_none(taints.join("\n")));
    let unschedulable = node.pointer("/spec/unschedulable") == Some(&Value::Bool(true));
    tabs.field(0, "Unschedulable", &unschedulable.to_string());
    conditions(node, tabs);
    tabs.title(0, "Addresses");
    for address in list(node, "/status/addresses") {
        tabs.field(1, &text(address, "/type"), &text(address, "/address"));
    }
    amounts(0, "Capacity", node.pointer("/status/capacity"), tabs);
    amounts(0, "Allocatable", node.pointer("/status/allocatable"), tabs);
    system(node, tabs);
    allocated(node, pods, tabs);
}

fn taint(taint: &Value) -> String {
    let (key, value, effect) = (text(taint, "/key"), text(taint, "/value"), text(taint, "/effect"));
    match value.as_str() {
        "" => format!("{key}:{effect}"),
        value => format!("{key}={value}:{effect}"),
    }
}

fn conditions(node: &Value, tabs: &mut Tabs) {
    tabs.title(0, "Conditions");
    tabs.line(
        1,
        [
            "Type",
            "Status",
            "LastHeartbeatTime",
            "LastTransitionTime",
            "Reason",
            "Message",
        ],
    );
    tabs.line(
        1,
        [
            "----",
            "------",
            "-----------------",
            "------------------",
            "------",
            "-------",
        ],
    );
    for condition in list(node, "/status/conditions") {
        let cells = [
            text(condition, "/type"),
            text(condition, "/status"),
            time(condition, "/lastHeartbeatTime"),
            time(condition, "/lastTransitionTime"),
            text(condition, "/reason"),
            text(condition, "/message"),
        ];
        tabs.line(1, cells.iter().map(String::as_str));
    }
}

fn system(node: &Value, tabs: &mut Tabs) {
    tabs.title(0, "System Info");
    for (title, field) in [
        ("Machine ID", "machineID"),
        ("System UUID", "systemUUID"),
        ("Boot ID", "bootID"),
        ("Kernel Version", "kernelVersion"),
        ("OS Image", "osImage"),
        ("Operating System", "operatingSystem"),
        ("Architecture", "architecture"),
        ("Container Runtime Version", "containerRuntimeVersion"),
        ("Kubelet Version", "kubeletVersion"),
    ] {
        tabs.field(1, title, &text(node, &format!("/status/nodeInfo/{field}")));
    }
}

/// What pods ask for and may take.
#[derive(Default, Clone, Copy)]
struct Taken {
    cpu_requests: u64,
    cpu_limits: u64,
    memory_requests: u64,
    memory_limits: u64,
}

impl Taken {
    fn of(pod: &Value) -> Self {
        let mut taken = Self::default();
        for container in list(pod, "/spec/containers") {
            let amount = |path: &str| container.pointer(path).and_then(quantity);
            let cpu = |path| {
                amount(path)
                    .and_then(|cpu| cpu.milli_cpu().ok())
                    .map_or(0, |cpu| cpu.0)
            };
            let memory = |path| {
                amount(path)
                    .and_then(|memory| memory.bytes().ok())
                    .map_or(0, |bytes| bytes.0)
            };
            taken = taken.and(Self {
                cpu_requests: cpu("/resources/requests/cpu"),
                cpu_limits: cpu("/resources/limits/cpu"),
                memory_requests: memory("/resources/requests/memory"),
                memory_limits: memory("/resources/limits/memory"),
            });
        }
        taken
    }

    fn and(self, other: Self) -> Self {
        Self {
            cpu_requests: self.cpu_requests.saturating_add(other.cpu_requests),
            cpu_limits: self.cpu_limits.saturating_add(other.cpu_limits),
            memory_requests: self.memory_requests.saturating_add(other.memory_requests),
            memory_limits: self.memory_limits.saturating_add(other.memory_limits),
        }
    }

    /// Amounts with their share of what the node gives: cpu, then memory; requests, then limits.
    fn told(self, node: &Value) -> [String; 4] {
        let all = |path: &str| node.pointer(path).and_then(quantity);
        let cpu = all("/status/allocatable/cpu").and_then(|cpu| cpu.milli_cpu().ok());
        let memory = all("/status/allocatable/memory").and_then(|memory| memory.bytes().ok());
        let share = |part: u64, whole: u64| {
            let percent = u128::from(part) * 100 / u128::from(whole.max(1));
            format!("({percent}%)")
        };
        let of_cpu = |part| format!("{} {}", MilliCpu(part), share(part, cpu.map_or(0, |cpu| cpu.0)));
        let of_memory = |part| {
            format!(
                "{} {}",
                Bytes(part),
                share(part, memory.map_or(0, |bytes| bytes.0))
            )
        };
        [
            of_cpu(self.cpu_requests),
            of_cpu(self.cpu_limits),
            of_memory(self.memory_requests),
            of_memory(self.memory_limits),
        ]
    }
}

fn quantity(value: &Value) -> Option<Quantity> {
    value.as_str().and_then(|text| text.parse().ok())
}

/// The pods that take room here, and the sum of it.
fn allocated(node: &Value, pods: &[Value], tabs: &mut Tabs) {
    let here = |pod: &&Value| {
        let ended = ["Succeeded", "Failed"].contains(&text(pod, "/status/phase").as_str());
        !ended && !text(pod, "/spec/nodeName").is_empty()
    };
    let here: Vec<&Value> = pods.iter().filter(here).collect();
    tabs.field(0, "Non-terminated Pods", &format!("({} in total)", here.len()));
    tabs.line(
        1,
        [
            "Namespace",
            "Name",
            "CPU Requests",
            "CPU Limits",
            "Memory Requests",
            "Memory Limits",
            "Age",
        ],
    );
    tabs.line(
        1,
        [
            "---------",
            "----",
            "------------",
            "----------",
            "---------------",
            "-------------",
            "---",
        ],
    );
    let mut sum = Taken::default();
    for pod in here {
        let taken = Taken::of(pod);
        sum = sum.and(taken);
        let [cpu, cpu_limit, memory, memory_limit] = taken.told(node);
        let (namespace, name) = (text(pod, "/metadata/namespace"), text(pod, "/metadata/name"));
        let age = age(&text(pod, "/metadata/creationTimestamp"));
        tabs.line(
            1,
            [&*namespace, &name, &cpu, &cpu_limit, &memory, &memory_limit, &age],
        );
    }
    tabs.title(0, "Allocated resources");
    tabs.line(
        1,
        ["(Total limits may be over 100 percent, i.e., overcommitted.)"],
    );
    tabs.line(1, ["Resource", "Requests", "Limits"]);
    tabs.line(1, ["--------", "--------", "------"]);
    let [cpu, cpu_limit, memory, memory_limit] = sum.told(node);
    tabs.line(1, ["cpu", &cpu, &cpu_limit]);
    tabs.line(1, ["memory", &memory, &memory_limit]);
}
