//! What CNI mode is made of.

use std::net::IpAddr;
use std::path::PathBuf;

use pinnace_sys::Layout;

use crate::rules::RulesConfig;

/// Configuration of [`super::CniNet`].
#[derive(Debug, Clone)]
pub struct CniConfig {
    /// The root, of which paths and names are made.
    pub layout: Layout,
    /// `cniConfDir`.
    pub conf_directory: PathBuf,
    /// `cniBinDir`: where plugins are looked for, in this order.
    pub bin_directories: Vec<PathBuf>,
    /// Where users of libcni note their attachments: `/var/lib/cni/results`.
    pub libcni_cache: PathBuf,
    /// Addresses that are put on the loopback interface, for the DNS server to listen on.
    pub loopback_addresses: Vec<IpAddr>,
    /// What the rules of Services are made of.
    pub rules: RulesConfig,
}

impl CniConfig {
    pub(crate) fn records(&self) -> PathBuf {
        self.layout.state().join("cni")
    }

    pub(crate) fn locks(&self) -> PathBuf {
        self.layout.network().join("cni")
    }

    /// Every pod that has anything on this boot has a directory there.
    pub(crate) fn pods(&self) -> PathBuf {
        self.layout.run().join("pods")
    }
}
