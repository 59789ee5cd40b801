//! Making a sandbox. Each step finds what an earlier call made.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use pinnace_core::network::{HostNames, ResolverWarning};
use pinnace_core::pod::PodIdentity;
use pinnace_core::ports::PodContext;
use pinnace_core::resources::{CgroupValues, QosClass};
use pinnace_sys::cgroup::{CgroupLimits, CgroupVersion, Cgroups};
use pinnace_sys::namespace::{NamespaceKind, Pin};
use pinnace_sys::{Layout, file, mount, namespace};

use super::files;
use super::mark::mark;
use super::{reaper, sysctls};
use crate::config::Naming;
use crate::error::RuntimeError;
use crate::paths::{PodPaths, log_directory, pod_cgroup, qos_cgroup};
use crate::records::{self, SandboxRecord};

/// `/dev/shm` of a pod, as container daemons size it.
const SHM_BYTES: u64 = 64 << 20;
/// The kernel's smallest share: what BestEffort pods get together.
const MIN_SHARES: u64 = 2;
const MAX_SHARES: u64 = 262_144;

/// What a sandbox is made of.
#[derive(Debug)]
pub struct Request<'a> {
    pub layout: &'a Layout,
    pub cgroups: &'a Cgroups,
    pub boot: &'a str,
    pub pod: &'a PodContext,
    pub identity: &'a PodIdentity,
    pub attempt: u32,
    pub naming: &'a Naming,
    /// Our own shim's program.
    pub shim: &'a Path,
}

/// Makes the sandbox; answers what the pod's resolver lacks too.
pub fn create(request: &Request<'_>) -> Result<(SandboxRecord, Vec<ResolverWarning>), RuntimeError> {
    let uid = &request.pod.uid;
    let paths = PodPaths::new(request.layout, uid);
    // The log directory first: collectors watch for it.
    let meta = &request.pod.pod.meta;
    let log_directory = log_directory(request.layout, meta.namespace.as_str(), meta.name.as_str(), uid);
    file::create_dir_all(&log_directory, 0o755)?;
    mark(&log_directory);
    file::create_dir_all(&request.layout.container_log_links(), 0o755)?;
    file::create_dir_all(&paths.run, 0o711)?;
    for folder in [
        &paths.sandbox,
        &paths.shim(),
        &paths.containers(),
        &paths.file("oci"),
    ] {
        file::create_dir_all(folder, 0o711)?;
    }
    let cgroup = pod_cgroup(request.layout, request.pod.qos, uid);
    let pins = pins(request.pod, &paths);
    let record = SandboxRecord {
        boot: request.boot.to_owned(),
        attempt: request.attempt,
        namespace: meta.namespace.to_string(),
        name: meta.name.to_string(),
        cgroup: cgroup.clone(),
        pins: pins.iter().map(|pin| pin.path.clone()).collect(),
        log_directory,
    };
    records::write(&paths.file("identity.json"), request.identity)?;
    records::write(&paths.file("sandbox.json"), &record)?;
    make_cgroup(request, &cgroup)?;
    let pod = &request.pod.pod;
    let hostname = HostNames::of(pod, &request.naming.dns.domain).kernel_name(pod)?;
    namespace::pin(&pins, Some(&hostname))?;
    sysctls::set(&paths, &pod.spec)?;
    let warnings = files::write(&paths, pod, request.naming)?;
    if !request.pod.pod.spec.host_ipc {
        make_shm(&paths.file("shm"))?;
    }
    if pod.spec.share_process_namespace {
        reaper::ensure(request, &paths, &cgroup)?;
    }
    file::write_replace(&paths.file("ready"), b"", 0o600)?;
    Ok((record, warnings))
}

/// The namespaces of its own that the pod has.
fn pins(pod: &PodContext, paths: &PodPaths) -> Vec<Pin> {
    let spec = &pod.pod.spec;
    let wanted = [
        // The host's name goes with the host's network, as in every container daemon.
        (NamespaceKind::Network, !spec.host_network),
        (NamespaceKind::Uts, !spec.host_network),
        (NamespaceKind::Ipc, !spec.host_ipc),
    ];
    let pin = |kind: NamespaceKind| Pin {
        kind,
        path: paths.file(kind.file_name()),
    };
    wanted
        .into_iter()
        .filter(|(_, own)| *own)
        .map(|(kind, _)| pin(kind))
        .collect()
}

fn make_cgroup(request: &Request<'_>, path: &str) -> Result<(), RuntimeError> {
    let group = request.cgroups.group(path)?;
    group.create()?;
    group.directories().for_each(|directory| mark(&directory));
    let absent = group.apply(&limits(&request.pod.pod_cgroup))?;
    if !absent.is_empty() {
        tracing::warn!(uid = %request.pod.uid, controllers = ?absent, "this host lacks cgroup controllers that limits need");
    }
    share_out(request.layout, request.cgroups, request.pod.qos)
}

fn limits(values: &CgroupValues) -> CgroupLimits {
    CgroupLimits {
        cpu_shares: values.cpu_shares,
        cpu_weight: values.cpu_weight(),
        cpu_quota_us: values.cpu_quota_us,
        cpu_period_us: values.cpu_period_us,
        memory_limit_bytes: values.memory_limit_bytes,
        pids_limit: values.pids_limit,
    }
}

/// Gives the classes their shares: BestEffort pods the least together, Burstable pods the sum of theirs.
pub(super) fn share_out(layout: &Layout, cgroups: &Cgroups, qos: QosClass) -> Result<(), RuntimeError> {
    // Two at once could leave the older one's sum.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let group = cgroups.group(qos_cgroup(layout, qos))?;
    let file = match cgroups.version() {
        CgroupVersion::V1 => "cpu.shares",
        CgroupVersion::V2 => "cpu.weight",
    };
    let (least, most) = match cgroups.version() {
        CgroupVersion::V1 => (MIN_SHARES, MAX_SHARES),
        CgroupVersion::V2 => (1, 10_000),
    };
    let value = match qos {
        QosClass::Guaranteed => return Ok(()),
        QosClass::BestEffort => least,
        QosClass::Burstable => {
            let mut sum = 0_u64;
            for name in group.children()? {
                let text = group.child(&name)?.read("cpu", file)?.unwrap_or_default();
                sum = sum.saturating_add(text.trim().parse().unwrap_or(0));
            }
            sum.clamp(least, most)
        }
    };
    // Absent where no pod of the class is left and the group is gone.
    if group
        .read("cpu", file)?
        .is_some_and(|now| now.trim() != value.to_string())
    {
        group.write("cpu", file, &value.to_string())?;
    }
    Ok(())
}

fn make_shm(path: &Path) -> Result<(), RuntimeError> {
    file::create_dir_all(path, 0o711)?;
    if !mount::is_mountpoint(path)? {
        mount::mount_tmpfs(path, Some(SHM_BYTES), 0o1777)?;
    }
    Ok(())
}
