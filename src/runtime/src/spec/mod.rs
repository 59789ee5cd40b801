//! From a pod's container to the OCI runtime's `config.json`. Pure: all that the host decides is in [`Host`].
//!
//! | part | says |
//! | --- | --- |
//! | [`process`] | arguments, environment, working directory by Kubernetes' rules |
//! | [`user`] | user and groups |
//! | [`non_root`] | whether that user may be root |
//! | [`capabilities`] | capabilities |
//! | [`mounts`] | what is mounted, in which order |
//! | [`devices`] | device nodes of the privileged |
//! | [`seccomp`] | the default profile, and which one a container gets |
//! | [`local_seccomp`] | profiles of the node's own |
//! | [`oci`] | the document's types |

pub mod capabilities;
pub mod devices;
pub mod local_seccomp;
pub mod mounts;
pub mod non_root;
pub mod oci;
pub mod process;
pub mod seccomp;
pub mod user;

use std::collections::BTreeMap;
use std::path::PathBuf;

use pinnace_api::Pod;
use pinnace_api::pod::Container;
use pinnace_core::environment::Invocation;
use pinnace_core::ports::BindMount;
use pinnace_core::resources::CgroupValues;
use pinnace_sys::process::CapabilitySet;

pub use mounts::PodFiles;
pub use process::ImageDefaults;

/// What of the host and of this process goes into every container's specification.
#[derive(Debug, Clone)]
pub struct Host {
    /// What this process may hand on.
    pub capabilities: CapabilitySet,
    /// Its own `oom_score_adj`: without CAP_SYS_RESOURCE nobody below it gets a lower one.
    pub oom_score_adj: i32,
    /// cgroup v2 alone.
    pub unified_cgroups: bool,
    /// A cgroup's swap can be limited.
    pub swap_accounting: bool,
    /// A cgroup's processes can be made to end together when memory is out (cgroup v2's memory controller).
    pub group_oom_kill: bool,
    /// Where seccomp profiles come from, and whether there can be any.
    pub seccomp: SeccompHost,
    /// Paths to be masked that depend on the machine (each CPU's `thermal_throttle`).
    pub masked_paths: Vec<String>,
    /// `x86_64`, `aarch64`.
    pub architecture: &'static str,
    /// The host's own name, for pods in its network.
    pub hostname: String,
    /// The cluster's domain, for pods' full names.
    pub domain: String,
}

/// What is there for seccomp profiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeccompHost {
    /// Kernel and OCI runtime take profiles.
    pub works: bool,
    /// Who says nothing gets the default profile.
    pub by_default: bool,
    /// Profiles of the node's own lie beneath it.
    pub folder: PathBuf,
}

/// The namespaces of a pod: files that pin them, `None` where it uses the host's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespaces {
    pub network: Option<String>,
    pub ipc: Option<String>,
    pub uts: Option<String>,
    /// Shared by the pod's containers; where absent, each has its own or the host's.
    pub pid: Option<String>,
}

/// All that one container's specification is made of.
#[derive(Debug)]
pub struct Input<'a> {
    pub pod: &'a Pod,
    pub container: &'a Container,
    pub image: &'a ImageDefaults,
    /// The pod's variables in order, its command and arguments, complete.
    pub invocation: &'a Invocation,
    /// The user, looked up by [`user::resolve`].
    pub user: oci::User,
    pub root_path: String,
    pub files: &'a PodFiles,
    pub volumes: &'a [BindMount],
    pub namespaces: &'a Namespaces,
    pub cgroup_path: String,
    pub cgroup: CgroupValues,
    pub oom_score_adj: i32,
    pub hostname: &'a str,
    pub annotations: BTreeMap<String, String>,
    /// Which system calls are filtered; the privileged have no filter.
    pub seccomp: seccomp::Filter,
    /// The host's devices, asked for by privileged containers only.
    pub devices: Vec<oci::Device>,
}

/// A specification, and what of the wish cannot be had on this host.
#[derive(Debug)]
pub struct Built {
    pub spec: oci::Spec,
    /// Sentences for a warning event, such as `CAP_SYS_RESOURCE: …`.
    pub cannot_set: Vec<String>,
}

/// Why there is no specification for a container.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// Neither pod nor image says what to run.
    #[error("no command specified")]
    NoCommand,
    /// No such user or group in the image.
    #[error("user of the container")]
    User(#[from] user::UserError),
    /// A filter is asked for, and this host has none.
    #[error("seccomp is not supported")]
    NoSeccomp,
    /// A profile of the node's own.
    #[error(transparent)]
    Profile(#[from] local_seccomp::ProfileError),
}

/// What Kubernetes masks; the throttling counters of each CPU come with the host.
const MASKED: [&str; 12] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];
const READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// The specification of one container.
pub fn build(host: &Host, input: Input<'_>) -> Result<Built, SpecError> {
    let security = &input.container.security;
    let privileged = security.privileged;
    let mut cannot_set = Vec::new();
    let (capabilities, refused) = capabilities::resolve(
        privileged,
        &security.capabilities_add,
        &security.capabilities_drop,
        host.capabilities,
    );
    cannot_set.extend(
        refused
            .iter()
            .map(|name| format!("{name}: the node's agent does not hold it")),
    );
    let seccomp = input.seccomp.resolve(host.architecture, &capabilities.bounding);
    let process = oci::Process {
        terminal: input.container.tty,
        console_size: None,
        user: input.user,
        args: process::args(input.invocation, input.image)?,
        env: process::env(
            input.image,
            &input.invocation.env,
            input.hostname,
            input.container.tty,
        ),
        cwd: process::cwd(input.container, input.image),
        capabilities,
        no_new_privileges: security.no_new_privileges,
        oom_score_adj: Some(oom_score_adj(host, input.oom_score_adj, &mut cannot_set)),
    };
    let paths = |list: &[&str], more: &[String]| match privileged {
        true => Vec::new(),
        false => list
            .iter()
            .map(|path| (*path).to_owned())
            .chain(more.iter().cloned())
            .collect(),
    };
    let linux = oci::Linux {
        namespaces: namespaces(host, input.pod, input.namespaces, privileged),
        cgroups_path: input.cgroup_path,
        resources: resources(host, &input.cgroup, privileged),
        devices: input.devices,
        masked_paths: paths(&MASKED, &host.masked_paths),
        readonly_paths: paths(&READ_ONLY, &[]),
        rootfs_propagation: mounts::root_propagation(input.volumes),
        seccomp,
    };
    let spec = oci::Spec {
        oci_version: oci::OCI_VERSION,
        process,
        root: oci::Root {
            path: input.root_path,
            readonly: security.read_only_root_filesystem,
        },
        mounts: mounts::list(
            input.files,
            input.volumes,
            privileged,
            security.read_only_root_filesystem,
        ),
        annotations: input.annotations,
        linux,
    };
    Ok(Built { spec, cannot_set })
}

fn oom_score_adj(host: &Host, wanted: i32, cannot_set: &mut Vec<String>) -> i32 {
    if host.capabilities.has("CAP_SYS_RESOURCE") || wanted >= host.oom_score_adj {
        return wanted;
    }
    cannot_set.push(format!(
        "oom_score_adj {wanted}: lowering it takes CAP_SYS_RESOURCE, {} is set instead",
        host.oom_score_adj
    ));
    host.oom_score_adj
}

fn namespaces(host: &Host, pod: &Pod, pinned: &Namespaces, privileged: bool) -> Vec<oci::Namespace> {
    let made = |kind| Some(oci::Namespace { kind, path: None });
    let joined = |kind, path: &Option<String>| {
        path.clone().map(|path| oci::Namespace {
            kind,
            path: Some(path),
        })
    };
    [
        made("mount"),
        match &pinned.pid {
            Some(_) => joined("pid", &pinned.pid),
            None if pod.spec.host_pid => None,
            None => made("pid"),
        },
        joined("network", &pinned.network),
        joined("ipc", &pinned.ipc),
        joined("uts", &pinned.uts),
        if host.unified_cgroups && !privileged {
            made("cgroup")
        } else {
            None
        },
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn resources(host: &Host, values: &CgroupValues, privileged: bool) -> oci::Resources {
    let mut unified = BTreeMap::new();
    if host.unified_cgroups {
        unified.extend(
            values
                .cpu_weight()
                .map(|weight| ("cpu.weight".to_owned(), weight.to_string())),
        );
    }
    if host.group_oom_kill {
        // As the kubelet has it, where `singleProcessOOMKill` is not set.
        unified.insert("memory.oom.group".to_owned(), "1".to_owned());
    }
    let shares = values.cpu_shares.filter(|_| !host.unified_cgroups);
    let period = values.cpu_quota_us.map(|_| values.cpu_period_us);
    oci::Resources {
        devices: vec![oci::DeviceRule {
            allow: privileged,
            access: "rwm",
        }],
        cpu: (shares.is_some() || period.is_some()).then_some(oci::Cpu {
            shares,
            quota: values.cpu_quota_us,
            period,
        }),
        memory: values.memory_limit_bytes.map(|limit| oci::Memory {
            limit: Some(limit),
            // Memory and swap together: as much as memory alone means that no swap is left.
            swap: host.swap_accounting.then_some(limit),
        }),
        pids: values.pids_limit.map(|limit| oci::Pids { limit }),
        unified,
    }
}

#[cfg(test)]
mod tests;
