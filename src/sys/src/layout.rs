//! Where everything lies: one root, and all paths and host-wide names made of it.
//!
//! With another root than `/`, names on the host that are not paths (cgroups, interfaces) carry a tag of the
//! root, so that several nodes run on one machine. A pod's hostPath is never re-rooted.

use std::path::{Path, PathBuf};

/// The folders of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
    pod_logs: PathBuf,
}

impl Layout {
    /// The layout under `root`, which should be absolute and without links (see [`Path::canonicalize`]).
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        Self {
            pod_logs: root.join("var/log/pods"),
            root,
        }
    }
    /// The same with pods' logs elsewhere (`podLogsDir`).
    pub fn with_pod_logs(self, pod_logs: impl Into<PathBuf>) -> Self {
        Self {
            pod_logs: pod_logs.into(),
            ..self
        }
    }
    /// The root itself.
    pub fn root(&self) -> &Path {
        &self.root
    }
    /// `<root>/etc/pinnace`: the user's configuration, read-only to the agent.
    pub fn etc(&self) -> PathBuf {
        self.root.join("etc/pinnace")
    }
    /// `<root>/etc/pinnace/manifests`.
    pub fn manifests(&self) -> PathBuf {
        self.etc().join("manifests")
    }
    /// `<root>/var/lib/pinnace`: what must last.
    pub fn state(&self) -> PathBuf {
        self.root.join("var/lib/pinnace")
    }
    /// `<root>/var/lib/pinnace/pods`: durable records, `<uid>.json`.
    pub fn pod_records(&self) -> PathBuf {
        self.state().join("pods")
    }
    /// `<root>/var/lib/pinnace/images`: an OCI image layout.
    pub fn images(&self) -> PathBuf {
        self.state().join("images")
    }
    /// `<root>/var/lib/pinnace/layers`: unpacked layers by digest of their content.
    pub fn layers(&self) -> PathBuf {
        self.state().join("layers")
    }
    /// `<root>/var/lib/pinnace/bundles`: image archives to be imported at start and on change.
    pub fn image_bundles(&self) -> PathBuf {
        self.state().join("bundles")
    }
    /// `<root>/var/lib/pinnace/volumes/<uid>`: emptyDir volumes on disk.
    pub fn pod_volumes(&self, uid: &str) -> PathBuf {
        self.state().join("volumes").join(uid)
    }
    /// `<root>/var/lib/pinnace/writable/<uid>`: upper and work directories of container instances.
    pub fn pod_writable(&self, uid: &str) -> PathBuf {
        self.state().join("writable").join(uid)
    }
    /// `<root>/run/pinnace`: gone with a reboot.
    pub fn run(&self) -> PathBuf {
        self.root.join("run/pinnace")
    }
    /// `<root>/run/pinnace/pods/<uid>`: bundles, pinned namespaces, sub-paths, progress of one pod.
    pub fn pod_run(&self, uid: &str) -> PathBuf {
        self.run().join("pods").join(uid)
    }
    /// `<root>/run/pinnace/network`: leases of pods' addresses.
    pub fn network(&self) -> PathBuf {
        self.run().join("network")
    }
    /// `<root>/run/pinnace/agent.sock`: the agent's root-only control socket (HTTP).
    pub fn control_socket(&self) -> PathBuf {
        self.run().join("agent.sock")
    }
    /// `<root>/run/pinnace/agent.lock`: held by the one agent of this root.
    pub fn agent_lock(&self) -> PathBuf {
        self.run().join("agent.lock")
    }
    /// `<root>/var/log/pods`, or where the configuration says.
    pub fn pod_logs(&self) -> PathBuf {
        self.pod_logs.clone()
    }
    /// `<root>/var/log/containers`: links to the logs.
    pub fn container_log_links(&self) -> PathBuf {
        self.root.join("var/log/containers")
    }
    /// A tag for names on the host that are not paths: empty for `/`, else 8 hexadecimal digits.
    pub fn tag(&self) -> String {
        if self.root == Path::new("/") {
            return String::new();
        }
        let fnv = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        let hash = self
            .root
            .as_os_str()
            .as_encoded_bytes()
            .iter()
            .fold(0xcbf2_9ce4_8422_2325, fnv);
        format!("{:08x}", (hash >> 32) ^ (hash & 0xffff_ffff))
    }
    /// The cgroup below which all pods of this node lie, in every hierarchy: `kubepods` for `/`, else
    /// `pinnace-<tag>/kubepods`.
    pub fn cgroup_root(&self) -> String {
        match self.tag().as_str() {
            "" => "kubepods".to_owned(),
            tag => format!("pinnace-{tag}/kubepods"),
        }
    }
}
