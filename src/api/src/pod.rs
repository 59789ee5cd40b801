//! The pod as the node understands it: every field checked, every default laid in.
//!
//! The model holds what this node enforces. Fields that have no effect here, or are not supported yet, are
//! reported as [`crate::Problem`]s when a document is read; they never vanish in silence.

mod container;
pub mod environment;
mod lifecycle;
mod names;
mod probe;
mod resources;
mod scheduling;
mod security;
mod volume;

use std::collections::BTreeMap;

use crate::document::Document;
use crate::ident::{ContainerName, LabelName, NodeName};
use crate::meta::Metadata;

pub use container::{Container, ContainerPort, Protocol, PullPolicy};
pub use environment::{EnvFrom, EnvValue, EnvVar};
pub use lifecycle::{Hook, Lifecycle, RestartAction, RestartRule, StopSignal, TerminationMessage};
pub use names::{DnsConfig, DnsOption, DnsPolicy, HostAlias};
pub use probe::{HttpGet, PortRef, Probe, ProbeAction, Probes, TcpSocket};
pub use resources::{ResizePolicy, ResourceList, Resources};
pub use scheduling::{
    NodeSelectorOperator, NodeSelectorRequirement, NodeSelectorTerm, TaintEffect, Toleration,
};
pub use security::{AppArmorProfile, ContainerSecurity, PodSecurity, SeLinuxOptions, SeccompProfile};
pub use volume::{
    AccessMode, ClaimSpec, ClaimTemplate, DownwardFile, DownwardValue, HostPathType, KeyToPath,
    MountPropagation, ObjectFiles, Projection, RecursiveReadOnly, SubPath, Volume, VolumeMount, VolumeSource,
};

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
    /// Run before the others, one after another; names unique within the pod. A sidecar (restart policy
    /// `Always`) goes on beside what follows.
    pub init_containers: Vec<Container>,
    /// At least one, names unique within the pod.
    pub containers: Vec<Container>,
    /// Names unique within the pod; every mount names one of them.
    pub volumes: Vec<Volume>,
    /// When an ended container is started again.
    pub restart_policy: RestartPolicy,
    /// Seconds between SIGTERM and SIGKILL; default 30.
    pub termination_grace_period_seconds: u32,
    /// Seconds after its start at which the pod is ended as failed.
    pub active_deadline_seconds: Option<u64>,
    /// While it has any, it waits; without them where it names its node.
    pub scheduling_gates: Vec<String>,
    /// Conditions that must hold too for the pod to be ready.
    pub readiness_gates: Vec<String>,
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
    /// The containers see each other's processes.
    pub share_process_namespace: bool,
    /// `hostUsers: false` gives the pod a user namespace of its own; true by default.
    pub host_users: bool,
    /// The OCI runtime by the configuration's name; the node's default where absent.
    pub runtime_class_name: Option<String>,
    /// `priorityClassName`, as `describe` shows it.
    pub priority_class_name: Option<String>,
    /// `priority`: who is evicted first under pressure.
    pub priority: Option<i32>,
    /// What the pod takes beside its containers.
    pub overhead: ResourceList,
    /// The host name asked for; the pod's name otherwise.
    pub hostname: Option<String>,
    /// What the kernel and `/etc/hosts` call it, instead of what its name, `hostname` and `subdomain` make.
    pub hostname_override: Option<String>,
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

impl PodSpec {
    /// All containers, those that run first before the others.
    pub fn all_containers(&self) -> impl Iterator<Item = &Container> + Clone {
        self.init_containers.iter().chain(&self.containers)
    }

    /// A container by its name.
    pub fn container(&self, name: &ContainerName) -> Option<&Container> {
        self.all_containers().find(|container| container.name == *name)
    }
}
