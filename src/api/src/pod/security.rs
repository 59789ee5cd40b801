//! What a pod and its containers may do.

/// `securityContext` of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PodSecurity {
    /// UID for every container that names none.
    pub run_as_user: Option<u32>,
    /// GID likewise.
    pub run_as_group: Option<u32>,
    /// No container may run as root that does not say otherwise.
    pub run_as_non_root: Option<bool>,
    /// Further groups of every container.
    pub supplemental_groups: Vec<u32>,
    /// `supplementalGroupsPolicy: Strict`: the groups that the image gives the user do not count.
    pub only_named_groups: bool,
    /// The group that owns the pod's volumes, and every container is of.
    pub fs_group: Option<u32>,
    /// `fsGroupChangePolicy: OnRootMismatch`: owners are changed only where the volume's root has others.
    pub fs_group_on_root_mismatch: bool,
    /// Kernel parameters of the pod's namespaces, in order.
    pub sysctls: Vec<(String, String)>,
    /// The seccomp profile of containers that name none.
    pub seccomp: Option<SeccompProfile>,
    /// The AppArmor profile of containers that name none.
    pub app_armor: Option<AppArmorProfile>,
    /// SELinux' labels of containers that name none.
    pub se_linux: Option<SeLinuxOptions>,
}

/// `securityContext` of a container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContainerSecurity {
    /// UID of the first process.
    pub run_as_user: Option<u32>,
    /// GID of the first process.
    pub run_as_group: Option<u32>,
    /// It may not run as root; the pod's word where absent.
    pub run_as_non_root: Option<bool>,
    /// All capabilities, all devices, no masks.
    pub privileged: bool,
    /// The root file system is mounted read-only.
    pub read_only_root_filesystem: bool,
    /// `allowPrivilegeEscalation: false` sets no_new_privs.
    pub no_new_privileges: bool,
    /// Capabilities added, names without `CAP_`, or `ALL`.
    pub capabilities_add: Vec<String>,
    /// Capabilities dropped, likewise.
    pub capabilities_drop: Vec<String>,
    /// `procMount: Unmasked`: nothing of `/proc` is masked or read-only; with a user namespace only.
    pub unmasked_proc: bool,
    /// The seccomp profile; the pod's where absent.
    pub seccomp: Option<SeccompProfile>,
    /// The AppArmor profile; the pod's where absent.
    pub app_armor: Option<AppArmorProfile>,
    /// SELinux' labels; the pod's where absent.
    pub se_linux: Option<SeLinuxOptions>,
}

/// `seccompProfile`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeccompProfile {
    /// The runtime's default filter.
    RuntimeDefault,
    /// A file beneath the node's seccomp folder: relative, without `..`.
    Localhost(String),
    /// No filter.
    Unconfined,
}

/// `appArmorProfile`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppArmorProfile {
    /// The runtime's default profile.
    RuntimeDefault,
    /// A profile that the host has loaded.
    Localhost(String),
    /// No profile.
    Unconfined,
}

/// `seLinuxOptions`; empty parts are the host's defaults.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SeLinuxOptions {
    /// `user`.
    pub user: String,
    /// `role`.
    pub role: String,
    /// `type`.
    pub kind: String,
    /// `level`.
    pub level: String,
}
