//! One container of a pod.

use std::net::IpAddr;

use crate::ident::ContainerName;

use super::RestartPolicy;
use super::environment::{EnvFrom, EnvVar};
use super::lifecycle::{Lifecycle, RestartRule, TerminationMessage};
use super::probe::Probes;
use super::resources::{ResizePolicy, Resources};
use super::security::ContainerSecurity;
use super::volume::VolumeMount;

/// One container of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Unique within the pod.
    pub name: ContainerName,
    /// The image reference as written.
    pub image: String,
    /// `imagePullPolicy`, with Kubernetes' default by tag.
    pub image_pull_policy: PullPolicy,
    /// Replaces the image's entrypoint where not empty; `$(VAR)` references are not expanded yet.
    pub command: Vec<String>,
    /// Replaces the image's command where not empty (or where `command` is given); likewise.
    pub args: Vec<String>,
    /// Variables in order; the last of a name wins.
    pub env: Vec<EnvVar>,
    /// Objects whose keys are variables, in order; `env` wins over them.
    pub env_from: Vec<EnvFrom>,
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
    /// What tells whether it has started, is ready and lives.
    pub probes: Probes,
    /// What it does at its start and its end.
    pub lifecycle: Lifecycle,
    /// Where it leaves a message about its end.
    pub termination_message: TerminationMessage,
    /// When it is started again; the pod's policy where absent. An init container with `Always` is a sidecar.
    pub restart_policy: Option<RestartPolicy>,
    /// What decides before its policy.
    pub restart_rules: Vec<RestartRule>,
    /// What a change of its resources does.
    pub resize_policy: ResizePolicy,
    /// stdin is kept open.
    pub stdin: bool,
    /// stdin is closed once the first who attached is gone.
    pub stdin_once: bool,
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
