//! Seccomp profiles of the node's own (`type: Localhost`): files in the form of the OCI specification, beneath
//! one folder. No link leads out of it, and what a file says beside a profile is left out.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use pinnace_sys::SysError;
use pinnace_sys::path::{Mode, OFlags, Resolve, check_descending, open_beneath, open_dir};
use serde::{Deserialize, Deserializer, Serialize};

/// The largest file that is taken for a profile.
const MAX_PROFILE_BYTES: u64 = 1 << 20;

/// A profile as a file has it; the OCI runtime judges what its words mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalProfile {
    default_action: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default_errno_ret: Option<u32>,
    #[serde(default, deserialize_with = "or_null", skip_serializing_if = "Vec::is_empty")]
    architectures: Vec<String>,
    #[serde(default, deserialize_with = "or_null", skip_serializing_if = "Vec::is_empty")]
    flags: Vec<String>,
    #[serde(
        default,
        deserialize_with = "or_null",
        skip_serializing_if = "String::is_empty"
    )]
    listener_path: String,
    #[serde(
        default,
        deserialize_with = "or_null",
        skip_serializing_if = "String::is_empty"
    )]
    listener_metadata: String,
    #[serde(default, deserialize_with = "or_null", skip_serializing_if = "Vec::is_empty")]
    syscalls: Vec<LocalRule>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LocalRule {
    names: Vec<String>,
    action: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    errno_ret: Option<u32>,
    #[serde(default, deserialize_with = "or_null", skip_serializing_if = "Vec::is_empty")]
    args: Vec<LocalArgument>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LocalArgument {
    index: u32,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

/// Programs that write such files write null where there is nothing.
fn or_null<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(given: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(given)?.unwrap_or_default())
}

/// Why a profile cannot be had, in the words of containerd.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// It is not there, or cannot be read.
    #[error("cannot load seccomp profile {path:?}")]
    Load {
        /// Where it should lie.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: SysError,
    },
    /// It is no profile.
    #[error("decoding seccomp profile failed {path:?}")]
    Decode {
        /// Where it lies.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

/// The profile of this name beneath the folder.
pub fn load(folder: &Path, name: &str) -> Result<LocalProfile, ProfileError> {
    let path = folder.join(name);
    let text = read(folder, Path::new(name)).map_err(|source| ProfileError::Load {
        path: path.clone(),
        source,
    })?;
    serde_json::from_slice(&text).map_err(|source| ProfileError::Decode { path, source })
}

fn read(folder: &Path, name: &Path) -> Result<Vec<u8>, SysError> {
    check_descending(name)?;
    // Not blocking: what lies there may be a fifo.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = open_beneath(open_dir(folder)?, name, Resolve::Beneath, flags, Mode::empty())?;
    let file = File::from(opened);
    let failed = |source| SysError::new("read", name.display(), source);
    let meta = file.metadata().map_err(failed)?;
    if !meta.is_file() || meta.len() > MAX_PROFILE_BYTES {
        let why = "it is no regular file of 1 MiB at most";
        return Err(SysError::on("read", name, std::io::ErrorKind::InvalidInput, why));
    }
    let mut text = Vec::new();
    file.take(MAX_PROFILE_BYTES)
        .read_to_end(&mut text)
        .map_err(failed)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const TEXT: &str = r#"{"defaultAction":"SCMP_ACT_ALLOW","archMap":[],"syscalls":[
        {"names":["mkdir"],"action":"SCMP_ACT_ERRNO","errnoRet":1,"args":null,"comment":"x"}]}"#;

    #[test]
    fn a_profile_of_the_folder_is_taken_without_what_else_the_file_says() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("own")).expect("a folder");
        std::fs::write(folder.path().join("own/one.json"), TEXT).expect("a file");
        symlink("own", folder.path().join("link")).expect("a link");
        for name in ["own/one.json", "link/one.json", "./own/one.json"] {
            let profile = load(folder.path(), name).expect("a profile");
            let json = serde_json::to_string(&profile).expect("json");
            let words = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_ERRNO","errnoRet":1}]}"#;
            assert_eq!(json, words);
        }
    }

    #[test]
    fn nothing_outside_of_the_folder_is_a_profile() {
        let outer = tempfile::tempdir().expect("a folder");
        let folder = outer.path().join("seccomp");
        std::fs::create_dir(&folder).expect("a folder");
        std::fs::write(outer.path().join("out.json"), TEXT).expect("a file");
        symlink("../out.json", folder.join("up")).expect("a link");
        symlink(outer.path().join("out.json"), folder.join("absolute")).expect("a link");
        std::fs::create_dir(folder.join("folder")).expect("a folder");
        for name in [
            "up",
            "absolute",
            "../out.json",
            "/etc/passwd",
            "folder",
            "missing",
        ] {
            let error = load(&folder, name).expect_err(name);
            assert!(matches!(error, ProfileError::Load { .. }), "{name}: {error:?}");
        }
    }

    #[test]
    fn what_is_no_profile_is_told_as_such() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("x"), "{}").expect("a file");
        let error = load(folder.path(), "x").expect_err("no profile");
        let words = format!("decoding seccomp profile failed {:?}", folder.path().join("x"));
        assert_eq!(error.to_string(), words);
        std::fs::write(folder.path().join("deep"), "[".repeat(100_000)).expect("a file");
        assert!(load(folder.path(), "deep").is_err());
    }
}
