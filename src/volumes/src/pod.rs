//! One pod's volumes on the host.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use pinnace_api::pod::{MountPropagation, SubPath, Volume, VolumeMount, VolumeSource};
use pinnace_api::{Bytes, ContainerName, PodUid};
use pinnace_core::environment;
use pinnace_core::pod::FailureReason;
use pinnace_core::ports::{BindMount, PodContext};
use pinnace_sys::{Doing, Layout, SysError, SysResult, clock, file, mount, tree, usage};

use crate::error::{Failed, VolumeError};
use crate::{empty_dir, host_path, sub_path};

const MARKER: &str = "volumes-ready";
const SUB_PATHS: &str = "subpaths";
/// The pod's directory beneath `run`, which others share.
const RUN_MODE: u32 = 0o711;

/// Where a pod's volumes are.
pub(crate) struct PodVolumes {
    directory: PathBuf,
    run: PathBuf,
}

impl PodVolumes {
    pub(crate) fn new(layout: &Layout, uid: &PodUid) -> Self {
        Self {
            directory: layout.pod_volumes(uid.as_str()),
            run: layout.pod_run(uid.as_str()),
        }
    }

    fn marker(&self) -> PathBuf {
        self.run.join(MARKER)
    }

    fn sub_paths(&self) -> PathBuf {
        self.run.join(SUB_PATHS)
    }

    /// Makes and checks all volumes of the pod, and marks them as ready in this boot.
    pub(crate) fn prepare(&self, pod: &PodContext) -> Result<(), Failed> {
        for volume in &pod.pod.spec.volumes {
            // The kubelet's sentence, its blank before the colon included.
            self.prepare_one(volume, pod).map_err(|source| Failed {
                operation: "MountVolume.SetUp failed for volume",
                object: format!("\"{}\" ", volume.name),
                reason: FailureReason::FailedMount,
                source,
            })?;
        }
        self.mark().map_err(|error| Failed {
            operation: "mark the volumes as ready of pod",
            object: pod.uid.to_string(),
            reason: FailureReason::FailedMount,
            source: error.into(),
        })
    }

    fn prepare_one(&self, volume: &Volume, pod: &PodContext) -> Result<(), VolumeError> {
        match &volume.source {
            VolumeSource::HostPath { path, kind } => host_path::prepare(Path::new(path), *kind)?,
            VolumeSource::EmptyDir {
                memory: true,
                size_limit,
            } => {
                let pod_limit = pod.pod_cgroup.memory_limit_bytes;
                empty_dir::prepare_in_memory(&self.empty_dir(&volume.name), *size_limit, pod_limit)?;
            }
            VolumeSource::EmptyDir { memory: false, .. } => {
                empty_dir::prepare_on_disk(&self.empty_dir(&volume.name))?;
            }
            _ => return Err(VolumeError::NotServed),
        }
        Ok(())
    }

    fn empty_dir(&self, name: &ContainerName) -> PathBuf {
        self.directory.join(name.as_str())
    }

    fn mark(&self) -> SysResult<()> {
        file::create_dir_all(&self.run, RUN_MODE)?;
        file::write_replace(&self.marker(), clock::boot_id()?.as_bytes(), 0o600)
    }

    /// (prepared in this boot, anything there).
    pub(crate) fn observe(&self) -> SysResult<(bool, bool)> {
        let marked = match file::read_text(&self.marker(), 256) {
            Ok(boot) => Some(boot),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error),
        };
        let ready = match &marked {
            Some(boot) => *boot == clock::boot_id()?,
            None => false,
        };
        let present = marked.is_some() || is_there(&self.directory)? || is_there(&self.sub_paths())?;
        Ok((ready, present))
    }

    /// What one container sees, outer targets before those within them; sub-paths are pinned.
    pub(crate) fn mounts(
        &self,
        pod: &PodContext,
        name: &ContainerName,
        env: &[(String, String)],
    ) -> Result<Vec<BindMount>, Failed> {
        let spec = &pod.pod.spec;
        let Some(container) = spec.container(name) else {
            return Err(Failed {
                operation: "find the volumes of container",
                object: name.to_string(),
                reason: FailureReason::CreateContainerConfigError,
                source: VolumeError::Unknown("container"),
            });
        };
        let mut mounts = Vec::with_capacity(container.volume_mounts.len());
        for (index, wanted) in container.volume_mounts.iter().enumerate() {
            let place = self.sub_paths().join(name.as_str()).join(index.to_string());
            let source = self
                .source(&spec.volumes, wanted, env, &place)
                .map_err(|source| Failed {
                    operation: match wanted.sub_path {
                        Some(_) => "failed to prepare subPath for volumeMount",
                        None => "failed to prepare volumeMount",
                    },
                    object: format!("\"{}\" of container \"{name}\"", wanted.volume),
                    reason: FailureReason::CreateContainerConfigError,
                    source,
                })?;
            mounts.push(BindMount {
                source,
                target: wanted.mount_path.clone(),
                read_only: wanted.read_only,
                propagation: wanted.propagation,
            });
        }
        mounts.sort_by_key(|mount| Path::new(&mount.target).components().count());
        Ok(mounts)
    }

    fn source(
        &self,
        volumes: &[Volume],
        wanted: &VolumeMount,
        env: &[(String, String)],
        place: &Path,
    ) -> Result<PathBuf, VolumeError> {
        let volume = volumes.iter().find(|volume| volume.name == wanted.volume);
        let volume = match &volume.ok_or(VolumeError::Unknown("volume"))?.source {
            VolumeSource::HostPath { path, kind } => host_path::source(Path::new(path), *kind)?,
            VolumeSource::EmptyDir { .. } => self.empty_dir(&wanted.volume),
            _ => return Err(VolumeError::NotServed),
        };
        let sub_path = match &wanted.sub_path {
            None => None,
            Some(SubPath::Plain(path)) => Some(path.clone()),
            Some(SubPath::Expression(text)) => Some(environment::sub_path(text, env)?),
        };
        match sub_path {
            Some(sub_path) if !sub_path::is_whole_volume(&sub_path) => {
                let shared = wanted.propagation == MountPropagation::Bidirectional;
                sub_path::pin(&volume, &sub_path, place, shared)?;
                Ok(place.to_owned())
            }
            _ => Ok(volume),
        }
    }

    /// Takes all of it away, and goes on past errors: what is left is found again by the next call.
    pub(crate) fn remove(&self) -> Result<(), VolumeError> {
        // First, so that what is half removed is never taken for ready.
        let mut errors: Vec<SysError> = file::remove_file(&self.marker()).err().into_iter().collect();
        for directory in [self.sub_paths(), self.directory.clone()] {
            if !directory.exists() {
                continue;
            }
            match mount::unmount_beneath(&directory) {
                Ok(_) => errors.extend(tree::remove_tree(&directory).err()),
                Err(failed) => errors.extend(failed),
            }
        }
        // Whoever comes last leaves nothing behind; what is not empty is another's.
        let _ = std::fs::remove_dir(&self.run);
        VolumeError::all(errors)
    }

    /// What each emptyDir holds.
    pub(crate) fn usage(&self) -> SysResult<BTreeMap<ContainerName, Bytes>> {
        let mut held = BTreeMap::new();
        for name in names(&self.directory)? {
            let Ok(name) = ContainerName::new(name) else {
                continue;
            };
            match usage::disk_usage(&self.empty_dir(&name)) {
                Ok(bytes) => _ = held.insert(name, Bytes(bytes)),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(held)
    }

    /// Why the pod is to be evicted, if an emptyDir is past its limit. One that cannot be measured hides no
    /// other; one whose entries are too many or too deep to be counted is past any limit, or nesting
    /// directories would be a way around it.
    pub(crate) fn exceeded(&self, limits: &[(ContainerName, Bytes)]) -> SysResult<Option<String>> {
        let mut failed = None;
        for (name, limit) in limits {
            match usage::disk_usage(&self.empty_dir(name)) {
                // The kubelet's sentence, its last blank included.
                Ok(used) if used > limit.0 => {
                    return Ok(Some(format!(
                        "Usage of EmptyDir volume \"{name}\" exceeds the limit \"{limit}\". "
                    )));
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::FileTooLarge => {
                    return Ok(Some(format!(
                        "Usage of EmptyDir volume \"{name}\" cannot be held against the limit \"{limit}\": {}. ",
                        error.source
                    )));
                }
                Err(error) if error.is_not_found() => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(None), Err)
    }
}

/// UIDs of all pods of which volumes are there.
pub(crate) fn list(layout: &Layout) -> SysResult<Vec<PodUid>> {
    let mut found = Vec::new();
    let parents = [layout.state().join("volumes"), layout.run().join("pods")];
    for parent in parents {
        for name in names(&parent)? {
            if let Ok(uid) = PodUid::new(name)
                && PodVolumes::new(layout, &uid).observe()?.1
            {
                found.push(uid);
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn is_there(path: &Path) -> SysResult<bool> {
    path.try_exists().doing_on("stat", path)
}

/// Names in a directory; none where it is not there.
fn names(directory: &Path) -> SysResult<Vec<String>> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).doing_on("list", directory),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.doing_on("list", directory)?.file_name();
        names.extend(name.into_string());
    }
    Ok(names)
}
