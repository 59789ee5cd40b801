//! Looking into directories whose entries' names say what they hold. All of it is bounded, and what is not
//! there is empty.

use std::fs;
use std::path::{Path, PathBuf};

use pinnace_api::ContainerName;
use pinnace_sys::SysError;

use crate::paths::PodPaths;

/// Entries of one directory that are looked at.
const MAX_ENTRIES: usize = 100_000;
/// Instances of one pod that are looked at; there are two of a container at most, unless somebody forges them.
const MAX_INSTANCES: usize = 4096;

/// A directory's entries.
pub fn entries(directory: &Path) -> Result<Vec<fs::DirEntry>, SysError> {
    let failed = |source| SysError::new("list", directory.display(), source);
    match fs::read_dir(directory) {
        Ok(entries) => entries
            .take(MAX_ENTRIES)
            .collect::<Result<_, _>>()
            .map_err(failed),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed(error)),
    }
}

/// The directories in this one that are named after containers.
pub fn of_containers(directory: &Path) -> Result<Vec<(ContainerName, PathBuf)>, SysError> {
    let named = |entry: fs::DirEntry| {
        let name = ContainerName::new(entry.file_name().to_str()?).ok()?;
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        is_directory.then(|| (name, entry.path()))
    };
    Ok(entries(directory)?.into_iter().filter_map(named).collect())
}

/// The pod's instances, by their bundles.
pub fn instances(paths: &PodPaths) -> Result<Vec<(ContainerName, u32)>, SysError> {
    let mut found = Vec::new();
    for (name, path) in of_containers(&paths.containers())? {
        for entry in entries(&path)? {
            let attempt = entry.file_name().to_str().and_then(|text| text.parse().ok());
            found.extend(attempt.map(|attempt| (name.clone(), attempt)));
        }
    }
    found.truncate(MAX_INSTANCES);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use pinnace_api::PodUid;
    use pinnace_api::testing::name;
    use pinnace_sys::Layout;

    use super::*;

    #[test]
    fn only_what_is_named_and_numbered_like_an_instance_is_one() {
        let root = tempfile::tempdir().expect("a directory");
        let paths = PodPaths::new(&Layout::new(root.path()), &PodUid::new("uid-1").expect("a uid"));
        assert_eq!(instances(&paths).expect("nothing there"), []);
        for folder in ["web/0", "web/12", "web/x", "web/-1", "NO NAME/0"] {
            fs::create_dir_all(paths.containers().join(folder)).expect("a directory");
        }
        fs::write(paths.containers().join("file"), "").expect("a file");
        let mut found = instances(&paths).expect("instances");
        found.sort();
        assert_eq!(found, [(name("web"), 0), (name("web"), 12)]);
    }
}
