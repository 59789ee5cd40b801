//! What a plan may ask for. Each action is idempotent, and states what undoes it.

use pinnace_api::ContainerName;

use super::live::HookPoint;
use super::observed::Exit;
use super::record::{Finished, Progress, StopCause};
use crate::time::BootMillis;

/// One step; a worker stops at the first that fails, and looks again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Writes the progress record (replaces the old one at once).
    SaveProgress(Progress),
    /// Writes the pod's end into its durable record.
    SaveFinished(Finished),
    /// Makes the pod's cgroup, directories and pinned namespaces. Undone by `RemoveSandbox`.
    CreateSandbox {
        /// Counts sandboxes of this pod.
        attempt: u32,
    },
    /// Gives a pod with a network of its own addresses, link and rules, in the sandbox's pinned namespace.
    /// Undone by `DetachNetwork`.
    AttachNetwork,
    /// Makes and checks the pod's volumes. Undone by `RemoveVolumes`.
    PrepareVolumes,
    /// Image, root file system, bundle, shim (started where none is), task. Undone by `RemoveContainer`.
    CreateContainer {
        /// The container.
        name: ContainerName,
        /// The instance.
        attempt: u32,
    },
    /// Starts the created program. Cannot be undone, and is asked for once only.
    StartContainer {
        /// The container.
        name: ContainerName,
        /// The instance.
        attempt: u32,
    },
    /// Sends the stop signal (its own, the image's, or SIGTERM) to the instance's first process.
    StopContainer {
        /// The container.
        name: ContainerName,
        /// The instance.
        attempt: u32,
    },
    /// Sends SIGKILL to all processes of the instance; its exit is not waited for.
    KillContainer {
        /// The container.
        name: ContainerName,
        /// The instance.
        attempt: u32,
    },
    /// Ends all processes in the pod's cgroup, and returns once it is empty: the shim is dead, or the sandbox
    /// is not whole.
    KillPodCgroup,
    /// Deletes task, root file system and bundle of an instance that ended, was never started or was lost.
    /// Its log stays.
    RemoveContainer {
        /// The container.
        name: ContainerName,
        /// The instance.
        attempt: u32,
    },
    /// Begins a hook of the instance; how it goes is told to the record by [`Live::set_hook`]. Its failure is no
    /// failure of the action.
    ///
    /// [`Live::set_hook`]: super::live::Live::set_hook
    RunHook {
        /// The container.
        name: ContainerName,
        /// The instance.
        attempt: u32,
        /// Which hook.
        point: HookPoint,
        /// It is given up after this time; `None`: with its instance.
        within_millis: Option<u64>,
    },
    /// Tells that an instance is ended while its pod goes on (event); no effect on the host.
    NoteStop {
        /// The container.
        name: ContainerName,
        /// The instance.
        attempt: u32,
        /// Why.
        cause: StopCause,
    },
    /// Tells that an exit was taken note of (event, metrics); no effect on the host.
    NoteExit {
        /// The container.
        name: ContainerName,
        /// The instance.
        attempt: u32,
        /// How it ended.
        exit: Exit,
    },
    /// Takes away the pod's rules, link and addresses, whether its namespace is there or not.
    DetachNetwork,
    /// Shuts the shim down and removes namespaces, cgroup and run directory.
    RemoveSandbox,
    /// Unmounts and removes the pod's volumes; never what a hostPath names.
    RemoveVolumes,
    /// Removes the pod's logs and their links.
    RemoveLogs,
    /// Removes both records: the pod is `Removed`.
    ForgetRecord,
}

/// The answer to "what next?".
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// To be carried out in order; empty when settled.
    pub actions: Vec<Action>,
    /// When to ask again although nothing happened (back-off, grace period, probe).
    pub wake_at: Option<BootMillis>,
}
