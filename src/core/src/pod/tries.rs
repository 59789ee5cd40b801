//! Tries that failed, in Kubernetes' words.

use crate::time::BootMillis;

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
