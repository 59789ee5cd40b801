//! A pod's volumes, and where they appear.

use std::collections::BTreeMap;

use crate::ident::{ContainerName, ObjectName};
use crate::quantity::Bytes;

use super::PullPolicy;
use super::environment::{FieldSelector, ResourceSelector};

/// A volume of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Unique within the pod.
    pub name: ContainerName,
    /// Where it comes from.
    pub source: VolumeSource,
}

/// The volume kinds that this node serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VolumeSource {
    /// A path of the host; never re-rooted.
    HostPath {
        /// Absolute, without `..`.
        path: String,
        /// What must be there, or is made.
        kind: HostPathType,
    },
    /// A directory that lives as long as the pod.
    EmptyDir {
        /// In memory (tmpfs) and not on disk.
        memory: bool,
        /// The most it may hold.
        size_limit: Option<Bytes>,
    },
    /// The keys of a ConfigMap as files.
    ConfigMap {
        /// What of it, and as what.
        files: ObjectFiles,
        /// Permissions of files that name none; 0644 by default.
        default_mode: u16,
    },
    /// The keys of a Secret as files, on tmpfs.
    Secret {
        /// What of it, and as what.
        files: ObjectFiles,
        /// Permissions of files that name none; 0644 by default.
        default_mode: u16,
    },
    /// Fields of the pod as files.
    DownwardApi {
        /// The files.
        items: Vec<DownwardFile>,
        /// Permissions of files that name none; 0644 by default.
        default_mode: u16,
    },
    /// Several of these in one directory, on tmpfs.
    Projected {
        /// In order: of two files at one path the later one is there.
        sources: Vec<Projection>,
        /// Permissions of files that name none; 0644 by default.
        default_mode: u16,
    },
    /// An image's files, read-only.
    Image {
        /// The image reference as written.
        reference: String,
        /// With Kubernetes' default by tag.
        pull_policy: PullPolicy,
    },
    /// A PersistentVolumeClaim of the pod's namespace.
    Claim {
        /// Its name.
        name: ObjectName,
        /// Mounted read-only in every container.
        read_only: bool,
    },
    /// A claim of the pod's own, `<pod>-<volume>`, that ends with it.
    Ephemeral(ClaimTemplate),
}

impl VolumeSource {
    /// Its files follow their objects while the pod runs, and have the pod's `fsGroup`.
    pub fn is_written_by_node(&self) -> bool {
        matches!(
            self,
            Self::ConfigMap { .. } | Self::Secret { .. } | Self::DownwardApi { .. } | Self::Projected { .. }
        )
    }
}

/// What of a ConfigMap or Secret becomes files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectFiles {
    /// The object's name.
    pub name: ObjectName,
    /// These keys; empty: each key at a path of its name.
    pub items: Vec<KeyToPath>,
    /// A missing object or key leaves its files out.
    pub optional: bool,
}

/// A key's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyToPath {
    /// The key.
    pub key: String,
    /// Path in the volume: relative, without `..`.
    pub path: String,
    /// Permissions; the volume's default where absent.
    pub mode: Option<u16>,
}

/// A file of the downward API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownwardFile {
    /// Path in the volume: relative, without `..`.
    pub path: String,
    /// What it holds.
    pub value: DownwardValue,
    /// Permissions; the volume's default where absent.
    pub mode: Option<u16>,
}

/// What a file of the downward API holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DownwardValue {
    /// A field of the pod.
    Field(FieldSelector),
    /// A request or limit; its container is always named.
    Resource(ResourceSelector),
}

/// One source of a projected volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Projection {
    /// Of a ConfigMap.
    ConfigMap(ObjectFiles),
    /// Of a Secret.
    Secret(ObjectFiles),
    /// Of the pod itself.
    DownwardApi(Vec<DownwardFile>),
    /// A service account's token: a file only where a cluster gives one.
    ServiceAccountToken {
        /// Path in the volume: relative, without `..`.
        path: String,
        /// Whom the token is for; the API server where absent.
        audience: Option<String>,
        /// How long it is good; default 3600, at least 600.
        expiration_seconds: u64,
    },
}

/// What a claim asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimTemplate {
    /// Labels and annotations of the claim.
    pub labels: BTreeMap<String, String>,
    /// Likewise.
    pub annotations: BTreeMap<String, String>,
    /// What it asks for.
    pub spec: ClaimSpec,
}

/// `spec` of a PersistentVolumeClaim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimSpec {
    /// At least one.
    pub access_modes: Vec<AccessMode>,
    /// `resources.requests.storage`.
    pub storage: Bytes,
    /// `None`: the node's default class; `Some("")`: none at all.
    pub storage_class_name: Option<String>,
    /// The volume asked for by name.
    pub volume_name: Option<String>,
}

/// Who may mount a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AccessMode {
    /// Pods of one node.
    ReadWriteOnce,
    /// Pods of many, to read.
    ReadOnlyMany,
    /// Pods of many.
    ReadWriteMany,
    /// One pod.
    ReadWriteOncePod,
}

/// `hostPath.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostPathType {
    /// No type: no check; what is absent is made as a directory, 0755, as container daemons do.
    Unset,
    /// Made with 0755 where absent; otherwise must be a directory.
    DirectoryOrCreate,
    /// Must be a directory.
    Directory,
    /// Made with 0644 where absent (its parent must be there); otherwise must be a file.
    FileOrCreate,
    /// Must be a regular file.
    File,
    /// Must be a UNIX socket.
    Socket,
    /// Must be a character device.
    CharDevice,
    /// Must be a block device.
    BlockDevice,
}

/// Where a volume appears in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeMount {
    /// One of the pod's volumes.
    pub volume: ContainerName,
    /// Absolute path in the container.
    pub mount_path: String,
    /// Path within the volume: relative, without `..`; resolved beneath the volume.
    pub sub_path: Option<SubPath>,
    /// Mounted read-only.
    pub read_only: bool,
    /// `recursiveReadOnly`: mounts beneath are read-only too.
    pub recursive_read_only: RecursiveReadOnly,
    /// How later mounts travel between host and container.
    pub propagation: MountPropagation,
}

/// A path within a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubPath {
    /// `subPath`.
    Plain(String),
    /// `subPathExpr`: its `$(VAR)` references are expanded when the container is made.
    Expression(String),
}

/// `recursiveReadOnly`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecursiveReadOnly {
    /// Mounts beneath stay as they are.
    #[default]
    Disabled,
    /// Read-only where the kernel can.
    IfPossible,
    /// Read-only, or the container is not made.
    Enabled,
}

/// `mountPropagation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MountPropagation {
    /// `None`: private.
    #[default]
    Private,
    /// `HostToContainer`: slave.
    HostToContainer,
    /// `Bidirectional`: shared; privileged containers only.
    Bidirectional,
}
