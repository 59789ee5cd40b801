//! The host's device nodes, for privileged containers.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use super::oci::Device;

/// Folders of `/dev` that every container has of its own.
const OWN: [&str; 4] = ["pts", "shm", "fd", "mqueue"];
const MAX_DEVICES: usize = 8192;
const MAX_DEPTH: usize = 8;

/// Character and block devices below `dev`, sorted by path; what cannot be read is left out.
pub fn below(dev: &Path) -> Vec<Device> {
    let mut found = Vec::new();
    walk(dev, 0, &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn walk(folder: &Path, depth: usize, found: &mut Vec<Device>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if found.len() >= MAX_DEVICES {
            return;
        }
        let path = entry.path();
        let Ok(meta) = fs::symlink_metadata(&path) else {
            continue;
        };
        let kind = meta.file_type();
        let own = depth == 0 && OWN.iter().any(|name| entry.file_name() == *name);
        if kind.is_dir() && depth < MAX_DEPTH && !own {
            walk(&path, depth + 1, found);
        } else if (kind.is_char_device() || kind.is_block_device()) && entry.file_name() != "console" {
            let Some(text) = path.to_str() else { continue };
            let device = meta.rdev();
            found.push(Device {
                path: text.to_owned(),
                kind: if kind.is_char_device() { "c" } else { "b" },
                major: rustix::fs::major(device).into(),
                minor: rustix::fs::minor(device).into(),
                file_mode: meta.mode() & 0o7777,
                uid: meta.uid(),
                gid: meta.gid(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_own_null_is_found_and_pts_is_not() {
        let found = below(Path::new("/dev"));
        let null = found
            .iter()
            .find(|device| device.path == "/dev/null")
            .expect("/dev/null");
        assert_eq!((null.kind, null.major, null.minor), ("c", 1, 3));
        assert!(!found.iter().any(|device| device.path.starts_with("/dev/pts/")));
    }
}
