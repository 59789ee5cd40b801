//! What this part of the node is told, and what it is built from.

use std::path::PathBuf;

use pinnace_core::network::ClusterDns;

/// What pods are told of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naming {
    /// The node's DNS server, and the domain.
    pub dns: ClusterDns,
    /// The host's own resolver's file; empty where pods are to know nothing of it.
    pub resolv_conf: String,
}

impl Default for Naming {
    /// The host's resolver, and no server of the node's own.
    fn default() -> Self {
        Self {
            dns: ClusterDns {
                servers: Vec::new(),
                domain: "cluster.local".to_owned(),
            },
            resolv_conf: "/etc/resolv.conf".to_owned(),
        }
    }
}

/// Settings of shims and OCI runtimes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeConfig {
    /// The shim that supervises pods; one whose file name is not `pinnace-shim` is taken for a foreign one.
    pub shim: PathBuf,
    /// Our own shim, which writes a foreign shim's logs; the one that supervises, where that is ours.
    pub logger: PathBuf,
    /// OCI runtimes in the order of preference, names to be found in PATH or absolute paths.
    pub oci_runtimes: Vec<String>,
    /// What pods are told of names.
    pub naming: Naming,
    /// Containers that say nothing of seccomp get the default profile.
    pub seccomp_default: bool,
    /// The folder of the node's own seccomp profiles; `seccomp` in the node's state where absent.
    pub seccomp_profiles: Option<PathBuf>,
}

impl RuntimeConfig {
    /// Our own shim at `shim`, and crun before runc.
    pub fn new(shim: impl Into<PathBuf>) -> Self {
        let shim = shim.into();
        let oci_runtimes = ["crun", "runc"].map(str::to_owned).to_vec();
        Self {
            logger: shim.clone(),
            shim,
            oci_runtimes,
            naming: Naming::default(),
            seccomp_default: true,
            seccomp_profiles: None,
        }
    }

    /// The shim is ours: it takes `pinnace-log://` addresses.
    pub fn shim_is_ours(&self) -> bool {
        self.shim.file_name().is_some_and(|name| name == "pinnace-shim")
    }
}
