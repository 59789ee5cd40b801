//! What this part of the node is told, and what it is built from.

use std::path::PathBuf;

/// Settings of shims and OCI runtimes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeConfig {
    /// The shim that supervises pods; one whose file name is not `pinnace-shim` is taken for a foreign one.
    pub shim: PathBuf,
    /// Our own shim, which writes a foreign shim's logs; the one that supervises, where that is ours.
    pub logger: PathBuf,
    /// OCI runtimes in the order of preference, names to be found in PATH or absolute paths.
    pub oci_runtimes: Vec<String>,
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
        }
    }

    /// The shim is ours: it takes `pinnace-log://` addresses.
    pub fn shim_is_ours(&self) -> bool {
        self.shim.file_name().is_some_and(|name| name == "pinnace-shim")
    }
}
