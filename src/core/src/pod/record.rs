//! What is recorded of a pod, because the host cannot show it.

use std::collections::{BTreeMap, BTreeSet};

use pinnace_api::{ContainerName, Document, Namespace, ObjectKey, ObjectName, PodUid};

use super::observed::Exit;
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
}

/// A try that failed, and when the next may follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What was tried.
    pub step: FailedStep,
    /// The instance that it was tried with, where it is about one.
    pub attempt: Option<u32>,
    /// Kubernetes' waiting reason.
    pub reason: FailureReason,
    /// A sentence for people, the whole chain.
    pub message: String,
    /// Tries in a row.
    pub tries: u32,
    /// When the last one was made.
    pub failed_at: BootMillis,
    /// When the next may be made.
    pub retry_at: BootMillis,
}

impl Failure {
    /// The instance counts as ended (`StartError`): its program could not be started. Some OCI runtimes find
    /// that out when they create a container, others when they start it.
    pub fn is_failed_start(&self) -> bool {
        self.step == FailedStep::Start
            || (self.step == FailedStep::Create && self.reason == FailureReason::RunContainerError)
    }
}

/// The kind of action that failed; it decides what the failure holds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailedStep {
    /// Sandbox, volumes or a container could not be made: holds up what would be made.
    Create,
    /// A created container could not be started: that instance counts as ended (`StartError`).
    Start,
    /// Something could not be stopped or removed: holds up its further removal.
    End,
    /// A record could not be written: holds up everything that must be recorded first.
    Save,
}

/// Kubernetes' reasons for a container or pod that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum FailureReason {
    /// The image is not there, and the policy forbids a pull.
    ErrImageNeverPull,
    /// The image cannot be had; `ImagePullBackOff` while waiting for the next try.
    ErrImagePull,
    /// The reference cannot be read.
    InvalidImageName,
    /// The image is there and broken.
    ImageInspectError,
    /// User, path or another setting cannot be met.
    CreateContainerConfigError,
    /// The OCI runtime or the shim could not create it.
    CreateContainerError,
    /// It was created and could not be started (command not found, …).
    RunContainerError,
    /// Namespaces, cgroup or shim of the pod.
    FailedCreatePodSandBox,
    /// A volume of the pod.
    FailedMount,
}

impl FailureReason {
    /// Kubernetes' word.
    pub fn as_str(self) -> &'static str {
        match self {
            FailureReason::ErrImageNeverPull => "ErrImageNeverPull",
            FailureReason::ErrImagePull => "ErrImagePull",
            FailureReason::InvalidImageName => "InvalidImageName",
            FailureReason::ImageInspectError => "ImageInspectError",
            FailureReason::CreateContainerConfigError => "CreateContainerConfigError",
            FailureReason::CreateContainerError => "CreateContainerError",
            FailureReason::RunContainerError => "RunContainerError",
            FailureReason::FailedCreatePodSandBox => "FailedCreatePodSandBox",
            FailureReason::FailedMount => "FailedMount",
        }
    }
}
