//! Which cgroups and log directories are ours.
//!
//! With the root `/` they lie where a kubelet's would lie too, and what is not ours must never be listed as
//! left over. So they carry an extended attribute; under another root their paths alone tell.

use std::path::Path;

use pinnace_sys::{Layout, SysError};
use rustix::fs::{XattrFlags, getxattr, setxattr};

const ATTRIBUTE: &str = "trusted.pinnace";

/// Marks a directory as ours. One that cannot be marked is still removed with its pod, but is not found by
/// listing alone any more.
pub fn mark(path: &Path) {
    if let Err(error) = setxattr(path, ATTRIBUTE, b"1", XattrFlags::empty()) {
        let error = SysError::new("mark as ours", path.display(), error.into());
        tracing::debug!(%error, source = %error.source, "not marked");
    }
}

/// Whether the directory is this node's.
pub fn is_ours(layout: &Layout, path: &Path) -> bool {
    !layout.tag().is_empty() || getxattr(path, ATTRIBUTE, &mut [0_u8; 16][..]).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_the_hosts_root_only_what_is_marked_is_ours() {
        let dir = tempfile::tempdir().expect("a directory");
        let (root, other) = (Layout::new("/"), Layout::new("/srv/node"));
        assert!(!is_ours(&root, dir.path()) && is_ours(&other, dir.path()));
        mark(dir.path());
        assert!(is_ours(&root, dir.path()));
    }
}
