//! What containers need of the host.

use std::path::Path;

use pinnace_core::config::NodeConfig;
use pinnace_net::Finding;
use pinnace_runtime::oci;
use pinnace_sys::cgroup::{CgroupVersion, Cgroups};
use pinnace_sys::mount::{self, Overlay};
use pinnace_sys::{Layout, file};

use super::Check;
use crate::agent::chain;

/// Controllers without which limits have no effect.
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];

/// The rights of root.
pub(super) fn root() -> Check {
    let is_root = nix::unistd::geteuid().is_root();
    let missing = (!is_root).then(|| {
        Finding::new(
            "This process is not root, so most of what follows cannot be tried.",
            "Run it as root.",
        )
    });
    Check::new("rights", missing)
}

/// Control groups and their controllers.
pub(super) fn cgroups() -> Check {
    let cgroups = match Cgroups::detect() {
        Ok(cgroups) => cgroups,
        Err(error) => {
            let finding = Finding::new(
                format!("There are no control groups: {}.", chain(&error)),
                "Mount cgroup2 on /sys/fs/cgroup, as systemd does.",
            );
            return Check::new("control groups", Some(finding));
        }
    };
    let version = match cgroups.version() {
        CgroupVersion::V1 => 1,
        CgroupVersion::V2 => 2,
    };
    let is_there = |controller: &&str| match cgroups.version() {
        CgroupVersion::V1 => cgroups
            .hierarchies()
            .iter()
            .any(|one| one.controllers.iter().any(|name| name == *controller)),
        CgroupVersion::V2 => cgroups.hierarchies().iter().any(|one| {
            let listed = file::read_text(&one.mount_point.join("cgroup.controllers"), 4096);
            listed.is_ok_and(|text| text.split_whitespace().any(|name| name == *controller))
        }),
    };
    let missing = CONTROLLERS.iter().filter(|controller| !is_there(controller));
    let findings = missing.map(|controller| {
        Finding::new(
            format!(
                "The controller {controller} of control groups is missing, so its limits have no effect."
            ),
            format!("Switch it on (a kernel built with it, without cgroup_disable={controller})."),
        )
    });
    Check::new(format!("control groups (version {version})"), findings)
}

/// Overlays on the file system that holds containers' roots.
pub(super) fn overlay(layout: &Layout) -> Check {
    let state = layout.state();
    let there = state
        .ancestors()
        .find(|path| path.is_dir())
        .unwrap_or(Path::new("/"));
    let what = format!("overlayfs on {}", there.display());
    let failed = try_overlay(there).err();
    let finding = failed.map(|why| {
        Finding::new(
            format!("No overlay can be mounted there: {why}."),
            "Load the module overlay, and have the directory on ext4, xfs (ftype=1), btrfs or tmpfs.",
        )
    });
    Check::new(what, finding)
}

fn try_overlay(directory: &Path) -> Result<(), String> {
    let trial = tempfile::Builder::new()
        .prefix(".doctor-")
        .tempdir_in(directory)
        .map_err(|error| chain(&error))?;
    let [lower, upper, work, target] =
        ["lower", "upper", "work", "target"].map(|name| trial.path().join(name));
    for path in [&lower, &upper, &work, &target] {
        std::fs::create_dir(path).map_err(|error| chain(&error))?;
    }
    let lowers = [lower];
    let overlay = Overlay {
        lower: &lowers,
        writable: Some((&upper, &work)),
    };
    mount::mount_overlay(overlay, &target).map_err(|error| chain(&error))?;
    mount::unmount(&target).map_err(|error| chain(&error))
}

/// An OCI runtime that creates a container here.
pub(super) fn oci_runtime(layout: &Layout, config: &NodeConfig) -> Check {
    match oci::choose(&config.oci_runtimes, layout) {
        Ok(chosen) => {
            let what = format!("OCI runtime ({})", chosen.path.display());
            let missing = (!chosen.seccomp).then(|| {
                Finding::new(
                    "It refuses the default seccomp profile, so containers run without one.",
                    "Use a build with libseccomp, and a kernel with CONFIG_SECCOMP_FILTER.",
                )
            });
            Check::new(what, missing)
        }
        Err(error) => {
            let finding = Finding::new(
                format!("{error}."),
                "Install crun or runc, or name one that works in ociRuntimes.",
            );
            Check::new("OCI runtime", Some(finding))
        }
    }
}
