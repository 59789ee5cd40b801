//! What is recorded of a pod, because the host cannot show it.

use std::collections::{BTreeMap, BTreeSet};

use pinnace_api::{ContainerName, Document, Namespace, ObjectKey, ObjectName, PodUid};

use super::live::Live;
use super::observed::Exit;
use super::tries::Failure;
use crate::time::{BootId, BootInstant, BootMillis, Moment, Now, WallMillis};

/// All that is recorded of one pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Durable.
    pub identity: PodIdentity,
    /// Gone with a reboot.
    pub progress: Progress,
    /// Why the last tries failed; in memory only, a restart of the agent tries at once.
    pub failures: BTreeMap<ContainerName, Failure>,
    /// Why the sandbox or the volumes could not be made; in memory only.
    pub pod_failure: Option<Failure>,
    /// Hooks under way and probes' verdicts; in memory only.
    pub live: Live,
}

/// Written, synced and renamed before the pod's first effect on the host (`/var/lib/pinnace/pods`).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PodIdentity {
    /// Format of this record, 1.
    pub version: u32,
    /// Random, made once.
    pub uid: PodUid,
    /// The pod's namespace.
    pub namespace: Namespace,
    /// The pod's name.
    pub name: ObjectName,
    /// What it comes from.
    pub origin: Origin,
    /// The pod's document before defaulting; `metadata` as the controller completed it.
    pub document: Document,
    /// When the pod was first taken.
    pub created_at: WallMillis,
    /// The same on the boot-time clock.
    #[serde(default)]
    pub created_boot: Option<BootInstant>,
    /// `Some` once all containers ended for good, or the pod was evicted: it never runs again.
    pub finished: Option<Finished>,
}

impl PodIdentity {
    /// When the pod was first taken, for durations.
    pub fn created(&self) -> Moment {
        Moment {
            wall: self.created_at,
            boot: self.created_boot.clone(),
        }
    }
}

/// What a pod comes from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Origin {
    /// The source that delivered it: `directory`, `url`, `api`.
    pub source: String,
    /// The controller that made it, as `DaemonSet ns/name`.
    pub owner: Option<ObjectKey>,
    /// Digest of the template it was made from, for controllers.
    pub revision: Option<String>,
}

/// A pod's end.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Finished {
    /// `Succeeded` or else `Failed`.
    pub succeeded: bool,
    /// Reason and message of the pod, where it has one (`Evicted`, `OutOfcpu`, …).
    pub reason: Option<String>,
    /// A sentence for people.
    pub message: Option<String>,
    /// How each container ended last.
    pub exits: BTreeMap<ContainerName, Exit>,
}

/// What happened in this boot (`/run/pinnace/pods/<uid>`).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Progress {
    /// Format of this record, 1.
    pub version: u32,
    /// The boot it belongs to; a record of another boot is not believed.
    pub boot: BootId,
    /// Sandboxes begun for this pod; the current one's attempt.
    pub sandbox_attempt: u32,
    /// When the sandbox before the current one was given up, for people.
    #[serde(default)]
    pub sandbox_lost: Option<WallMillis>,
    /// Per container.
    pub containers: BTreeMap<ContainerName, ContainerProgress>,
    /// Set before the first act of termination.
    pub terminating: Option<Termination>,
}

impl Progress {
    /// What is recorded of one container; of one that has not begun, nothing.
    pub fn container(&self, name: &ContainerName) -> Option<&ContainerProgress> {
        self.containers.get(name)
    }

    /// Of a pod that has not begun.
    pub fn new(boot: BootId) -> Self {
        Self {
            version: 1,
            boot,
            sandbox_attempt: 0,
            sandbox_lost: None,
            containers: BTreeMap::new(),
            terminating: None,
        }
    }
}

/// What happened to one container.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct ContainerProgress {
    /// The number the next instance gets.
    pub next_attempt: u32,
    /// `restartCount`.
    pub restart_count: u32,
    /// The newest exit that was taken note of, with the attempt that it belongs to.
    pub last_exit: Option<(u32, Exit)>,
    /// When that exit was taken note of, for the back-off.
    pub last_exit_noted: BootMillis,
    /// The delay that the next restart waits, in milliseconds after `last_exit_noted`.
    pub backoff_millis: u64,
    /// The sandbox in which it did its part before the main containers: an init container ended with success, a
    /// sidecar started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initialized_in: Option<u32>,
    /// The instance whose postStart hook went through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_started: Option<u32>,
    /// The instance that has started, by its startup probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<u32>,
    /// What its readiness probe found last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness: Option<Readiness>,
    /// Its instance is being ended while the pod goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
}

/// The newest verdict of a readiness probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Readiness {
    /// The instance.
    pub attempt: u32,
    /// The verdict.
    pub ready: bool,
    /// Since when.
    pub since: WallMillis,
}

/// An instance that is being ended, while its pod goes on.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Stop {
    /// The instance.
    pub attempt: u32,
    /// Why.
    pub cause: StopCause,
    /// When it was decided.
    pub since: BootMillis,
    /// When SIGKILL follows.
    pub deadline: BootMillis,
    /// When the stop signal was sent.
    #[serde(default)]
    pub signalled: Option<BootMillis>,
    /// When SIGKILL was sent last.
    #[serde(default)]
    pub killed: Option<BootMillis>,
}

/// Why an instance is ended while its pod goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum StopCause {
    /// Its startup probe failed.
    Startup,
    /// Its liveness probe failed.
    Liveness,
    /// Its postStart hook failed.
    PostStart,
}

/// A termination under way.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Termination {
    /// When it was decided.
    pub since: Now,
    /// When SIGKILL follows.
    pub deadline: BootMillis,
    /// The pod stays listed as Failed with this reason; `None`: it is removed altogether.
    #[serde(default)]
    pub eviction: Option<Eviction>,
    /// Containers that the stop signal was sent to.
    #[serde(default)]
    pub signalled: BTreeSet<ContainerName>,
    /// When it was sent to those that had to wait for it: for their preStop hook, or for their turn.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub signalled_late: BTreeMap<ContainerName, BootMillis>,
    /// Containers that SIGKILL was sent to, and when last.
    #[serde(default)]
    pub killed: BTreeMap<ContainerName, BootMillis>,
}

/// Why a pod is ended that stays listed.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Eviction {
    /// Kubernetes' reason, such as `TaintManagerEviction` or `Evicted`.
    pub reason: Option<String>,
    /// A sentence for people.
    pub message: Option<String>,
    /// Nothing evicts it: its main containers have ended for good, or an init container has failed for good, and
    /// what still runs is ended. Its containers' exits decide the phase.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_itself: bool,
}
