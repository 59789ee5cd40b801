//! What a pod knows of names: its lines of `/etc/hosts`, its resolver.

use std::net::IpAddr;

/// `hostAliases[]`: one line of `/etc/hosts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostAlias {
    /// The address.
    pub ip: IpAddr,
    /// Its names, DNS subdomains.
    pub hostnames: Vec<String>,
}

/// `dnsPolicy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DnsPolicy {
    /// The node's own DNS server; of a pod in the host's network, the host's servers. The default.
    #[default]
    ClusterFirst,
    /// The node's own DNS server, in the host's network too.
    ClusterFirstWithHostNet,
    /// The host's servers.
    Default,
    /// Only what `dnsConfig` says.
    None,
}

impl DnsPolicy {
    /// The word that manifests use.
    pub fn as_str(self) -> &'static str {
        match self {
            DnsPolicy::ClusterFirst => "ClusterFirst",
            DnsPolicy::ClusterFirstWithHostNet => "ClusterFirstWithHostNet",
            DnsPolicy::Default => "Default",
            DnsPolicy::None => "None",
        }
    }
}

/// `dnsConfig`: what is added to the policy's settings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DnsConfig {
    /// At most 3.
    pub nameservers: Vec<IpAddr>,
    /// At most 32, and 2048 characters together; a dot at the end stays as it was written.
    pub searches: Vec<String>,
    /// An option of a name that the policy's settings have takes that one's place.
    pub options: Vec<DnsOption>,
}

/// One option of a resolver, `ndots:2`, say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsOption {
    /// Not empty.
    pub name: String,
    /// What stands behind the colon.
    pub value: Option<String>,
}
