//! How a Create says which OCI runtime to use.

/// Type name of [`RuncOptions`] in Create's `options`.
pub const RUNC_OPTIONS: &str = "containerd.runc.v1.Options";
/// Type name of [`ProcessDetails`] in Pids' `info`.
pub const PROCESS_DETAILS: &str = "containerd.runc.v1.ProcessDetails";
/// Type name of an exec's process document, which is JSON.
pub const OCI_PROCESS: &str = "types.containerd.io/opencontainers/runtime-spec/1/Process";
/// Type name of an update's resources document, which is JSON.
pub const OCI_LINUX_RESOURCES: &str = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources";

/// `containerd.runc.v1.Options`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct RuncOptions {
    /// `--no-pivot`.
    #[prost(bool, tag = "1")]
    pub no_pivot_root: bool,
    /// `--no-new-keyring`.
    #[prost(bool, tag = "2")]
    pub no_new_keyring: bool,
    /// A cgroup to place the shim into.
    #[prost(string, tag = "3")]
    pub shim_cgroup: String,
    /// Owner of the stdio pipes.
    #[prost(uint32, tag = "4")]
    pub io_uid: u32,
    /// Group of the stdio pipes.
    #[prost(uint32, tag = "5")]
    pub io_gid: u32,
    /// The runtime's program, `runc` where empty.
    #[prost(string, tag = "6")]
    pub binary_name: String,
    /// Directory of the runtime's state; containerd's shim appends the namespace.
    #[prost(string, tag = "7")]
    pub root: String,
    /// `--systemd-cgroup`.
    #[prost(bool, tag = "9")]
    pub systemd_cgroup: bool,
    /// Path of CRIU's images.
    #[prost(string, tag = "10")]
    pub criu_image_path: String,
    /// Path of CRIU's work files.
    #[prost(string, tag = "11")]
    pub criu_work_path: String,
}

/// `containerd.runc.v1.ProcessDetails`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ProcessDetails {
    /// The exec that the process was started by.
    #[prost(string, tag = "1")]
    pub exec_id: String,
}
