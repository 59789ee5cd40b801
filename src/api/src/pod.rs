//! The pod as the node understands it: every field checked, every default laid in.
//!
//! The model holds what this node enforces. Fields that have no effect here, or are not supported yet, are
//! reported as [`crate::Problem`]s when a document is read; they never vanish in silence.

mod names;

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::document::Document;
use crate::ident::{ContainerName, LabelName, NodeName};
use crate::meta::Metadata;
use crate::quantity::{Bytes, MilliCpu};

pub use names::{DnsConfig, DnsOption, DnsPolicy, HostAlias};

/// A pod from a manifest, or one that a controller made of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Name, namespace, labels, annotations.
    pub meta: Metadata,
    /// What is to run.
    pub spec: PodSpec,
    /// The text this pod was read from, before defaulting; equality of meaning is asked of it.
    pub document: Document,
}

/// `PodSpec` of core/v1, defaults laid in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodSpec {
    /// At least one, names unique within the pod.
    pub containers: Vec<Container>,
    /// Names unique within the pod; every mount names one of them.
    pub volumes: Vec<Volume>,
    /// When an ended container is started again.
    pub restart_policy: RestartPolicy,
    /// Seconds between SIGTERM and SIGKILL; default 30.
    pub termination_grace_period_seconds: u32,
    /// The node that the pod asks for by name.
    pub node_name: Option<NodeName>,
    /// Labels that the node must have.
    pub node_selector: BTreeMap<LabelName, String>,
    /// `requiredDuringSchedulingIgnoredDuringExecution`: any term may match; `None` allows every node.
    pub required_node_affinity: Option<Vec<NodeSelectorTerm>>,
    /// The taints that the pod bears.
    pub tolerations: Vec<Toleration>,
    /// The pod uses the host's network namespace.
    pub host_network: bool,
    /// The pod uses the host's PID namespace.
    pub host_pid: bool,
    /// The pod uses the host's IPC namespace.
    pub host_ipc: bool,
    /// The host name asked for; the pod's name otherwise.
    pub hostname: Option<String>,
    /// The domain of its host name, beneath its namespace's; a headless Service of this name publishes it.
    pub subdomain: Option<String>,
    /// The kernel's host name is the fully qualified one, where there is a subdomain.
    pub set_hostname_as_fqdn: bool,
    /// Further lines of `/etc/hosts`.
    pub host_aliases: Vec<HostAlias>,
    /// Which name servers it asks; `ClusterFirst` by default.
    pub dns_policy: DnsPolicy,
    /// What it wants of names beside the policy.
    pub dns_config: DnsConfig,
    /// Services of its namespace are told to its containers as variables; true by default.
    pub enable_service_links: bool,
    /// `os.name`, as text: admission refuses what is not `linux`.
    pub os: Option<String>,
    /// User and groups for all containers.
    pub security: PodSecurity,
    /// The ServiceAccount's name; noted, without effect here.
    pub service_account_name: Option<String>,
}

/// `restartPolicy` of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub enum RestartPolicy {
    /// Whatever the exit code.
    #[default]
    Always,
    /// Only after an exit code other than 0.
    OnFailure,
    /// Not at all.
    Never,
}

/// One container of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Unique within the pod.
    pub name: ContainerName,
    /// The image reference as written.
    pub image: String,
    /// `imagePullPolicy`, with Kubernetes' default by tag.
    pub image_pull_policy: PullPolicy,
    /// Replaces the image's entrypoint where not empty.
    pub command: Vec<String>,
    /// Replaces the image's command where not empty (or where `command` is given).
    pub args: Vec<String>,
    /// Literal variables in order, `$(VAR)` references already expanded by Kubernetes' rules in `command`,
    /// `args` and later values.
    pub env: Vec<(String, String)>,
    /// Replaces the image's working directory.
    pub working_dir: Option<String>,
    /// Ports that the container names.
    pub ports: Vec<ContainerPort>,
    /// cpu, memory, ephemeral-storage.
    pub resources: Resources,
    /// Where volumes appear in the container.
    pub volume_mounts: Vec<VolumeMount>,
    /// User, capabilities, privileges.
    pub security: ContainerSecurity,
    /// stdin is kept open.
    pub stdin: bool,
    /// A terminal is made.
    pub tty: bool,
}

/// `imagePullPolicy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullPolicy {
    /// Ask the registry at every start.
    Always,
    /// Only where the image is not there; default for a tag other than `latest`, and for a digest.
    IfNotPresent,
    /// The image must be there.
    Never,
}

impl PullPolicy {
    /// The word that manifests use.
    pub fn as_str(self) -> &'static str {
        match self {
            PullPolicy::Always => "Always",
            PullPolicy::IfNotPresent => "IfNotPresent",
            PullPolicy::Never => "Never",
        }
    }
}

/// A port of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerPort {
    /// The port's name, an IANA service name.
    pub name: Option<String>,
    /// 1 to 65535.
    pub container_port: u16,
    /// The host's port to be bound, if any; with `hostNetwork` it equals `container_port`.
    pub host_port: Option<u16>,
    /// The host's address to be bound; `None` means all.
    pub host_ip: Option<IpAddr>,
    /// TCP by default.
    pub protocol: Protocol,
}

/// Transport of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP, the default.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// The word that manifests use.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
            Protocol::Sctp => "SCTP",
        }
    }
}

/// Requests and limits; a limit without a request is its request too, as Kubernetes defaults it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resources {
    /// What admission counts and shares are made of.
    pub requests: ResourceList,
    /// What the kernel enforces.
    pub limits: ResourceList,
}

/// Amounts of the node's own resources; `None` where the manifest says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ResourceList {
    /// Thousandths of a CPU.
    pub cpu: Option<MilliCpu>,
    /// Bytes of memory.
    pub memory: Option<Bytes>,
    /// Bytes of local storage: accepted and measured.
    pub ephemeral_storage: Option<Bytes>,
}

/// `securityContext` of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PodSecurity {
    /// UID for every container that names none.
    pub run_as_user: Option<u32>,
    /// GID likewise.
    pub run_as_group: Option<u32>,
    /// Further groups of every container.
    pub supplemental_groups: Vec<u32>,
}

/// `securityContext` of a container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContainerSecurity {
    /// UID of the first process.
    pub run_as_user: Option<u32>,
    /// GID of the first process.
    pub run_as_group: Option<u32>,
    /// All capabilities, all devices, no masks.
    pub privileged: bool,
    /// The root file system is mounted read-only.
    pub read_only_root_filesystem: bool,
    /// `allowPrivilegeEscalation: false` sets no_new_privs.
    pub no_new_privileges: bool,
    /// Capabilities added, names without `CAP_`, or `ALL`.
    pub capabilities_add: Vec<String>,
    /// Capabilities dropped, likewise.
    pub capabilities_drop: Vec<String>,
}

/// A volume of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Unique within the pod.
    pub name: ContainerName,
    /// Where it comes from.
    pub source: VolumeSource,
}

/// The volume kinds that this node serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VolumeSource {
    /// A path of the host; never re-rooted.
    HostPath {
        /// Absolute, without `..`.
        path: String,
        /// What must be there, or is made.
        kind: HostPathType,
    },
    /// A directory that lives as long as the pod.
    EmptyDir {
        /// In memory (tmpfs) and not on disk.
        memory: bool,
        /// The most it may hold.
        size_limit: Option<Bytes>,
    },
}

/// `hostPath.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostPathType {
    /// No type: no check; what is absent is made as a directory, 0755, as container daemons do.
    Unset,
    /// Made with 0755 where absent; otherwise must be a directory.
    DirectoryOrCreate,
    /// Must be a directory.
    Directory,
    /// Made with 0644 where absent (its parent must be there); otherwise must be a file.
    FileOrCreate,
    /// Must be a regular file.
    File,
    /// Must be a UNIX socket.
    Socket,
    /// Must be a character device.
    CharDevice,
    /// Must be a block device.
    BlockDevice,
}

/// Where a volume appears in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeMount {
    /// One of the pod's volumes.
    pub volume: ContainerName,
    /// Absolute path in the container.
    pub mount_path: String,
    /// Path within the volume: relative, without `..`; resolved beneath the volume.
    pub sub_path: Option<String>,
    /// Mounted read-only.
    pub read_only: bool,
    /// How later mounts travel between host and container.
    pub propagation: MountPropagation,
}

/// `mountPropagation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MountPropagation {
    /// `None`: private.
    #[default]
    Private,
    /// `HostToContainer`: slave.
    HostToContainer,
    /// `Bidirectional`: shared; privileged containers only.
    Bidirectional,
}

/// Terms are or-ed, the requirements within one and-ed; a term without any matches nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeSelectorTerm {
    /// Requirements on the node's labels.
    pub match_expressions: Vec<NodeSelectorRequirement>,
    /// Requirements on the node's fields; only `metadata.name` exists.
    pub match_fields: Vec<NodeSelectorRequirement>,
}

/// One requirement of a term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSelectorRequirement {
    /// A label's key, or `metadata.name` for a field.
    pub key: LabelName,
    /// The comparison, with its values.
    pub operator: NodeSelectorOperator,
}

/// Operators of a requirement; their values are checked when the document is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeSelectorOperator {
    /// The value is one of these.
    In(Vec<String>),
    /// The value is none of these, or the key is absent.
    NotIn(Vec<String>),
    /// The key is there.
    Exists,
    /// The key is absent.
    DoesNotExist,
    /// The value is an integer above this one.
    Gt(i64),
    /// The value is an integer below this one.
    Lt(i64),
}

/// A taint that the pod bears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toleration {
    /// `None` (with `Exists`) matches every key.
    pub key: Option<LabelName>,
    /// `Some(value)` for `Equal`, `None` for `Exists`.
    pub value: Option<String>,
    /// `None` matches every effect.
    pub effect: Option<TaintEffect>,
    /// How long a NoExecute taint is borne; `None` for ever; zero or less: not at all.
    pub toleration_seconds: Option<i64>,
}

/// What a taint does to pods that do not tolerate it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum TaintEffect {
    /// No new pod.
    NoSchedule,
    /// Weighs nothing on one node.
    PreferNoSchedule,
    /// No new pod, and running ones go.
    NoExecute,
}

impl TaintEffect {
    /// The word that manifests use.
    pub fn as_str(self) -> &'static str {
        match self {
            TaintEffect::NoSchedule => "NoSchedule",
            TaintEffect::PreferNoSchedule => "PreferNoSchedule",
            TaintEffect::NoExecute => "NoExecute",
        }
    }
}
