//! What the DNS server is made of.

use std::net::IpAddr;
use std::path::PathBuf;

/// Configuration of [`crate::dns::Dns`].
#[derive(Debug, Clone)]
pub struct DnsConfig {
    /// Its own addresses: those it listens on, which are never asked as upstream servers.
    pub addresses: Vec<IpAddr>,
    /// The cluster's domain, `cluster.local` say. Questions within it wait for the first table.
    pub domain: String,
    /// The file that names the host's servers (`resolvConf`); `None`: nothing is forwarded.
    pub resolv_conf: Option<PathBuf>,
    /// The file that systemd-resolved keeps for programs that pass its stub by.
    pub resolved_conf: PathBuf,
}

impl DnsConfig {
    /// With systemd-resolved's file where it always is.
    pub fn new(addresses: Vec<IpAddr>, domain: &str, resolv_conf: Option<PathBuf>) -> Self {
        Self {
            addresses,
            domain: domain.trim_matches('.').to_ascii_lowercase(),
            resolv_conf,
            resolved_conf: PathBuf::from("/run/systemd/resolve/resolv.conf"),
        }
    }
}
