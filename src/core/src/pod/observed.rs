//! What the host shows of one pod.

use std::collections::BTreeMap;

use pinnace_api::ContainerName;

use crate::network::NetworkState;
use crate::time::WallMillis;

/// A pod as found by looking at the host alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// Namespaces, cgroup and directories.
    pub sandbox: SandboxState,
    /// The supervisor.
    pub shim: ShimState,
    /// Addresses, link and rules of a pod with a network of its own.
    pub network: NetworkState,
    /// All instances that left anything on the host, in no order.
    pub containers: Vec<ContainerSeen>,
    /// The pod's volumes have been prepared (a marker in the pod's directory says so).
    pub volumes_ready: bool,
    /// Mounts, directories or files of the pod's volumes are there.
    pub volumes_present: bool,
    /// The highest attempt of each container that left a log, `<attempt>.log` or a rotated one. Logs outlast
    /// a reboot, so they alone tell then what has run. An instance whose creation failed and was cleaned up
    /// must leave no log, or it counts as one that ran.
    pub log_attempts: BTreeMap<ContainerName, u32>,
}

/// The pod's sandbox: pinned namespaces, pod cgroup, run directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SandboxState {
    /// Nothing of it is there.
    #[default]
    Absent,
    /// Parts are there, or belong to another boot: it must be removed before the next attempt.
    Broken,
    /// Whole, of this boot.
    Ready {
        /// Counts sandboxes of this pod from 0.
        attempt: u32,
    },
}

/// The pod's shim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ShimState {
    /// None was started for this sandbox, or it was shut down in order.
    #[default]
    Absent,
    /// It answers.
    Alive,
    /// It was started and is gone: its containers are ended by their cgroup.
    Dead,
}

/// One container instance on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerSeen {
    /// The container's name in the pod.
    pub name: ContainerName,
    /// Counts instances of this container from 0.
    pub attempt: u32,
    /// Its state.
    pub state: InstanceState,
}

/// State of a container instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstanceState {
    /// A bundle is there and no shim knows a task for it: creation broke off; it never ran.
    Claimed,
    /// Created by the OCI runtime, its program not yet started.
    Created,
    /// Its program runs.
    Running {
        /// Process id on the host.
        pid: u32,
        /// When it was started.
        started_at: WallMillis,
    },
    /// It ended; the shim, or the bundle, still knows how.
    Exited(Exit),
    /// Its shim died before the exit was read: how it ended is lost, and whatever is left of it must be
    /// ended by its cgroup.
    Lost {
        /// When it was started, where known.
        started_at: Option<WallMillis>,
    },
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Exit {
    /// Exit code; 128 + signal for a signal.
    pub code: i32,
    /// `Completed`, `Error`, `OOMKilled`, `ContainerStatusUnknown`, `StartError`, ….
    pub reason: String,
    /// More for people, often empty.
    pub message: String,
    /// When it was started; `None` where it never ran.
    pub started_at: Option<WallMillis>,
    /// When it ended.
    pub finished_at: WallMillis,
}
