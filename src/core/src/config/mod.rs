//! The node's configuration, typed.
//!
//! Names and units are KubeletConfiguration's where the kubelet has the setting; the few others are this
//! node's own. Reading files is the program's business: here a configuration is data that can be checked
//! ([`NodeConfig::problems`]) and compared with another ([`NodeConfig::changes`]). Every setting that is taken
//! has an effect; what this node does not have is an unknown key, and so an error.

mod changes;
mod duration;
mod network;
mod problems;
mod reserved;
mod security;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use pinnace_api::{LabelName, NodeName};

use crate::node::Taint;
use crate::pod::{Backoff, Policy};
use crate::ports::LogLimits;
use crate::resources::CgroupPolicy;

pub use changes::Changes;
pub use duration::{ConfigDuration, DurationError};
pub use network::{Cidrs, NetworkPlan, NetworkTextError, PodNetwork, PortRange};
pub use problems::FieldProblem;
pub use reserved::{LogSize, Reserved};
pub use security::{AllowedHostPath, PodSecurityConfig, PodSecurityExemptions};

/// `apiVersion` of a configuration file, where it gives one.
pub const API_VERSION: &str = "pinnace/v1";
/// `kind` of a configuration file, where it gives one.
pub const KIND: &str = "NodeConfiguration";

/// The configuration of one node; what a file leaves out has the default.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NodeConfig {
    /// [`API_VERSION`]; may be left out.
    pub api_version: String,
    /// [`KIND`]; may be left out.
    pub kind: String,
    /// The node's name; the host's, in lower case, where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_name: Option<NodeName>,
    /// Labels beside the node's own.
    pub node_labels: BTreeMap<LabelName, String>,
    /// Taints of the node.
    pub register_with_taints: Vec<Taint>,
    /// Kept back from pods for the system.
    pub system_reserved: Reserved,
    /// Kept back from pods for the agent, the shims and what belongs to them.
    pub kube_reserved: Reserved,
    /// The most pods that run here; 110 by default.
    pub max_pods: u32,
    /// The most pods for each CPU, within `maxPods`; 0 (the default): no such limit.
    pub pods_per_core: u32,
    /// The most processes of one pod; -1 (the default): no limit.
    pub pod_pids_limit: i64,
    /// Whether cpu limits are enforced; true by default.
    #[serde(rename = "cpuCFSQuota")]
    pub cpu_cfs_quota: bool,
    /// The period over which a cpu limit is enforced; 100ms by default.
    #[serde(rename = "cpuCFSQuotaPeriod")]
    pub cpu_cfs_quota_period: ConfigDuration,
    /// A log file is rotated past this size; 10Mi by default.
    pub container_log_max_size: LogSize,
    /// Files kept of a container's log, the current one included; 5 by default.
    pub container_log_max_files: u32,
    /// The directory of pods' logs, instead of `/var/log/pods` under the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_logs_dir: Option<String>,
    /// Back-off of restarts.
    pub crash_loop_back_off: CrashLoopBackOff,
    /// The directory of manifests, instead of the one beside the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub static_pod_path: Option<String>,
    /// A URL that delivers manifests.
    #[serde(rename = "staticPodURL", skip_serializing_if = "Option::is_none")]
    pub static_pod_url: Option<String>,
    /// Headers sent when asking that URL.
    #[serde(rename = "staticPodURLHeader")]
    pub static_pod_url_header: BTreeMap<String, Vec<String>>,
    /// How often the directory is read in full, beside being watched; 20s by default.
    pub file_check_frequency: ConfigDuration,
    /// How often the URL is asked; 20s by default.
    pub http_check_frequency: ConfigDuration,
    /// Addresses that metrics and health are served on; `0.0.0.0:9100` by default, empty for none.
    pub metrics_listen: Vec<SocketAddr>,
    /// OCI runtimes in order of preference, names or absolute paths; the first that works is taken.
    pub oci_runtimes: Vec<String>,
    /// The shim's program; `pinnace-shim` beside the agent's own where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shim_path: Option<String>,
    /// Who makes pods' networks; this node by default.
    pub pod_network: PodNetwork,
    /// Where pods' addresses come from; made of the root where absent.
    #[serde(rename = "podCIDR", skip_serializing_if = "Option::is_none")]
    pub pod_cidr: Option<Cidrs>,
    /// Where Services' addresses come from; made of the root where absent.
    #[serde(rename = "serviceCIDR", skip_serializing_if = "Option::is_none")]
    pub service_cidr: Option<Cidrs>,
    /// Where the node's ports of Services come from; 30000-32767 by default.
    pub service_node_port_range: PortRange,
    /// Addresses of the node's DNS server; the tenth of each range of Services where empty.
    #[serde(rename = "clusterDNS")]
    pub cluster_dns: Vec<IpAddr>,
    /// The domain of Services' names; cluster.local by default.
    pub cluster_domain: String,
    /// The file that names the host's own DNS servers; empty for none.
    pub resolv_conf: String,
    /// Where CNI configurations lie.
    pub cni_conf_dir: String,
    /// Where CNI plugins are looked for, in this order.
    pub cni_bin_dir: Vec<String>,
    /// The host reaches host ports and node ports at 127.0.0.1 too; false by default.
    pub host_ports_on_loopback: bool,
    /// Pods reach the agent's own ports; false by default.
    pub pods_may_reach_agent: bool,
    /// Containers that say nothing of seccomp get the default profile; true by default.
    pub seccomp_default: bool,
    /// Where seccomp profiles of the node's own lie; `seccomp` in the node's state where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seccomp_profile_root: Option<String>,
    /// Kernel parameters beside the safe ones that pods may set: names, or beginnings of names and `*`.
    pub allowed_unsafe_sysctls: Vec<String>,
    /// Which Pod Security Standard holds.
    pub pod_security: PodSecurityConfig,
    /// Directories of the host that pods may mount; all where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_host_paths: Option<Vec<AllowedHostPath>>,
}

/// `crashLoopBackOff`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CrashLoopBackOff {
    /// The longest wait before a restart, 1s to 300s; 300s by default.
    pub max_container_restart_period: ConfigDuration,
}

impl Default for CrashLoopBackOff {
    fn default() -> Self {
        Self {
            max_container_restart_period: ConfigDuration::from_secs(300),
        }
    }
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            node_name: None,
            node_labels: BTreeMap::new(),
            register_with_taints: Vec::new(),
            system_reserved: Reserved::default(),
            kube_reserved: Reserved::default(),
            max_pods: 110,
            pods_per_core: 0,
            pod_pids_limit: -1,
            cpu_cfs_quota: true,
            cpu_cfs_quota_period: ConfigDuration::from_millis(100),
            container_log_max_size: LogSize::default(),
            container_log_max_files: 5,
            pod_logs_dir: None,
            crash_loop_back_off: CrashLoopBackOff::default(),
            static_pod_path: None,
            static_pod_url: None,
            static_pod_url_header: BTreeMap::new(),
            file_check_frequency: ConfigDuration::from_secs(20),
            http_check_frequency: ConfigDuration::from_secs(20),
            metrics_listen: vec![SocketAddr::from((Ipv4Addr::UNSPECIFIED, 9100))],
            oci_runtimes: vec!["crun".to_owned(), "runc".to_owned()],
            shim_path: None,
            pod_network: PodNetwork::default(),
            pod_cidr: None,
            service_cidr: None,
            service_node_port_range: PortRange::default(),
            cluster_dns: Vec::new(),
            cluster_domain: "cluster.local".to_owned(),
            resolv_conf: "/etc/resolv.conf".to_owned(),
            cni_conf_dir: "/etc/cni/net.d".to_owned(),
            cni_bin_dir: vec!["/opt/cni/bin".to_owned(), "/usr/lib/cni".to_owned()],
            host_ports_on_loopback: false,
            pods_may_reach_agent: false,
            seccomp_default: true,
            seccomp_profile_root: None,
            allowed_unsafe_sysctls: Vec::new(),
            pod_security: PodSecurityConfig::default(),
            allowed_host_paths: None,
        }
    }
}

impl NodeConfig {
    /// What it says about every cgroup.
    pub fn cgroup_policy(&self) -> CgroupPolicy {
        CgroupPolicy {
            cpu_cfs_quota: self.cpu_cfs_quota,
            cpu_period_us: self.cpu_cfs_quota_period.as_micros(),
            pod_pids_limit: u64::try_from(self.pod_pids_limit).ok().filter(|limit| *limit > 0),
        }
    }

    /// What it says about waiting: the longest back-off of restarts.
    pub fn policy(&self) -> Policy {
        let usual = Policy::default();
        Policy {
            restart: Backoff {
                max_millis: self.crash_loop_back_off.max_container_restart_period.as_millis(),
                ..usual.restart
            },
            ..usual
        }
    }

    /// What it says about containers' logs.
    pub fn log_limits(&self) -> LogLimits {
        LogLimits {
            max_size_bytes: self.container_log_max_size.bytes(),
            max_files: self.container_log_max_files,
        }
    }
}
