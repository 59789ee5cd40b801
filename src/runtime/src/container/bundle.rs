//! The bundle of an instance: record, root file system, specification.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pinnace_api::ContainerName;
use pinnace_api::pod::Container;
use pinnace_core::network::HostNames;
use pinnace_core::ports::{ContainerRequest, PodContext};
use pinnace_core::time::WallMillis;
use pinnace_sys::mount::{self, Overlay};
use pinnace_sys::namespace::NamespaceKind;
use pinnace_sys::{Layout, SysError, clock, file};

use super::message::MessageRule;
use super::{security, shared, user};
use crate::error::RuntimeError;
use crate::paths::{PodPaths, log_directory, log_file, log_link, pod_cgroup};
use crate::records::{self, ContainerRecord};
use crate::rootfs::ImageRoot;
use crate::sandbox;
use crate::spec::{self, Host, Input, Namespaces, PodFiles, SpecError, non_root};
use pinnace_core::pod::container_id;

/// Where an instance's files lie.
#[derive(Debug, Clone)]
pub struct Bundle {
    pub path: PathBuf,
    pub writable: PathBuf,
}

impl Bundle {
    pub fn new(paths: &PodPaths, name: &ContainerName, attempt: u32) -> Self {
        Self {
            path: paths.container(name, attempt),
            writable: paths.container_writable(name, attempt),
        }
    }
    pub fn record(&self) -> PathBuf {
        self.path.join("container.json")
    }
    pub fn started(&self) -> PathBuf {
        self.path.join("started")
    }
    pub fn exit(&self) -> PathBuf {
        self.path.join("exit.json")
    }
    /// What the instance changed of its image.
    pub fn writable_layer(&self) -> PathBuf {
        self.writable.join("upper")
    }
    pub fn rootfs(&self) -> PathBuf {
        self.path.join("rootfs")
    }
    pub fn termination_log(&self) -> PathBuf {
        self.path.join("termination-log")
    }
    pub fn stdin(&self) -> PathBuf {
        self.path.join("stdin")
    }
}

/// A bundle that is ready for Create.
#[derive(Debug)]
pub struct Prepared {
    pub bundle: Bundle,
    pub record: ContainerRecord,
    /// How long the root file system and the specification took.
    pub rootfs_took: Duration,
    pub spec_took: Duration,
}

/// Makes the bundle of a new instance.
pub fn prepare(
    layout: &Layout,
    host: &Host,
    pod: &PodContext,
    request: &ContainerRequest,
    image: &ImageRoot,
) -> Result<Prepared, RuntimeError> {
    let paths = PodPaths::new(layout, &pod.uid);
    let container = pod
        .pod
        .spec
        .container(&request.name)
        .ok_or_else(|| RuntimeError::NoContainer(request.name.clone()))?;
    shared::check(&request.mounts)?;
    non_root::check(&pod.pod, &pod.uid, container, &image.defaults.user)?;
    let bundle = Bundle::new(&paths, &request.name, request.attempt);
    file::create_dir_all(&bundle.path, 0o711)?;
    let mut record = record(layout, pod, request, image, container);
    // Before its first effect: by it, what is left of a broken creation is found and removed.
    records::write(&bundle.record(), &record)?;
    let began = std::time::Instant::now();
    make_rootfs(&bundle, image)?;
    let rootfs_took = began.elapsed();
    make_files(&bundle, &record, container)?;
    let built = specify(layout, host, pod, request, image, container, &bundle)?;
    record.cannot_set = built.cannot_set;
    for wish in &record.cannot_set {
        tracing::warn!(namespace = %pod.pod.meta.namespace, pod = %pod.pod.meta.name, uid = %pod.uid,
            container = %request.name, "cannot set {wish}");
    }
    records::write(&bundle.path.join("config.json"), &built.spec)?;
    if !record.cannot_set.is_empty() {
        records::write(&bundle.record(), &record)?;
    }
    let spec_took = began.elapsed().saturating_sub(rootfs_took);
    Ok(Prepared {
        bundle,
        record,
        rootfs_took,
        spec_took,
    })
}

fn record(
    layout: &Layout,
    pod: &PodContext,
    request: &ContainerRequest,
    image: &ImageRoot,
    container: &Container,
) -> ContainerRecord {
    let meta = &pod.pod.meta;
    let own_stop_signal = container
        .lifecycle
        .stop_signal
        .map(|signal| i32::from(signal.number));
    let id = container_id(&pod.uid, &request.name, request.attempt);
    let logs = log_directory(layout, meta.namespace.as_str(), meta.name.as_str(), &pod.uid);
    let link = log_link(meta.name.as_str(), meta.namespace.as_str(), &request.name, &id);
    ContainerRecord {
        cgroup: format!("{}/{id}", pod_cgroup(layout, pod.qos, &pod.uid)),
        log: log_file(&logs, &request.name, request.attempt),
        log_link: layout.container_log_links().join(link),
        id,
        name: request.name.clone(),
        attempt: request.attempt,
        image: request.image.reference.clone(),
        image_id: request.image.id.clone(),
        stop_signal: own_stop_signal.or(image.stop_signal),
        tty: container.tty,
        created_at: WallMillis(clock::wall_millis()),
        message: MessageRule::of(container, &pod.pod.spec),
        cannot_set: Vec::new(),
    }
}

fn make_rootfs(bundle: &Bundle, image: &ImageRoot) -> Result<(), RuntimeError> {
    let target = bundle.rootfs();
    if mount::is_mountpoint(&target)? {
        mount::unmount(&target)?;
    }
    let (upper, work) = (bundle.writable_layer(), bundle.writable.join("work"));
    for folder in [&target, &upper, &work] {
        file::create_dir_all(folder, 0o755)?;
    }
    let top = image
        .layers
        .first()
        .ok_or(RuntimeError::Missing("layer of the image"))?;
    like(top, &upper)?;
    mount::mount_overlay(
        Overlay {
            lower: &image.layers,
            writable: Some((&upper, &work)),
        },
        &target,
    )?;
    Ok(())
}

/// The root directory of an overlay is that of its upper part: it gets the image's mode and owner.
fn like(image: &Path, upper: &Path) -> Result<(), SysError> {
    let failed = |source| SysError::new("set the mode and owner of", upper.display(), source);
    let meta = std::fs::metadata(image).map_err(failed)?;
    std::os::unix::fs::chown(upper, Some(meta.uid()), Some(meta.gid())).map_err(failed)?;
    std::fs::set_permissions(upper, std::fs::Permissions::from_mode(meta.mode() & 0o7777)).map_err(failed)
}

fn make_files(bundle: &Bundle, record: &ContainerRecord, container: &Container) -> Result<(), RuntimeError> {
    file::write_replace(&bundle.termination_log(), b"", 0o666)?;
    if container.stdin {
        let path = bundle.stdin();
        let mode = nix::sys::stat::Mode::from_bits_truncate(0o600);
        match nix::unistd::mkfifo(&path, mode) {
            Ok(()) | Err(nix::errno::Errno::EEXIST) => {}
            Err(error) => return Err(SysError::new("make the fifo", path.display(), error.into()).into()),
        }
    }
    if let Some(folder) = record.log.parent() {
        file::create_dir_all(folder, 0o755)?;
    }
    file::remove_file(&record.log_link)?;
    let linked = symlink(&record.log, &record.log_link);
    linked.map_err(|error| SysError::new("link the log at", record.log_link.display(), error))?;
    Ok(())
}

fn specify(
    layout: &Layout,
    host: &Host,
    pod: &PodContext,
    request: &ContainerRequest,
    image: &ImageRoot,
    container: &Container,
    bundle: &Bundle,
) -> Result<spec::Built, RuntimeError> {
    let paths = PodPaths::new(layout, &pod.uid);
    let of_pod = &pod.pod.spec;
    let asked = security::asked(&of_pod.security, &container.security);
    let (passwd, group) = user::files(&bundle.rootfs())?;
    let user = spec::user::resolve(&asked, &image.defaults.user, &passwd, &group).map_err(SpecError::from)?;
    let hostname = match of_pod.host_network {
        true => host.hostname.clone(),
        false => HostNames::of(&pod.pod, &host.domain).kernel_name(&pod.pod)?,
    };
    let files = PodFiles {
        hosts: paths.text("hosts"),
        hostname: paths.text("hostname"),
        resolv_conf: paths.text("resolv.conf"),
        shm: if of_pod.host_ipc {
            "/dev/shm".to_owned()
        } else {
            paths.text("shm")
        },
        termination_log: bundle.termination_log().to_string_lossy().into_owned(),
        termination_target: container.termination_message.path.clone(),
    };
    let pinned = |kind: NamespaceKind, own: bool| own.then(|| paths.text(kind.file_name()));
    let namespaces = Namespaces {
        network: pinned(NamespaceKind::Network, !of_pod.host_network),
        ipc: pinned(NamespaceKind::Ipc, !of_pod.host_ipc),
        uts: pinned(NamespaceKind::Uts, !of_pod.host_network),
        pid: of_pod
            .share_process_namespace
            .then(|| paths.text(sandbox::PID_PIN)),
    };
    let devices = match container.security.privileged {
        true => spec::devices::below(Path::new("/dev")),
        false => Vec::new(),
    };
    let id = container_id(&pod.uid, &request.name, request.attempt);
    let input = Input {
        pod: &pod.pod,
        container,
        image: &image.defaults,
        invocation: &request.invocation,
        user,
        root_path: bundle.rootfs().to_string_lossy().into_owned(),
        files: &files,
        volumes: &request.mounts,
        namespaces: &namespaces,
        cgroup_path: format!("/{}/{id}", pod_cgroup(layout, pod.qos, &pod.uid)),
        cgroup: request.cgroup,
        oom_score_adj: request.oom_score_adj,
        hostname: &hostname,
        annotations: annotations(pod, Some(request)),
        seccomp: security::filter(host, &of_pod.security, &container.security)?,
        devices,
    };
    Ok(spec::build(host, input)?)
}

/// CRI's annotations: by the sandbox's id a container joins its pod's shim.
pub fn annotations(pod: &PodContext, container: Option<&ContainerRequest>) -> BTreeMap<String, String> {
    let meta = &pod.pod.meta;
    let mut all = vec![
        ("sandbox-id", pod.uid.to_string()),
        ("sandbox-uid", pod.uid.to_string()),
        ("sandbox-name", meta.name.to_string()),
        ("sandbox-namespace", meta.namespace.to_string()),
    ];
    match container {
        None => all.push(("container-type", "sandbox".to_owned())),
        Some(request) => {
            all.push(("container-type", "container".to_owned()));
            all.push(("container-name", request.name.to_string()));
            all.push(("image-name", request.image.reference.clone()));
        }
    }
    all.into_iter()
        .map(|(name, value)| (format!("io.kubernetes.cri.{name}"), value))
        .collect()
}
