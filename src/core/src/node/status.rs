//! The node as an object of core/v1, for `get node -o yaml`.

use serde_json::{Value, json};

use pinnace_api::Bytes;

use super::{Node, NodeResources, Taint, go_arch};
use crate::time::WallMillis;

/// What changes while the agent runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeState {
    /// `None`: ready; otherwise why not, in a sentence.
    pub not_ready: Option<String>,
    /// When that last changed.
    pub ready_since: WallMillis,
    /// When the agent first ran on this root.
    pub created_at: WallMillis,
    /// Now, as the last heartbeat.
    pub now: WallMillis,
    /// The agent's version, such as `0.1.0`.
    pub agent_version: String,
}

impl Node {
    /// The node in the shape of core/v1 `Node`.
    pub fn to_object(&self, state: &NodeState) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": self.name.as_str(),
                "labels": self.labels,
                "creationTimestamp": state.created_at.rfc3339(),
            },
            "spec": self.spec(),
            "status": {
                "addresses": self.addresses(),
                "allocatable": amounts(&self.allocatable),
                "capacity": amounts(&self.capacity),
                "conditions": [ready_condition(state)],
                "nodeInfo": self.info(state),
            },
        })
    }

    fn spec(&self) -> Value {
        let mut spec = json!({});
        if !self.taints.is_empty() {
            spec["taints"] = self.taints.iter().map(taint).collect();
        }
        if self.unschedulable {
            spec["unschedulable"] = Value::Bool(true);
        }
        spec
    }

    fn addresses(&self) -> Value {
        let internal = self
            .facts
            .addresses
            .iter()
            .map(|address| json!({"type": "InternalIP", "address": address.to_string()}));
        let hostname = json!({"type": "Hostname", "address": self.name.as_str()});
        internal.chain([hostname]).collect()
    }

    fn info(&self, state: &NodeState) -> Value {
        json!({
            "architecture": go_arch(&self.facts.machine),
            "bootID": self.facts.boot_id,
            "containerRuntimeVersion": format!("pinnace://{}", state.agent_version),
            "kernelVersion": self.facts.kernel_release,
            "kubeProxyVersion": "",
            "kubeletVersion": format!("v{}", state.agent_version),
            "machineID": self.facts.machine_id,
            "operatingSystem": "linux",
            "osImage": self.facts.os_image,
            "systemUUID": self.facts.system_uuid,
        })
    }
}

fn taint(taint: &Taint) -> Value {
    serde_json::to_value(taint).unwrap_or_default()
}

fn ready_condition(state: &NodeState) -> Value {
    let (status, reason, message) = match &state.not_ready {
        None => ("True", "KubeletReady", "pinnace is posting ready status"),
        Some(why) => ("False", "KubeletNotReady", why.as_str()),
    };
    json!({
        "type": "Ready",
        "status": status,
        "reason": reason,
        "message": message,
        "lastHeartbeatTime": state.now.rfc3339(),
        "lastTransitionTime": state.ready_since.rfc3339(),
    })
}

fn amounts(resources: &NodeResources) -> Value {
    json!({
        "cpu": resources.cpu.to_string(),
        "memory": kibibytes(resources.memory),
        "ephemeral-storage": kibibytes(resources.ephemeral_storage),
        "pods": resources.pods.to_string(),
    })
}

/// In Ki where it divides, as a node's status shows it; otherwise in bytes.
fn kibibytes(bytes: Bytes) -> String {
    if bytes.0 != 0 && bytes.0.is_multiple_of(1024) {
        format!("{}Ki", bytes.0 / 1024)
    } else {
        bytes.0.to_string()
    }
}
