//! Where a pod's sandbox and containers lie.
//!
//! ```text
//! <run>/pods/<uid>/sandbox/            all of it is the runtime's; what lies beside it is others'
//!     identity.json  sandbox.json  ready
//!     hosts  hostname  resolv.conf  shm/  net  ipc  uts
//!     pid  reaper.json             of a PID namespace that the containers share
//!     shim/        bundle of the shim: config.json, log (fifo), address, shim.json
//!     oci/         state of the OCI runtime
//!     c/<container>/<attempt>/   bundle: config.json, rootfs/, container.json, started, exit.json
//! <state>/writable/<uid>/<container>/<attempt>/{upper,work}
//! ```

use std::path::{Path, PathBuf};

use pinnace_api::{ContainerName, PodUid};
use pinnace_core::resources::QosClass;
use pinnace_sys::Layout;

/// A file name of ext4 and its like is no longer.
const MAX_NAME: usize = 255;
/// Length of `-<container's id>.log`.
const LOG_LINK_END: usize = "-".len() + 64 + ".log".len();

/// The folders of one pod.
#[derive(Debug, Clone)]
pub struct PodPaths {
    /// `<run>/pods/<uid>`.
    pub run: PathBuf,
    /// `<run>/pods/<uid>/sandbox`.
    pub sandbox: PathBuf,
    /// `<state>/writable/<uid>`.
    pub writable: PathBuf,
}

impl PodPaths {
    pub fn new(layout: &Layout, uid: &PodUid) -> Self {
        let run = layout.pod_run(uid.as_str());
        Self {
            sandbox: run.join("sandbox"),
            run,
            writable: layout.pod_writable(uid.as_str()),
        }
    }
    pub fn file(&self, name: &str) -> PathBuf {
        self.sandbox.join(name)
    }
    pub fn text(&self, name: &str) -> String {
        self.file(name).to_string_lossy().into_owned()
    }
    pub fn shim(&self) -> PathBuf {
        self.file("shim")
    }
    pub fn containers(&self) -> PathBuf {
        self.file("c")
    }
    pub fn container(&self, name: &ContainerName, attempt: u32) -> PathBuf {
        self.containers().join(name.as_str()).join(attempt.to_string())
    }
    pub fn container_writable(&self, name: &ContainerName, attempt: u32) -> PathBuf {
        self.writable.join(name.as_str()).join(attempt.to_string())
    }
}

/// The pod's cgroup in every hierarchy, without a leading slash.
pub fn pod_cgroup(layout: &Layout, qos: QosClass, uid: &PodUid) -> String {
    format!("{}/pod{uid}", qos_cgroup(layout, qos))
}

/// The cgroup of all pods of a class.
pub fn qos_cgroup(layout: &Layout, qos: QosClass) -> String {
    let root = layout.cgroup_root();
    match qos {
        QosClass::Guaranteed => root,
        QosClass::Burstable => format!("{root}/burstable"),
        QosClass::BestEffort => format!("{root}/besteffort"),
    }
}

/// All classes.
pub const QOS_CLASSES: [QosClass; 3] = [QosClass::Guaranteed, QosClass::Burstable, QosClass::BestEffort];

/// The pod's log directory, as the kubelet names it.
pub fn log_directory(layout: &Layout, namespace: &str, name: &str, uid: &PodUid) -> PathBuf {
    layout.pod_logs().join(format!("{namespace}_{name}_{uid}"))
}

/// Name of an instance's link in `/var/log/containers`; too long a name is cut before the container's id.
pub fn log_link(pod: &str, namespace: &str, container: &ContainerName, id: &str) -> String {
    let end = format!("-{id}.log");
    let mut start = format!("{pod}_{namespace}_{container}");
    // Names are ASCII, so any cut is at a character's end.
    start.truncate(MAX_NAME.saturating_sub(end.len()));
    start + &end
}

/// How the links to logs in this directory begin, as far as every one of them does; `None` where it has not the name of
/// a pod's directory.
pub fn log_links_front(directory: &Path) -> Option<String> {
    let mut parts = directory.file_name()?.to_str()?.splitn(3, '_');
    let (namespace, pod, _uid) = (parts.next()?, parts.next()?, parts.next()?);
    let mut front = format!("{pod}_{namespace}_");
    front.truncate(MAX_NAME - LOG_LINK_END);
    Some(front)
}

/// The instance's log.
pub fn log_file(directory: &Path, name: &ContainerName, attempt: u32) -> PathBuf {
    directory.join(name.as_str()).join(format!("{attempt}.log"))
}

#[cfg(test)]
mod tests {
    use pinnace_api::testing::name;

    use super::*;

    #[test]
    fn a_long_links_name_keeps_the_containers_id() {
        let id = "f".repeat(64);
        let link = log_link(&"p".repeat(253), "default", &name("c"), &id);
        assert_eq!(link.len(), 255);
        assert!(link.ends_with(&format!("-{id}.log")));
        assert_eq!(log_link("p", "ns", &name("c"), "id"), "p_ns_c-id.log");
    }

    #[test]
    fn every_link_of_a_pod_begins_as_its_directory_tells() {
        let layout = Layout::new("/");
        for pod in ["p", &"p".repeat(253), &"p".repeat(170)] {
            for id in ["f".repeat(64), "1".to_owned()] {
                let directory = log_directory(&layout, "a-namespace", pod, &name_of_pod());
                let front = log_links_front(&directory).expect("a pod's directory");
                let link = log_link(pod, "a-namespace", &name("c"), &id);
                assert!(link.starts_with(&front), "{link} {front}");
            }
        }
        assert_eq!(log_links_front(Path::new("/var/log/pods/other")), None);
    }

    fn name_of_pod() -> PodUid {
        PodUid::new("u").expect("a uid")
    }

    #[test]
    fn cgroups_lie_where_the_kubelet_has_them() {
        let (layout, uid) = (Layout::new("/"), PodUid::new("u").expect("a uid"));
        assert_eq!(pod_cgroup(&layout, QosClass::Guaranteed, &uid), "kubepods/podu");
        assert_eq!(
            pod_cgroup(&layout, QosClass::BestEffort, &uid),
            "kubepods/besteffort/podu"
        );
    }
}
