//! emptyDir: a directory that lives as long as the pod, on disk or in memory.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use pinnace_api::Bytes;
use pinnace_sys::{Doing, SysResult, file, mount};

/// Every user of every container of the pod may write there, as with the kubelet.
const MODE: u32 = 0o777;
/// The directory that holds a pod's volumes.
const PARENT_MODE: u32 = 0o750;

/// What `fsGroup` gives the group of a volume's directory that its containers may write.
const GROUP_WRITES: u32 = 0o2770;
/// And of one that only the node writes.
const GROUP_READS: u32 = 0o2550;

/// Makes the directory; its content, if there is any, stays.
pub(crate) fn prepare_on_disk(path: &Path, group: Option<u32>, writable: bool) -> SysResult<()> {
    create(path)?;
    own(path, MODE, group, writable)
}

/// Mounts a tmpfs there unless one is there already. It may hold `limit` bytes; without a limit what the
/// pod itself may hold, and else the kernel's default.
pub(crate) fn prepare_in_memory(
    path: &Path,
    limit: Option<Bytes>,
    pod_memory_bytes: Option<u64>,
    group: Option<u32>,
) -> SysResult<()> {
    create(path)?;
    if !mount::is_mountpoint(path)? {
        mount::mount_tmpfs(path, size(limit, pod_memory_bytes), MODE)?;
    }
    own(path, MODE, group, true)
}

/// Gives a volume's directory its mode and its group, by which all that is made in it is the group's too. A crash may
/// have come between the directory's creation and this.
pub(crate) fn own(path: &Path, mode: u32, group: Option<u32>, writable: bool) -> SysResult<()> {
    let of_group = if writable { GROUP_WRITES } else { GROUP_READS };
    let mode = mode | group.map_or(0, |_| of_group);
    let metadata = std::fs::metadata(path).doing_on("stat", path)?;
    if let Some(group) = group.filter(|group| *group != metadata.gid()) {
        std::os::unix::fs::chown(path, None, Some(group)).doing_on("change the group of", path)?;
    }
    if metadata.mode() & 0o7777 != mode {
        let permissions = Permissions::from_mode(mode);
        std::fs::set_permissions(path, permissions).doing_on("set the mode of", path)?;
    }
    Ok(())
}

/// A limit of 0 is none, as in Kubernetes.
fn size(limit: Option<Bytes>, pod_memory_bytes: Option<u64>) -> Option<u64> {
    let limit = limit.map(|limit| limit.0).filter(|bytes| *bytes > 0);
    limit.into_iter().chain(pod_memory_bytes).min()
}

fn create(path: &Path) -> SysResult<()> {
    if let Some(parent) = path.parent() {
        file::create_dir_all(parent, PARENT_MODE)?;
    }
    file::create_dir_all(path, MODE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_of_the_volumes_and_the_pods_limit_counts() {
        assert_eq!(size(None, None), None);
        assert_eq!(size(Some(Bytes(0)), None), None);
        assert_eq!(size(Some(Bytes(5)), None), Some(5));
        assert_eq!(size(Some(Bytes(5)), Some(3)), Some(3));
        assert_eq!(size(Some(Bytes(3)), Some(5)), Some(3));
        assert_eq!(size(None, Some(7)), Some(7));
    }

    #[test]
    fn content_stays_and_the_mode_is_repaired() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("pod/volume");
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("kept"), b"").unwrap();
        prepare_on_disk(&path, None, true).unwrap();
        assert!(path.join("kept").exists());
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, MODE);
    }

    #[test]
    fn what_is_made_in_a_volume_is_the_groups() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("pod/volume");
        prepare_on_disk(&path, Some(2000), true).unwrap();
        std::fs::write(path.join("file"), b"").unwrap();
        let (volume, file) = (std::fs::metadata(&path), std::fs::metadata(path.join("file")));
        let (volume, file) = (volume.unwrap(), file.unwrap());
        assert_eq!(
            (volume.mode() & 0o7777, volume.gid(), file.gid()),
            (0o2777, 2000, 2000)
        );
    }
}
