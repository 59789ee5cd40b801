//! The port [`Records`], on files.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use pinnace_api::PodUid;
use pinnace_core::network::ServiceAllocations;
use pinnace_core::node::NodeRecord;
use pinnace_core::pod::{PodIdentity, Progress};
use pinnace_core::ports::{PortError, PortResult, Records, Stored, StoredNode, StoredServices};
use pinnace_sys::{Doing, Layout, SysError, SysResult, file};
use serde::Serialize;

use crate::damaged::set_aside;
use crate::error::{FormatError, StoreError, chain, shown};
use crate::format::{identity_name, is_record, read_identity, read_progress, uid_of};

/// The largest record that is read: a document has at most 1 MiB, escaped at worst to twice that.
pub(crate) const RECORD_MAX: u64 = 8 << 20;
/// The kernel's number for a medium that cannot be read.
const EIO: i32 = 5;
/// Its number for links that lead in a circle.
const ELOOP: i32 = 40;
const PROGRESS: &str = "progress.json";

/// Pods' records beneath one root. One agent alone uses it (it holds the root's lock).
#[derive(Debug, Clone)]
pub struct RecordStore {
    pub(crate) layout: Layout,
}

impl RecordStore {
    /// The records of a root; nothing is touched before the first call.
    pub fn new(layout: Layout) -> Self {
        Self { layout }
    }

    fn identity_path(&self, uid: &PodUid) -> PathBuf {
        self.layout.pod_records().join(identity_name(uid))
    }

    fn progress_path(&self, uid: &PodUid) -> PathBuf {
        self.layout.pod_run(uid.as_str()).join(PROGRESS)
    }

    /// The whole records as they are on disk, for whoever only looks: nothing is set aside, cleared or written,
    /// and an agent that runs meanwhile is not disturbed. Damaged records are left out.
    pub async fn read(&self) -> PortResult<Vec<(PodIdentity, Option<Progress>)>> {
        let object = shown(&self.layout.pod_records());
        self.aside("read the records in", object, Self::read_all).await
    }

    fn read_all(&self) -> Result<Vec<(PodIdentity, Option<Progress>)>, StoreError> {
        let directory = self.layout.pod_records();
        let entries = match std::fs::read_dir(&directory).doing_on("list", &directory) {
            Ok(entries) => entries,
            Err(error) if error.is_not_found() => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut found = Vec::new();
        for entry in entries {
            let name = entry.doing_on("list", &directory)?.file_name();
            if file::is_temporary(&name) || !is_record(&name) {
                continue;
            }
            let Some(uid) = uid_of(&name) else { continue };
            let bytes = match file::read_limited(&directory.join(&name), RECORD_MAX) {
                Ok(bytes) => bytes,
                Err(error) if error.is_not_found() || is_damage(&error) => continue,
                Err(error) => return Err(error.into()),
            };
            if let Ok(identity) = read_identity(&uid, &bytes) {
                let progress = file::read_limited(&self.progress_path(&uid), RECORD_MAX);
                found.push((
                    identity,
                    progress.ok().and_then(|bytes| read_progress(&bytes).ok()),
                ));
            }
        }
        Ok(found)
    }

    fn load_all(&self) -> Result<Vec<Stored>, StoreError> {
        let directory = self.layout.pod_records();
        let entries = match std::fs::read_dir(&directory).doing_on("list", &directory) {
            Ok(entries) => entries,
            Err(error) if error.is_not_found() => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut found = Vec::new();
        for entry in entries {
            let name = entry.doing_on("list", &directory)?.file_name();
            let path = directory.join(&name);
            if file::is_temporary(&name) {
                clear_stale(&path);
            } else if is_record(&name) {
                found.extend(self.load_one(&path)?);
            }
        }
        self.clear_left_over();
        Ok(found)
    }

    /// An agent that was killed while it removed a pod's records left the progress alone, which no identity
    /// and nothing else on the host belongs to.
    fn clear_left_over(&self) {
        let directory = self.layout.run().join("pods");
        for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            let uid = entry.file_name().to_str().and_then(|uid| PodUid::new(uid).ok());
            let Some(uid) = uid.filter(|uid| !self.identity_path(uid).exists()) else {
                continue;
            };
            self.clear_stale_progress(&uid);
            let mut left = std::fs::read_dir(entry.path()).into_iter().flatten().flatten();
            if left.all(|file| file.file_name() == PROGRESS) {
                clear_stale(&self.progress_path(&uid));
                let _ = std::fs::remove_dir(entry.path());
            }
        }
    }

    /// `None` where the file went away meanwhile.
    fn load_one(&self, path: &Path) -> Result<Option<Stored>, StoreError> {
        let uid = path.file_name().and_then(uid_of);
        let Some(uid) = uid else {
            return Ok(Some(self.damaged(path, None, &chain(&FormatError::Name))));
        };
        let bytes = match file::read_limited(path, RECORD_MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) if is_damage(&error) => {
                return Ok(Some(self.damaged(path, Some(uid), &chain(&error))));
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Some(match read_identity(&uid, &bytes) {
            Ok(identity) => {
                let progress = self.progress_of(&uid);
                Stored::Whole(identity, progress)
            }
            Err(error) => self.damaged(path, Some(uid), &chain(&error)),
        }))
    }

    fn progress_of(&self, uid: &PodUid) -> Option<Progress> {
        self.clear_stale_progress(uid);
        let path = self.progress_path(uid);
        let bytes = match file::read_limited(&path, RECORD_MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return None,
            Err(error) => {
                tracing::warn!(%uid, error = %chain(&error), "progress of the pod cannot be read");
                return None;
            }
        };
        match read_progress(&bytes) {
            Ok(progress) => Some(progress),
            Err(error) => {
                let path = path.display();
                tracing::warn!(%uid, %path, error = %chain(&error), "progress of the pod is damaged");
                None
            }
        }
    }

    fn damaged(&self, path: &Path, uid: Option<PodUid>, why: &str) -> Stored {
        Stored::Damaged {
            uid,
            set_aside: self.set_aside(path, why),
            why: why.to_owned(),
        }
    }

    /// Answers where the file lies now.
    pub(crate) fn set_aside(&self, path: &Path, why: &str) -> PathBuf {
        let directory = self.layout.state().join("damaged");
        // Where it cannot be moved (a read-only disk, say) it stays, and is reported all the same.
        set_aside(path, &directory, why).unwrap_or_else(|error| {
            let (path, error) = (path.display(), chain(&error));
            tracing::warn!(%path, %error, "a damaged record cannot be set aside");
            path.to_string().into()
        })
    }

    fn clear_stale_progress(&self, uid: &PodUid) {
        let directory = self.layout.pod_run(uid.as_str());
        for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            if file::is_temporary(&entry.file_name()) {
                clear_stale(&entry.path());
            }
        }
    }

    fn write_identity(&self, identity: &PodIdentity) -> Result<(), StoreError> {
        let bytes = encode(identity)?;
        let directory = self.layout.pod_records();
        if !directory.is_dir() {
            file::create_dir_all(&directory, 0o700)?;
            // The directory's own entry must last too.
            for above in directory.ancestors().skip(1).take(4) {
                file::sync_directory(above)?;
            }
        }
        let path = self.identity_path(&identity.uid);
        Ok(file::write_durable(&path, &bytes, 0o600)?)
    }

    fn write_progress(&self, uid: &PodUid, progress: &Progress) -> Result<(), StoreError> {
        let bytes = encode(progress)?;
        let path = self.progress_path(uid);
        match file::write_replace(&path, &bytes, 0o600) {
            Err(error) if error.is_not_found() => {
                file::create_dir_all(&self.layout.pod_run(uid.as_str()), 0o711)?;
                Ok(file::write_replace(&path, &bytes, 0o600)?)
            }
            other => Ok(other?),
        }
    }

    fn remove_both(&self, uid: &PodUid) -> Result<(), StoreError> {
        let path = self.identity_path(uid);
        if path.exists() {
            file::remove_file(&path)?;
            file::sync_directory(&self.layout.pod_records())?;
        }
        file::remove_file(&self.progress_path(uid))?;
        // Whoever comes last leaves nothing behind; what is not empty is another's.
        let _ = std::fs::remove_dir(self.layout.pod_run(uid.as_str()));
        Ok(())
    }
}

impl Records for RecordStore {
    async fn load(&self) -> PortResult<Vec<Stored>> {
        let object = shown(&self.layout.pod_records());
        self.aside("load the records in", object, Self::load_all).await
    }

    async fn load_progress(&self, uid: &PodUid) -> PortResult<Option<Progress>> {
        let owned = uid.clone();
        self.aside("load the progress of pod", uid.to_string(), move |store| {
            Ok(store.progress_of(&owned))
        })
        .await
    }

    async fn save_identity(&self, identity: &PodIdentity) -> PortResult<()> {
        let object = identity.uid.to_string();
        let identity = identity.clone();
        self.aside("save the record of pod", object, move |store| {
            store.write_identity(&identity)
        })
        .await
    }

    async fn save_progress(&self, uid: &PodUid, progress: &Progress) -> PortResult<()> {
        // A rename in memory takes less time than handing it to another thread.
        self.write_progress(uid, progress)
            .map_err(|error| error.port("save the progress of pod", uid.to_string()))
    }

    async fn remove(&self, uid: &PodUid) -> PortResult<()> {
        let owned = uid.clone();
        self.aside("remove the record of pod", uid.to_string(), move |store| {
            store.remove_both(&owned)
        })
        .await
    }

    async fn load_node(&self) -> PortResult<StoredNode> {
        let object = shown(&self.node_path());
        self.aside("load the node's record", object, Self::read_node)
            .await
    }

    async fn save_node(&self, record: &NodeRecord) -> PortResult<()> {
        let (object, record) = (shown(&self.node_path()), record.clone());
        self.aside("save the node's record", object, move |store| {
            store.write_node(&record)
        })
        .await
    }

    async fn load_services(&self) -> PortResult<StoredServices> {
        let object = shown(&self.services_path());
        self.aside("load the services' record", object, Self::read_services)
            .await
    }

    async fn save_services(&self, given: &ServiceAllocations) -> PortResult<()> {
        let (object, given) = (shown(&self.services_path()), given.clone());
        self.aside("save the services' record", object, move |store| {
            store.write_services(&given)
        })
        .await
    }
}

impl RecordStore {
    /// Runs what waits for the disk on a thread that may wait.
    async fn aside<T: Send + 'static>(
        &self,
        operation: &'static str,
        object: String,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> PortResult<T> {
        let store = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&store)).await;
        let done = done.map_err(StoreError::Worker).and_then(|done| done);
        done.map_err(|error| -> PortError { error.port(operation, object) })
    }
}

pub(crate) fn encode(record: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    let mut bytes = serde_json::to_vec(record).map_err(StoreError::Encode)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Whether a file that cannot be read is at fault itself, and not the moment (no descriptors, no memory).
pub(crate) fn is_damage(error: &SysError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::FileTooLarge | ErrorKind::InvalidInput | ErrorKind::IsADirectory
    ) || matches!(error.errno(), Some(EIO | ELOOP))
}

/// A crash came between the writing of a temporary file and its renaming: the record itself is the old one.
fn clear_stale(path: &Path) {
    let removed: SysResult<()> = file::remove_file(path);
    if let Err(error) = removed {
        tracing::warn!(error = %chain(&error), "a stale temporary file stays");
    }
}

#[cfg(test)]
mod tests;
