//! What is recorded of the node itself, because neither the host nor the configuration can show it.

use pinnace_api::{Namespace, ObjectName};

use super::Taint;
use crate::time::{BootId, Moment};

/// Written, synced and renamed before what follows from it is done (`/var/lib/pinnace/node.json`).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NodeRecord {
    /// Format of this record, 1.
    pub version: u32,
    /// The node's taints.
    pub taints: Vec<TaintSince>,
    /// Pods that these taints have ended.
    pub evicted: Vec<EvictedPod>,
    /// A drain that has not ended every pod yet.
    pub draining: Option<DrainUnderWay>,
}

impl Default for NodeRecord {
    /// Of a node that has nothing to remember.
    fn default() -> Self {
        Self {
            version: 1,
            taints: Vec::new(),
            evicted: Vec::new(),
            draining: None,
        }
    }
}

/// A taint, and since when this node has it (`timeAdded` of core/v1).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TaintSince {
    /// The taint.
    pub taint: Taint,
    /// When it was added.
    pub since: Moment,
}

/// A pod that bore a taint for as long as it would.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EvictedPod {
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name.
    pub name: ObjectName,
    /// Digest of its document: a changed manifest is another pod.
    pub document: String,
}

/// A drain; a restart of the machine is its end.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DrainUnderWay {
    /// The boot in which it was ordered.
    pub boot: BootId,
    /// Overrides each pod's own grace period.
    pub grace_period_seconds: Option<u32>,
}
