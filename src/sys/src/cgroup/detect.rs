//! Finding the hierarchies, in the kernel's list of mounts.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{CgroupVersion, Cgroups, Hierarchy, Inner};
use crate::error::{SysError, SysResult};
use crate::mount::{MountEntry, mount_table};

/// Options of a mount that are no controllers.
const OPTIONS: [&str; 7] = [
    "rw",
    "ro",
    "xattr",
    "noprefix",
    "clone_children",
    "cpuset_v2_mode",
    "favordynmods",
];

impl Cgroups {
    /// The hierarchies that are mounted on this host.
    pub fn detect() -> SysResult<Self> {
        Self::from_mounts(&mount_table()?, Path::new("/"))
    }

    /// The hierarchies of a list of mounts whose paths lie under `root`.
    pub fn from_mounts(mounts: &[MountEntry], root: &Path) -> SysResult<Self> {
        let mut hierarchies: Vec<Hierarchy> = Vec::new();
        for mount in mounts {
            let Some(found) = hierarchy(mount, root) else {
                continue;
            };
            // A hierarchy may be mounted in several places: the first is as good as any.
            let known =
                |known: &Hierarchy| known.unified == found.unified && known.controllers == found.controllers;
            if !hierarchies.iter().any(known) {
                hierarchies.push(found);
            }
        }
        let holds_controllers =
            |hierarchy: &Hierarchy| hierarchy.controllers.iter().any(|name| !name.contains('='));
        let version = if hierarchies.iter().any(holds_controllers) {
            CgroupVersion::V1
        } else if let Some(unified) = hierarchies.iter().find(|hierarchy| hierarchy.unified).cloned() {
            // Whatever else is mounted then (name=systemd) holds nothing that is ours.
            hierarchies = vec![unified];
            CgroupVersion::V2
        } else {
            let why = io::Error::new(io::ErrorKind::Unsupported, "no cgroup hierarchy is mounted");
            return Err(SysError::new("find the cgroups of", "this host", why));
        };
        Ok(Self {
            inner: Arc::new(Inner { version, hierarchies }),
        })
    }
}

fn hierarchy(mount: &MountEntry, root: &Path) -> Option<Hierarchy> {
    let inner = mount.mount_point.strip_prefix("/").unwrap_or(&mount.mount_point);
    let mount_point = root.join(inner);
    match mount.fs_type.as_str() {
        "cgroup2" => Some(Hierarchy {
            mount_point,
            controllers: Vec::new(),
            unified: true,
        }),
        "cgroup" => Some(Hierarchy {
            mount_point,
            controllers: mount
                .super_options
                .split(',')
                .filter(|option| !OPTIONS.contains(option) && !option.starts_with("release_agent="))
                .map(str::to_owned)
                .collect(),
            unified: false,
        }),
        _ => None,
    }
}
