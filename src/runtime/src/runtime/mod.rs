//! [`Runtime`]: pods' sandboxes and containers behind the engine's port.
//!
//! It keeps nothing that the host does not show: what is held per pod is a connection to its shim and a copy
//! of its containers' records, both made again from the run directory after a restart. The engine calls the
//! operations of one pod one after another; waiting, looking and executing may come in between.

mod create;
mod disk;
mod exec;
mod listing;
mod observe;
mod port;
mod remove;
mod signal;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use pinnace_api::PodUid;
use pinnace_sys::cgroup::{CgroupVersion, Cgroups, Hierarchy};
use pinnace_sys::{Layout, SysError, clock, file, process};

pub use disk::ContainerDisk;
pub use exec::{Exec, ExecRequest};
pub use listing::RunningContainer;

use crate::config::RuntimeConfig;
use crate::error::RuntimeError;
use crate::events::{EventServer, ListenError};
use crate::launch::{self, Shim};
use crate::oci::{self, NoRuntime, OciRuntime};
use crate::paths::PodPaths;
use crate::rootfs::ImageRoots;
use crate::spec::{Host, SeccompHost};

/// CPUs whose throttling counters are looked for.
const MAX_CPUS: usize = 8192;

/// Pods on this host. Cheap to clone.
#[derive(Debug)]
pub struct Runtime<I> {
    inner: Arc<Inner<I>>,
}

impl<I> Clone for Runtime<I> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

#[derive(Debug)]
struct Inner<I> {
    config: RuntimeConfig,
    layout: Layout,
    images: I,
    cgroups: Cgroups,
    boot: String,
    /// containerd's name space that shims are started in.
    namespace: String,
    host: Host,
    oci: OciRuntime,
    events: EventServer,
    pods: Mutex<HashMap<PodUid, Arc<PodHandle>>>,
    /// What the writable layers lie on, once it was looked up.
    device: OnceLock<Arc<str>>,
}

/// What is held of one pod.
#[derive(Debug, Default)]
struct PodHandle {
    /// The shim, once one was started or found.
    shim: tokio::sync::Mutex<Option<Arc<Shim>>>,
    containers: Mutex<listing::Known>,
}

/// Why pods cannot be run here.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No OCI runtime works.
    #[error(transparent)]
    NoRuntime(#[from] NoRuntime),
    /// The events' socket.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Directories, cgroups, this process's own rights.
    #[error(transparent)]
    Sys(#[from] SysError),
    /// The trial of the OCI runtimes was cut off.
    #[error("choose an OCI runtime")]
    CutOff(#[from] tokio::task::JoinError),
}

impl<I: ImageRoots> Runtime<I> {
    /// Chooses an OCI runtime and listens for shims' events. The caller holds the root's lock.
    pub async fn open(config: RuntimeConfig, layout: Layout, images: I) -> Result<Self, OpenError> {
        file::create_dir_all(&layout.run(), 0o711)?;
        let tag = layout.tag();
        let fallback = format!("/run/pinnace{tag}-events.sock");
        let events = EventServer::listen(&layout.run().join("events.sock"), fallback.as_ref())?;
        let (candidates, of_trial) = (config.oci_runtimes.clone(), layout.clone());
        let oci = tokio::task::spawn_blocking(move || oci::choose(&candidates, &of_trial)).await??;
        let cgroups = Cgroups::detect()?;
        let host = host(&cgroups, &oci, &config, &layout)?;
        let namespace = if tag.is_empty() {
            "k8s.io".to_owned()
        } else {
            format!("pinnace-{tag}")
        };
        let inner = Inner {
            config,
            images,
            cgroups,
            boot: clock::boot_id()?,
            namespace,
            host,
            oci,
            events,
            layout,
            pods: Mutex::default(),
            device: OnceLock::new(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The OCI runtime that was chosen.
    pub fn oci_runtime(&self) -> &OciRuntime {
        &self.inner.oci
    }
}

impl<I> Inner<I> {
    fn pods(&self) -> MutexGuard<'_, HashMap<PodUid, Arc<PodHandle>>> {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pod(&self, uid: &PodUid) -> Arc<PodHandle> {
        Arc::clone(self.pods().entry(uid.clone()).or_default())
    }

    fn paths(&self, uid: &PodUid) -> PodPaths {
        PodPaths::new(&self.layout, uid)
    }

    /// The pod's shim where one was started for its sandbox; it may be dead.
    async fn shim(&self, uid: &PodUid) -> Result<Option<Arc<Shim>>, RuntimeError> {
        let pod = self.pod(uid);
        let mut slot = pod.shim.lock().await;
        self.found(uid, &mut slot).await
    }

    /// The shim in the pod's slot, looked for on the host where there is none.
    async fn found(
        &self,
        uid: &PodUid,
        slot: &mut Option<Arc<Shim>>,
    ) -> Result<Option<Arc<Shim>>, RuntimeError> {
        if slot.is_none() {
            *slot = launch::find(&self.namespace, &self.paths(uid).shim())
                .await?
                .map(Arc::new);
        }
        Ok(slot.clone())
    }

    /// The same, where there must be one.
    async fn needed_shim(&self, uid: &PodUid) -> Result<Arc<Shim>, RuntimeError> {
        self.shim(uid)
            .await?
            .ok_or(RuntimeError::Missing("shim of the pod"))
    }
}

fn host(
    cgroups: &Cgroups,
    oci: &OciRuntime,
    config: &RuntimeConfig,
    layout: &Layout,
) -> Result<Host, SysError> {
    let own = process::capabilities()?;
    let score = file::read_text("/proc/self/oom_score_adj".as_ref(), 64)?;
    let unified_cgroups = cgroups.version() == CgroupVersion::V2;
    let hostname =
        nix::unistd::gethostname().map_err(|error| SysError::new("read", "the host name", error.into()))?;
    let throttle = |cpu: usize| format!("/sys/devices/system/cpu/cpu{cpu}/thermal_throttle");
    Ok(Host {
        capabilities: own.permitted,
        oom_score_adj: score.trim().parse().unwrap_or(0),
        unified_cgroups,
        swap_accounting: swap_accounting(cgroups),
        group_oom_kill: unified_cgroups && has_memory_controller(cgroups),
        seccomp: SeccompHost {
            works: oci.seccomp,
            by_default: config.seccomp_default,
            folder: match &config.seccomp_profiles {
                Some(folder) => folder.clone(),
                None => layout.state().join("seccomp"),
            },
        },
        masked_paths: (0..MAX_CPUS)
            .take_while(|cpu| std::fs::exists(format!("/sys/devices/system/cpu/cpu{cpu}")).unwrap_or(false))
            .map(throttle)
            .filter(|path| std::fs::exists(path).unwrap_or(false))
            .collect(),
        architecture: std::env::consts::ARCH,
        hostname: hostname.to_string_lossy().into_owned(),
        domain: config.naming.dns.domain.clone(),
    })
}

/// Whether the unified hierarchy has a memory controller to hand down: some machines start without.
fn has_memory_controller(cgroups: &Cgroups) -> bool {
    let unified = cgroups.hierarchies().iter().filter(|hierarchy| hierarchy.unified);
    unified
        .filter_map(|hierarchy| file::read_text(&hierarchy.mount_point.join("cgroup.controllers"), 4096).ok())
        .any(|controllers| controllers.split_whitespace().any(|name| name == "memory"))
}

/// Whether a group's swap can be limited. The unified hierarchy's root has no such file, its children do.
fn swap_accounting(cgroups: &Cgroups) -> bool {
    let v1 = cgroups.version() == CgroupVersion::V1;
    let counts = |hierarchy: &&Hierarchy| match v1 {
        true => hierarchy
            .controllers
            .iter()
            .any(|controller| controller == "memory"),
        false => hierarchy.unified,
    };
    let Some(hierarchy) = cgroups.hierarchies().iter().find(counts) else {
        return false;
    };
    if v1 {
        return hierarchy.mount_point.join("memory.memsw.limit_in_bytes").exists();
    }
    let children = std::fs::read_dir(&hierarchy.mount_point)
        .into_iter()
        .flatten()
        .flatten();
    children
        .map(|entry| entry.path().join("memory.swap.max"))
        .any(|path| path.exists())
}
