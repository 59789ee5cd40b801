//! hostPath: a path of the host, checked by its type. It is never re-rooted, and links in it are followed,
//! as the kubelet does: whoever may write the manifest may name any path.

use std::fs::{FileType, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use pinnace_api::pod::HostPathType;
use pinnace_sys::{Doing, SysResult, file};

use crate::error::VolumeError;

/// Makes what is absent where the type says so, and checks that what is there is what it asks for.
pub(crate) fn prepare(path: &Path, kind: HostPathType) -> Result<(), VolumeError> {
    use HostPathType as Kind;
    let found = file_type(path)?;
    if found.is_none() {
        match kind {
            Kind::Unset | Kind::DirectoryOrCreate => return Ok(file::create_dir_all(path, 0o755)?),
            Kind::FileOrCreate => return Ok(create_file(path)?),
            _ => {}
        }
    }
    let (fits, expected) = match kind {
        Kind::Unset => return Ok(()),
        Kind::DirectoryOrCreate | Kind::Directory => (found.is_some_and(|f| f.is_dir()), "directory"),
        Kind::FileOrCreate | Kind::File => (found.is_some_and(|f| f.is_file()), "file"),
        Kind::Socket => (found.is_some_and(|f| f.is_socket()), "socket file"),
        Kind::CharDevice => (found.is_some_and(|f| f.is_char_device()), "character device"),
        Kind::BlockDevice => (found.is_some_and(|f| f.is_block_device()), "block device"),
    };
    if fits {
        return Ok(());
    }
    Err(VolumeError::HostPathType {
        path: path.display().to_string(),
        expected,
    })
}

/// The path without links, as it is bound. Checked again: it may have gone since the pod was prepared.
pub(crate) fn source(path: &Path, kind: HostPathType) -> Result<PathBuf, VolumeError> {
    prepare(path, kind)?;
    Ok(std::fs::canonicalize(path).doing_on("resolve", path)?)
}

fn file_type(path: &Path) -> SysResult<Option<FileType>> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.file_type())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).doing_on("stat", path),
    }
}

fn create_file(path: &Path) -> SysResult<()> {
    let opened = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644)
        .open(path);
    let file = opened.doing_on("create", path)?;
    file.set_permissions(Permissions::from_mode(0o644))
        .doing_on("set the mode of", path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::os::unix::net::UnixListener;

    use super::*;

    const ALL: [HostPathType; 8] = [
        HostPathType::Unset,
        HostPathType::DirectoryOrCreate,
        HostPathType::Directory,
        HostPathType::FileOrCreate,
        HostPathType::File,
        HostPathType::Socket,
        HostPathType::CharDevice,
        HostPathType::BlockDevice,
    ];

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn accepted(path: &Path) -> Vec<HostPathType> {
        ALL.into_iter()
            .filter(|kind| prepare(path, *kind).is_ok())
            .collect()
    }

    #[test]
    fn what_is_there_must_be_of_the_type() {
        use HostPathType as Kind;
        let root = tempfile::tempdir().unwrap();
        let (directory, file, socket) = (
            root.path().join("d"),
            root.path().join("f"),
            root.path().join("s"),
        );
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(&file, b"").unwrap();
        let _listener = UnixListener::bind(&socket).unwrap();
        assert_eq!(
            accepted(&directory),
            [Kind::Unset, Kind::DirectoryOrCreate, Kind::Directory]
        );
        assert_eq!(accepted(&file), [Kind::Unset, Kind::FileOrCreate, Kind::File]);
        assert_eq!(accepted(&socket), [Kind::Unset, Kind::Socket]);
        assert_eq!(accepted(Path::new("/dev/null")), [Kind::Unset, Kind::CharDevice]);
    }

    #[test]
    fn a_block_device_is_told_from_all_others() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("block");
        let made = std::process::Command::new("mknod")
            .arg(&path)
            .args(["b", "7", "250"])
            .status()
            .unwrap();
        assert!(made.success(), "mknod needs CAP_MKNOD");
        assert_eq!(accepted(&path), [HostPathType::Unset, HostPathType::BlockDevice]);
    }

    #[test]
    fn links_are_followed() {
        let root = tempfile::tempdir().unwrap();
        let (real, link) = (root.path().join("real"), root.path().join("link"));
        std::fs::create_dir(&real).unwrap();
        symlink(&real, &link).unwrap();
        prepare(&link, HostPathType::Directory).unwrap();
        let bound = source(&link, HostPathType::Directory).unwrap();
        assert_eq!(bound, std::fs::canonicalize(&real).unwrap());
    }

    #[test]
    fn refusals_are_in_the_kubelets_words() {
        let words = [
            (HostPathType::Directory, "directory"),
            (HostPathType::File, "file"),
            (HostPathType::Socket, "socket file"),
            (HostPathType::CharDevice, "character device"),
            (HostPathType::BlockDevice, "block device"),
        ];
        for (kind, word) in words {
            let error = prepare(Path::new("/absent/path"), kind).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("hostPath type check failed: /absent/path is not a {word}")
            );
        }
        assert!(!Path::new("/absent").exists());
    }

    #[test]
    fn what_is_absent_is_made_where_the_type_says_so() {
        let root = tempfile::tempdir().unwrap();
        for (name, kind) in [
            ("a/b", HostPathType::Unset),
            ("c/d", HostPathType::DirectoryOrCreate),
        ] {
            let path = root.path().join(name);
            prepare(&path, kind).unwrap();
            assert!(path.is_dir());
            assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o755, 0o755));
        }
        let file = root.path().join("file");
        prepare(&file, HostPathType::FileOrCreate).unwrap();
        assert!(file.is_file());
        assert_eq!(mode(&file), 0o644);
        let orphan = root.path().join("absent/file");
        assert!(prepare(&orphan, HostPathType::FileOrCreate).is_err());
        assert!(!orphan.parent().unwrap().exists());
    }
}
