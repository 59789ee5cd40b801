//! What the adapters must be able to do; the engine knows them only as these traits.
//!
//! Every operation is idempotent: asked twice, it finds what the first call made. Every error says which
//! operation on which object failed, whether a retry may help, and Kubernetes' reason for it.

mod checks;
mod error;
mod network;

pub use checks::{CheckAction, CheckOutcome, CheckTarget, CheckedBy, Checks};
pub use error::{PortError, PortResult, Retry, chain, first_of};
pub use network::{Names, Network, ServiceAllocation};

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pinnace_api::pod::{MountPropagation, PullPolicy};
use pinnace_api::{Bytes, ContainerName, Pod, PodUid};

use crate::environment::Invocation;
use crate::network::{PodAddresses, ResolverWarning, ServiceAllocations};
use crate::node::NodeRecord;
use crate::payload::Payloads;
use crate::pod::{Exit, Observed, PodIdentity, Progress};
use crate::resources::{CgroupValues, QosClass};

/// A pod on its way: what every operation needs to know of it.
#[derive(Debug, Clone)]
pub struct PodContext {
    /// The pod's UID; part of the name of all that it makes.
    pub uid: PodUid,
    /// The pod as admitted.
    pub pod: Arc<Pod>,
    /// Its class, which decides its cgroup's parent.
    pub qos: QosClass,
    /// Values of the pod's own cgroup.
    pub pod_cgroup: CgroupValues,
}

/// A host directory or file that appears in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindMount {
    /// Absolute path on the host, safe to be bound as it is (sub-paths were resolved and pinned).
    pub source: PathBuf,
    /// Absolute path in the container.
    pub target: String,
    /// Mounted read-only.
    pub read_only: bool,
    /// No file in it can be executed.
    pub no_exec: bool,
    /// How later mounts travel.
    pub propagation: MountPropagation,
}

/// Images that are a pod's volumes: unpacked layers by the volume's name, the topmost first.
pub type ImageVolumes = BTreeMap<ContainerName, Vec<PathBuf>>;

/// An image that is there, unpacked or ready to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageHandle {
    /// Digest of its configuration (`sha256:…`), the image's ID.
    pub id: String,
    /// Digest of its manifest, for `imageID` in statuses.
    pub manifest_digest: String,
    /// The reference in full, such as `docker.io/library/busybox:1.36`.
    pub reference: String,
}

/// Everything that is needed to create one container instance.
#[derive(Debug, Clone)]
pub struct ContainerRequest {
    /// The container's name in the pod.
    pub name: ContainerName,
    /// The instance.
    pub attempt: u32,
    /// The image to run.
    pub image: ImageHandle,
    /// Volumes and files to appear.
    pub mounts: Vec<BindMount>,
    /// Values of the container's cgroup.
    pub cgroup: CgroupValues,
    /// `oom_score_adj` of its processes.
    pub oom_score_adj: i32,
    /// Log limits.
    pub log: LogLimits,
    /// Variables in order, command and arguments, complete.
    pub invocation: Invocation,
    /// The pod's own addresses, for its `/etc/hosts`; none of a pod in the host's network.
    pub addresses: PodAddresses,
}

/// How far a container's log may grow (`containerLogMaxSize`, `containerLogMaxFiles`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLimits {
    /// A file is rotated at the first line's end past this size.
    pub max_size_bytes: u64,
    /// Files kept, the current one included; at least 2.
    pub max_files: u32,
}

/// Pods' sandboxes, shims and containers.
pub trait PodRuntime: Send + Sync + 'static {
    /// UIDs of all pods of which anything is on the host, by listing the host alone.
    fn list(&self) -> impl Future<Output = PortResult<Vec<PodUid>>> + Send;
    /// The record that the sandbox's bundle holds of the pod, for adoption where the store's is damaged.
    fn stored_identity(&self, uid: &PodUid) -> impl Future<Output = PortResult<Option<PodIdentity>>> + Send;
    /// Where the pod's network namespace is pinned; nothing is there before its sandbox is.
    fn network_namespace(&self, uid: &PodUid) -> PathBuf;
    /// What the host shows of a pod (all but its volumes and its network).
    fn observe(&self, uid: &PodUid) -> impl Future<Output = PortResult<Observed>> + Send;
    /// `Action::CreateSandbox`; the identity is laid into the sandbox's directory for `stored_identity`.
    fn create_sandbox(
        &self,
        pod: &PodContext,
        identity: &PodIdentity,
        attempt: u32,
    ) -> impl Future<Output = PortResult<()>> + Send;
    /// `Action::CreateContainer`: starts the shim where none is.
    fn create_container(
        &self,
        pod: &PodContext,
        request: &ContainerRequest,
    ) -> impl Future<Output = PortResult<()>> + Send;
    /// `Action::StartContainer`; answers the process id.
    fn start_container(
        &self,
        uid: &PodUid,
        name: &ContainerName,
        attempt: u32,
    ) -> impl Future<Output = PortResult<u32>> + Send;
    /// Sends a signal to the instance's first process, or with `all` to every process of it.
    fn signal_container(
        &self,
        uid: &PodUid,
        name: &ContainerName,
        attempt: u32,
        signal: i32,
        all: bool,
    ) -> impl Future<Output = PortResult<()>> + Send;
    /// Waits until the instance has ended; returns at once where it has. An error means that its shim is
    /// gone or has never heard of it: look again.
    fn wait_container(
        &self,
        uid: &PodUid,
        name: &ContainerName,
        attempt: u32,
    ) -> impl Future<Output = PortResult<Exit>> + Send;
    /// `Action::RemoveContainer`.
    fn remove_container(
        &self,
        uid: &PodUid,
        name: &ContainerName,
        attempt: u32,
    ) -> impl Future<Output = PortResult<()>> + Send;
    /// `Action::KillPodCgroup`.
    fn kill_pod_cgroup(&self, uid: &PodUid) -> impl Future<Output = PortResult<()>> + Send;
    /// `Action::RemoveSandbox`: goes on past an error, collects all, retries only what is left.
    fn remove_sandbox(&self, uid: &PodUid) -> impl Future<Output = PortResult<()>> + Send;
    /// `Action::RemoveLogs`.
    fn remove_logs(&self, uid: &PodUid) -> impl Future<Output = PortResult<()>> + Send;
    /// What the resolver of a pod whose sandbox was just made lacks; told once.
    fn resolver_warnings(&self, uid: &PodUid) -> Vec<ResolverWarning> {
        let _ = uid;
        Vec::new()
    }
    /// What of the pod's wishes this host could not meet (it lacks a capability, say), a sentence each; its
    /// containers run all the same.
    fn cannot_set(&self, _uid: &PodUid) -> Vec<(ContainerName, String)> {
        Vec::new()
    }
    /// What each container of the pod holds of the node's disk: its writable layer and its logs. Asked only
    /// of pods that have a limit of `ephemeral-storage`; one that could not be measured yet is left out.
    fn storage_use(
        &self,
        uid: &PodUid,
    ) -> impl Future<Output = PortResult<Vec<(ContainerName, Bytes)>>> + Send {
        let _ = uid;
        async { Ok(Vec::new()) }
    }
}

/// Images on this node.
pub trait Images: Send + Sync + 'static {
    /// Finds the image, or gets it if the policy allows.
    fn ensure(
        &self,
        reference: &str,
        policy: PullPolicy,
    ) -> impl Future<Output = PortResult<ImageHandle>> + Send;
    /// Its unpacked layers, the topmost first, to be mounted read-only.
    fn layers(&self, image: &ImageHandle) -> impl Future<Output = PortResult<Vec<PathBuf>>> + Send;
}

/// Pods' volumes.
pub trait Volumes: Send + Sync + 'static {
    /// UIDs of all pods that have volumes on the host.
    fn list(&self) -> impl Future<Output = PortResult<Vec<PodUid>>> + Send;
    /// (prepared, present): see [`Observed::volumes_ready`] and [`Observed::volumes_present`].
    fn observe(&self, uid: &PodUid) -> impl Future<Output = PortResult<(bool, bool)>> + Send;
    /// `Action::PrepareVolumes`; the payloads are of the volumes that the node writes.
    fn prepare(&self, pod: &PodContext, payloads: &Payloads) -> impl Future<Output = PortResult<()>> + Send;
    /// Brings the files of prepared volumes up to date: each volume at once and whole, and only where they
    /// differ. Answers whether any did.
    fn update(&self, pod: &PodContext, payloads: &Payloads) -> impl Future<Output = PortResult<bool>> + Send;
    /// The mounts of one container with these variables; sub-paths are resolved beneath their volume and pinned.
    /// `images` are those of the volumes that the container mounts.
    fn mounts(
        &self,
        pod: &PodContext,
        container: &ContainerName,
        env: &[(String, String)],
        images: &ImageVolumes,
    ) -> impl Future<Output = PortResult<Vec<BindMount>>> + Send;
    /// `Action::RemoveVolumes`.
    fn remove(&self, uid: &PodUid) -> impl Future<Output = PortResult<()>> + Send;
    /// The kubelet's sentence where a volume on disk holds more than its `sizeLimit`; `None` where none does.
    /// Asked only of pods that have such a limit.
    fn exceeded(&self, pod: &PodContext) -> impl Future<Output = PortResult<Option<String>>> + Send {
        let _ = pod;
        async { Ok(None) }
    }
    /// What the pod's emptyDirs hold of the node's disk. Asked only of pods that have a limit of
    /// `ephemeral-storage`.
    fn held(&self, pod: &PodContext) -> impl Future<Output = PortResult<Bytes>> + Send {
        let _ = pod;
        async { Ok(Bytes(0)) }
    }
}

/// A record as the store found it.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "few exist, and only while the agent starts"
)]
pub enum Stored {
    /// Whole.
    Whole(PodIdentity, Option<Progress>),
    /// Set aside as damaged; where it went and why.
    Damaged {
        /// The pod, as far as the file's name tells.
        uid: Option<PodUid>,
        /// Where the file lies now.
        set_aside: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// The node's own record as the store found it.
#[derive(Debug)]
pub enum StoredNode {
    /// There is none.
    Absent,
    /// Whole.
    Whole(NodeRecord),
    /// Set aside as damaged; where it went and why.
    Damaged {
        /// Where the file lies now.
        set_aside: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// What was given to the Services, as the store found it.
#[derive(Debug)]
pub enum StoredServices {
    /// Whole; empty where nothing was given yet.
    Whole(ServiceAllocations),
    /// Set aside as damaged; where it went and why.
    Damaged {
        /// Where the file lies now.
        set_aside: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// Records of the pods, of the node, and of what it gave to Services.
pub trait Records: Send + Sync + 'static {
    /// All records; damaged ones are set aside and reported.
    fn load(&self) -> impl Future<Output = PortResult<Vec<Stored>>> + Send;
    /// The progress of one pod, for one whose identity is damaged; `None` where there is none that can be read.
    fn load_progress(&self, uid: &PodUid) -> impl Future<Output = PortResult<Option<Progress>>> + Send;
    /// Writes an identity durably: synced, renamed, directory synced.
    fn save_identity(&self, identity: &PodIdentity) -> impl Future<Output = PortResult<()>> + Send;
    /// Writes the progress (gone with a reboot: renamed into place, not synced).
    fn save_progress(&self, uid: &PodUid, progress: &Progress)
    -> impl Future<Output = PortResult<()>> + Send;
    /// Removes both, the identity first: a progress record alone is left over and never believed.
    fn remove(&self, uid: &PodUid) -> impl Future<Output = PortResult<()>> + Send;
    /// What is recorded of the node; a damaged record is set aside and reported.
    fn load_node(&self) -> impl Future<Output = PortResult<StoredNode>> + Send;
    /// Writes it durably, as an identity.
    fn save_node(&self, record: &NodeRecord) -> impl Future<Output = PortResult<()>> + Send;
    /// What was given to the Services; a damaged record is set aside and reported.
    fn load_services(&self) -> impl Future<Output = PortResult<StoredServices>> + Send;
    /// Writes it durably, as an identity.
    fn save_services(&self, given: &ServiceAllocations) -> impl Future<Output = PortResult<()>> + Send;
}

/// How many pods are in each phase, for [`Telemetry::pod_phases`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PhaseCounts {
    /// Accepted, and not all of its containers have run yet.
    pub pending: u64,
    /// On this node, with at least one container running, starting or restarting.
    pub running: u64,
    /// All containers ended with success and stay ended.
    pub succeeded: u64,
    /// Ended, and at least one container with a failure.
    pub failed: u64,
    /// Its state cannot be had.
    pub unknown: u64,
}

/// What happened, told to whoever measures it. Nothing here waits or fails.
pub trait Telemetry: Send + Sync + 'static {
    /// A pod runs for the first time; `took` counts from when its manifest was seen.
    fn pod_started(&self, took: Duration);
    /// A container was started again after it had ended.
    fn container_restarted(&self);
    /// Admission answered for a pod: its verdict in one word, and Kubernetes' reason (empty where it has none).
    fn admission_verdict(&self, verdict: &'static str, reason: &str);
    /// An operation failed, such as [`PortError::operation`].
    fn error(&self, operation: &'static str);
    /// How many pods are in each phase now.
    fn pod_phases(&self, counts: PhaseCounts);
}

/// Measures nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoTelemetry;

impl Telemetry for NoTelemetry {
    fn pod_started(&self, _took: Duration) {}
    fn container_restarted(&self) {}
    fn admission_verdict(&self, _verdict: &'static str, _reason: &str) {}
    fn error(&self, _operation: &'static str) {}
    fn pod_phases(&self, _counts: PhaseCounts) {}
}
