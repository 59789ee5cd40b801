//! What a reload changes, and what waits for a restart.

use super::NodeConfig;

/// Settings that differ between two configurations, by their names in the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// They take effect at once: for what is admitted, started, rotated or restarted from now on.
    pub live: Vec<&'static str>,
    /// They take effect when the agent is started again.
    pub needs_restart: Vec<&'static str>,
}

impl Changes {
    /// Nothing differs.
    pub fn is_empty(&self) -> bool {
        self.live.is_empty() && self.needs_restart.is_empty()
    }
}

impl NodeConfig {
    /// What differs between `old` and `new`.
    pub fn changes(old: &Self, new: &Self) -> Changes {
        // Taken apart in full, so that a new setting cannot be forgotten here.
        let Self {
            api_version: _,
            kind: _,
            node_name,
            node_labels,
            register_with_taints,
            system_reserved,
            kube_reserved,
            max_pods,
            pods_per_core,
            pod_pids_limit,
            cpu_cfs_quota,
            cpu_cfs_quota_period,
            container_log_max_size,
            container_log_max_files,
            pod_logs_dir,
            crash_loop_back_off,
            static_pod_path,
            static_pod_url,
            static_pod_url_header,
            file_check_frequency,
            http_check_frequency,
            metrics_listen,
            oci_runtimes,
            shim_path,
            pod_network,
            pod_cidr,
            service_cidr,
            service_node_port_range,
            cluster_dns,
            cluster_domain,
            resolv_conf,
            cni_conf_dir,
            cni_bin_dir,
            host_ports_on_loopback,
            pods_may_reach_agent,
            seccomp_default,
            seccomp_profile_root,
            allowed_unsafe_sysctls,
            pod_security,
            allowed_host_paths,
        } = old;
        let live = [
            ("nodeLabels", *node_labels != new.node_labels),
            (
                "registerWithTaints",
                *register_with_taints != new.register_with_taints,
            ),
            ("systemReserved", *system_reserved != new.system_reserved),
            ("kubeReserved", *kube_reserved != new.kube_reserved),
            ("maxPods", *max_pods != new.max_pods),
            ("podsPerCore", *pods_per_core != new.pods_per_core),
            ("podPidsLimit", *pod_pids_limit != new.pod_pids_limit),
            ("cpuCFSQuota", *cpu_cfs_quota != new.cpu_cfs_quota),
            (
                "cpuCFSQuotaPeriod",
                *cpu_cfs_quota_period != new.cpu_cfs_quota_period,
            ),
            (
                "containerLogMaxSize",
                *container_log_max_size != new.container_log_max_size,
            ),
            (
                "containerLogMaxFiles",
                *container_log_max_files != new.container_log_max_files,
            ),
            (
                "crashLoopBackOff",
                *crash_loop_back_off != new.crash_loop_back_off,
            ),
            (
                "allowedUnsafeSysctls",
                *allowed_unsafe_sysctls != new.allowed_unsafe_sysctls,
            ),
            ("podSecurity", *pod_security != new.pod_security),
            ("allowedHostPaths", *allowed_host_paths != new.allowed_host_paths),
        ];
        let needs_restart = [
            ("nodeName", *node_name != new.node_name),
            ("podLogsDir", *pod_logs_dir != new.pod_logs_dir),
            ("staticPodPath", *static_pod_path != new.static_pod_path),
            ("staticPodURL", *static_pod_url != new.static_pod_url),
            (
                "staticPodURLHeader",
                *static_pod_url_header != new.static_pod_url_header,
            ),
            (
                "fileCheckFrequency",
                *file_check_frequency != new.file_check_frequency,
            ),
            (
                "httpCheckFrequency",
                *http_check_frequency != new.http_check_frequency,
            ),
            ("metricsListen", *metrics_listen != new.metrics_listen),
            ("ociRuntimes", *oci_runtimes != new.oci_runtimes),
            ("shimPath", *shim_path != new.shim_path),
            ("podNetwork", *pod_network != new.pod_network),
            ("podCIDR", *pod_cidr != new.pod_cidr),
            ("serviceCIDR", *service_cidr != new.service_cidr),
            (
                "serviceNodePortRange",
                *service_node_port_range != new.service_node_port_range,
            ),
            ("clusterDNS", *cluster_dns != new.cluster_dns),
            ("clusterDomain", *cluster_domain != new.cluster_domain),
            ("resolvConf", *resolv_conf != new.resolv_conf),
            ("cniConfDir", *cni_conf_dir != new.cni_conf_dir),
            ("cniBinDir", *cni_bin_dir != new.cni_bin_dir),
            (
                "hostPortsOnLoopback",
                *host_ports_on_loopback != new.host_ports_on_loopback,
            ),
            (
                "podsMayReachAgent",
                *pods_may_reach_agent != new.pods_may_reach_agent,
            ),
            ("seccompDefault", *seccomp_default != new.seccomp_default),
            (
                "seccompProfileRoot",
                *seccomp_profile_root != new.seccomp_profile_root,
            ),
        ];
        let differing = |settings: &[(&'static str, bool)]| {
            let differing = settings.iter().filter(|(_, differs)| *differs);
            differing.map(|(name, _)| *name).collect()
        };
        Changes {
            live: differing(&live),
            needs_restart: differing(&needs_restart),
        }
    }
}
