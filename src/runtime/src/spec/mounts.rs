//! What is mounted in a container: the usual file systems, the pod's own files, the volumes.
//!
//! A volume mounted where a default would be takes its place. The pod's files and volumes are ordered by depth
//! together, so that what is mounted within another is not hidden by it.

use std::path::{Component, Path};

use pinnace_api::pod::MountPropagation;
use pinnace_core::ports::BindMount;

use super::oci::Mount;

/// The files and folders that the sandbox made for all its containers.
#[derive(Debug, Clone, Default)]
pub struct PodFiles {
    pub hosts: String,
    pub hostname: String,
    pub resolv_conf: String,
    pub shm: String,
    /// Of this instance: what the container writes there becomes its termination message.
    pub termination_log: String,
    /// Where the container sees it; nowhere where empty.
    pub termination_target: String,
}

fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> Mount {
    Mount {
        destination: destination.to_owned(),
        kind: kind.to_owned(),
        source: source.to_owned(),
        options: options.iter().map(|option| (*option).to_owned()).collect(),
    }
}

/// All mounts in the order in which they are to be made.
pub fn list(files: &PodFiles, volumes: &[BindMount], privileged: bool, read_only_root: bool) -> Vec<Mount> {
    let taken: Vec<String> = volumes.iter().map(|volume| tidy(&volume.target)).collect();
    let is_free = |mount: &Mount| !taken.contains(&mount.destination);
    // Who brings a `/dev` of its own brings all that is in it.
    let hidden =
        |mount: &Mount| mount.destination.starts_with("/dev/") && taken.iter().any(|path| path == "/dev");
    let mut mounts = file_systems(privileged);
    mounts.retain(|mount| is_free(mount) && !hidden(mount));
    let mut bound: Vec<Mount> = pod_files(files, read_only_root)
        .into_iter()
        .filter(is_free)
        .chain(volumes.iter().map(bind))
        .collect();
    bound.sort_by_key(|mount| Path::new(&mount.destination).components().count());
    mounts.extend(bound);
    mounts
}

fn file_systems(privileged: bool) -> Vec<Mount> {
    let access = if privileged { "rw" } else { "ro" };
    vec![
        mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount(
            "/dev",
            "tmpfs",
            "tmpfs",
            &["nosuid", "strictatime", "mode=755", "size=65536k"],
        ),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &[
                "nosuid",
                "noexec",
                "newinstance",
                "ptmxmode=0666",
                "mode=0620",
                "gid=5",
            ],
        ),
        mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", access]),
        mount(
            "/sys/fs/cgroup",
            "cgroup",
            "cgroup",
            &["nosuid", "noexec", "nodev", "relatime", access],
        ),
    ]
}

fn pod_files(files: &PodFiles, read_only_root: bool) -> Vec<Mount> {
    let access = if read_only_root { "ro" } else { "rw" };
    let options = ["rbind", "rprivate", access];
    let mut mounts = vec![
        mount("/dev/shm", "bind", &files.shm, &["rbind", "rprivate", "rw"]),
        mount(
            &tidy(&files.termination_target),
            "bind",
            &files.termination_log,
            &["rbind", "rprivate", "rw"],
        ),
        mount("/etc/hosts", "bind", &files.hosts, &["rbind", "rprivate", "rw"]),
        mount("/etc/hostname", "bind", &files.hostname, &options),
        mount("/etc/resolv.conf", "bind", &files.resolv_conf, &options),
    ];
    mounts.retain(|mount| mount.destination != "/");
    mounts
}

fn bind(volume: &BindMount) -> Mount {
    let propagation = match volume.propagation {
        MountPropagation::Private => "rprivate",
        MountPropagation::HostToContainer => "rslave",
        MountPropagation::Bidirectional => "rshared",
    };
    let access = if volume.read_only { "ro" } else { "rw" };
    let mut options = vec!["rbind", propagation, access];
    if volume.no_exec {
        options.push("noexec");
    }
    mount(
        &tidy(&volume.target),
        "bind",
        &volume.source.to_string_lossy(),
        &options,
    )
}

/// The path without doubled or trailing slashes and without `.`; `..` was refused when it was read.
fn tidy(path: &str) -> String {
    let parts: Vec<&str> = Path::new(path)
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    format!("/{}", parts.join("/"))
}

/// The propagation of the root that volumes ask for, as container daemons choose it.
pub fn root_propagation(volumes: &[BindMount]) -> Option<&'static str> {
    let asked = |kind: MountPropagation| volumes.iter().any(|volume| volume.propagation == kind);
    if asked(MountPropagation::Bidirectional) {
        Some("rshared")
    } else if asked(MountPropagation::HostToContainer) {
        Some("rslave")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(target: &str, propagation: MountPropagation) -> BindMount {
        BindMount {
            source: "/data".into(),
            target: target.to_owned(),
            read_only: true,
            no_exec: false,
            propagation,
        }
    }

    #[test]
    fn a_volume_takes_the_place_of_a_default() {
        let mounts = list(
            &PodFiles::default(),
            &[volume("/etc/hosts/", MountPropagation::Private)],
            false,
            false,
        );
        let hosts: Vec<_> = mounts
            .iter()
            .filter(|mount| mount.destination == "/etc/hosts")
            .collect();
        assert_eq!(hosts.len(), 1);
        assert_eq!(hosts[0].source, "/data");
        assert_eq!(hosts[0].options, ["rbind", "rprivate", "ro"]);
    }

    #[test]
    fn with_a_read_only_root_the_hosts_file_alone_is_writable() {
        let mounts = list(&PodFiles::default(), &[], false, true);
        let access = |path: &str| {
            let mount = mounts.iter().find(|mount| mount.destination == path);
            mount
                .and_then(|mount| mount.options.last().cloned())
                .expect("options")
        };
        assert_eq!(access("/etc/hosts"), "rw");
        assert_eq!(access("/etc/hostname"), "ro");
        assert_eq!(access("/etc/resolv.conf"), "ro");
    }

    #[test]
    fn a_volume_within_another_is_mounted_after_it() {
        let private = MountPropagation::Private;
        let volumes = [
            volume("/a/b/c", private),
            volume("/a", private),
            volume("/a/b", private),
        ];
        let mounts = list(&PodFiles::default(), &volumes, false, false);
        let order: Vec<&str> = mounts.iter().map(|mount| mount.destination.as_str()).collect();
        let of_volumes = order.iter().filter(|path| path.starts_with("/a"));
        assert_eq!(of_volumes.collect::<Vec<_>>(), [&"/a", &"/a/b", &"/a/b/c"]);
        assert_eq!(order[0], "/proc");
    }

    #[test]
    fn a_volume_above_one_of_the_pods_files_does_not_hide_it() {
        let files = PodFiles {
            termination_target: "/data//said".to_owned(),
            ..PodFiles::default()
        };
        let private = MountPropagation::Private;
        let volumes = [
            volume("/etc", private),
            volume("/data", private),
            volume("/dev", private),
        ];
        let mounts = list(&files, &volumes, false, false);
        let at = |path: &str| mounts.iter().position(|mount| mount.destination == path);
        assert!(at("/etc") < at("/etc/hosts") && at("/data") < at("/data/said"));
        assert_eq!(at("/dev/pts"), None, "a /dev of its own brings its own terminals");
        assert!(at("/dev") < at("/dev/shm"));
    }

    #[test]
    fn without_a_path_there_is_no_termination_message() {
        let mounts = list(&PodFiles::default(), &[], false, false);
        assert!(mounts.iter().all(|mount| mount.destination != "/"));
    }

    #[test]
    fn sysfs_and_cgroups_are_writable_for_the_privileged_only() {
        let options = |privileged: bool| {
            let mounts = list(&PodFiles::default(), &[], privileged, false);
            let sys = mounts
                .iter()
                .find(|mount| mount.destination == "/sys")
                .expect("/sys");
            sys.options.last().cloned()
        };
        assert_eq!(options(false).as_deref(), Some("ro"));
        assert_eq!(options(true).as_deref(), Some("rw"));
    }

    #[test]
    fn the_widest_propagation_decides_for_the_root() {
        let both = [
            volume("/a", MountPropagation::HostToContainer),
            volume("/b", MountPropagation::Bidirectional),
        ];
        assert_eq!(root_propagation(&both), Some("rshared"));
        assert_eq!(root_propagation(&both[..1]), Some("rslave"));
        assert_eq!(root_propagation(&[]), None);
    }
}
