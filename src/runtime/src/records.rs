//! The small files by which a sandbox and its containers are found again.
//!
//! All of them lie in the run directory and are gone with a reboot, so they are renamed into place and not
//! synced. One that cannot be read is as good as none: what the host and the shim show decides.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use pinnace_api::ContainerName;
use pinnace_core::time::WallMillis;
use pinnace_sys::file;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::container::MessageRule;
use crate::error::{RuntimeError, chain};
use crate::task::ShimAddress;

const MAX_RECORD_BYTES: u64 = 4 << 20;

/// `sandbox.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxRecord {
    /// The boot it belongs to.
    pub boot: String,
    /// Counts sandboxes of the pod.
    pub attempt: u32,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// The pod's cgroup in every hierarchy.
    pub cgroup: String,
    /// Files that pin namespaces; those of the host's are absent.
    pub pins: Vec<PathBuf>,
    /// Where its containers' logs lie.
    pub log_directory: PathBuf,
}

/// `shim.json`: the shim of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShimRecord {
    /// Where it listens.
    pub address: ShimAddress,
    /// Its process.
    pub pid: u32,
    /// When that began, in clock ticks since boot.
    pub start_time: u64,
}

/// `reaper.json`: the first process of a PID namespace that the pod's containers share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReaperRecord {
    /// Its process.
    pub pid: u32,
    /// When that began, in clock ticks since boot.
    pub start_time: u64,
}

/// `container.json`: an instance, written when its bundle is begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerRecord {
    /// The id for shim and OCI runtime.
    pub id: String,
    /// The container's name in its pod.
    pub name: ContainerName,
    /// The instance.
    pub attempt: u32,
    /// The image's reference in full.
    pub image: String,
    /// The image's id.
    pub image_id: String,
    /// Its cgroup in every hierarchy, without a leading slash.
    pub cgroup: String,
    /// Its log.
    pub log: PathBuf,
    /// The log's link in `/var/log/containers`.
    pub log_link: PathBuf,
    /// The signal that the image wants instead of SIGTERM.
    pub stop_signal: Option<i32>,
    /// It has a terminal.
    pub tty: bool,
    /// When its bundle was begun.
    pub created_at: WallMillis,
    /// How what it says of its end is found; records of older agents leave it out.
    #[serde(default)]
    pub message: MessageRule,
    /// What of its wishes could not be met, for a warning.
    pub cannot_set: Vec<String>,
}

/// `started`: written before the program is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// When.
    pub at: WallMillis,
}

/// Writes a record in place of an older one.
pub fn write(path: &Path, record: &impl Serialize) -> Result<(), RuntimeError> {
    let text = serde_json::to_vec(record).map_err(|source| RuntimeError::Record {
        path: path.to_owned(),
        source,
    })?;
    Ok(file::write_replace(path, &text, 0o600)?)
}

/// Reads a record; `None` where there is none, or none that can be read, which is logged.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, RuntimeError> {
    match read_whole(path) {
        Err(error @ RuntimeError::Damaged { .. }) => {
            tracing::warn!(error = %chain(&error), "a damaged record is passed over");
            Ok(None)
        }
        other => other,
    }
}

/// The same, where a damaged record must be known as one.
pub fn read_whole<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, RuntimeError> {
    let damaged = |source: Box<dyn std::error::Error + Send + Sync>| RuntimeError::Damaged {
        path: path.to_owned(),
        source,
    };
    match file::read_limited(path, MAX_RECORD_BYTES) {
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| damaged(error.into())),
        Err(error) if error.is_not_found() => Ok(None),
        // Reading again would show the same: too long for a record, or no file at all.
        Err(error)
            if matches!(
                error.source.kind(),
                ErrorKind::FileTooLarge | ErrorKind::InvalidInput
            ) =>
        {
            Err(damaged(error.into()))
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_record_is_as_good_as_none_unless_that_matters() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("started");
        let seen = |text: &[u8]| {
            std::fs::write(&path, text).expect("written");
            assert_eq!(read::<Started>(&path).expect("passed over"), None);
            let error = read_whole::<Started>(&path).expect_err("damaged");
            assert!(matches!(error, RuntimeError::Damaged { .. }), "{error:?}");
        };
        assert_eq!(read_whole::<Started>(&path).expect("absent"), None);
        seen(b"");
        seen(b"{\"at\":");
        seen(&vec![
            b' ';
            usize::try_from(MAX_RECORD_BYTES).expect("a size") + 1
        ]);
        std::fs::remove_file(&path).expect("removed");
        std::fs::create_dir(&path).expect("a directory");
        assert_eq!(read::<Started>(&path).expect("passed over"), None);
        let started = Started { at: WallMillis(7) };
        std::fs::remove_dir(&path).expect("removed");
        write(&path, &started).expect("written");
        assert_eq!(read(&path).expect("read"), Some(started));
    }
}
