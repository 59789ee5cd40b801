//! The image's own user files, read as the container would see them.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use pinnace_sys::SysError;
use pinnace_sys::path::{Mode, OFlags, Resolve, open_beneath, open_dir};

use crate::spec::user::MAX_FILE_BYTES;

/// `/etc/passwd` and `/etc/group` of a root file system, empty where absent; links lead nowhere outside.
pub fn files(root: &Path) -> Result<(String, String), SysError> {
    let root_fd = open_dir(root)?;
    let read = |name: &str| -> Result<String, SysError> {
        // Not blocking: an image may have put a fifo there.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened = open_beneath(&root_fd, Path::new(name), Resolve::InRoot, flags, Mode::empty());
        let file = match opened {
            Ok(fd) => File::from(fd),
            Err(error) if error.is_not_found() => return Ok(String::new()),
            Err(error) => return Err(error),
        };
        let failed = |source| SysError::new("read", root.join(name).display(), source);
        if !file.metadata().map_err(failed)?.is_file() {
            return Ok(String::new());
        }
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    Ok((read("etc/passwd")?, read("etc/group")?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_to_the_hosts_file_is_resolved_within_the_image() {
        let root = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(root.path().join("etc")).expect("etc");
        symlink("/etc/group", root.path().join("etc/passwd")).expect("a link");
        std::fs::write(root.path().join("etc/group"), "inner:x:5:\n").expect("a file");
        let (passwd, group) = files(root.path()).expect("files");
        assert_eq!(
            (passwd.as_str(), group.as_str()),
            ("inner:x:5:\n", "inner:x:5:\n")
        );
    }

    #[test]
    fn what_is_absent_or_no_file_is_empty() {
        let root = tempfile::tempdir().expect("a directory");
        std::fs::create_dir_all(root.path().join("etc/group")).expect("a directory");
        assert_eq!(files(root.path()).expect("files"), (String::new(), String::new()));
    }
}
