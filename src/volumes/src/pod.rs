//! One pod's volumes on the host.

mod mounts;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use pinnace_api::pod::{Volume, VolumeSource};
use pinnace_api::{Bytes, ContainerName, PodUid};
use pinnace_core::payload::Payloads;
use pinnace_core::pod::FailureReason;
use pinnace_core::ports::PodContext;
use pinnace_sys::{Doing, Layout, SysError, SysResult, clock, file, mount, tree, usage};

use crate::error::{Failed, VolumeError};
use crate::{empty_dir, host_path, written};

const MARKER: &str = "volumes-ready";
const SUB_PATHS: &str = "subpaths";
/// Volumes in memory that the node writes, and images: gone with a reboot.
const MOUNTED: &str = "volumes";
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

    fn mounted(&self) -> PathBuf {
        self.run.join(MOUNTED)
    }

    /// Makes and checks all volumes of the pod, and marks them as ready in this boot.
    pub(crate) fn prepare(&self, pod: &PodContext, payloads: &Payloads) -> Result<(), Failed> {
        for volume in &pod.pod.spec.volumes {
            self.prepare_one(volume, pod, payloads)
                .map_err(|source| setup_failed(volume, source))?;
        }
        self.mark().map_err(|error| Failed {
            operation: "mark the volumes as ready of pod",
            object: pod.uid.to_string(),
            reason: FailureReason::FailedMount,
            source: error.into(),
        })
    }

    /// Brings the files of all volumes up to date that the node writes; goes on past a failure, and answers the first.
    pub(crate) fn update(&self, pod: &PodContext, payloads: &Payloads) -> Result<bool, Failed> {
        let (mut changed, mut failed) = (false, None);
        for volume in &pod.pod.spec.volumes {
            match self.write(volume, payloads) {
                Ok(written) => changed |= written,
                Err(source) => _ = failed.get_or_insert(setup_failed(volume, source)),
            }
        }
        failed.map_or(Ok(changed), Err)
    }

    /// A volume without a payload has nothing that the node writes.
    fn write(&self, volume: &Volume, payloads: &Payloads) -> Result<bool, VolumeError> {
        let Some(payload) = payloads.get(&volume.name) else {
            return Ok(false);
        };
        let in_memory = written::is_in_memory(&volume.source);
        Ok(written::prepare(&self.written(volume), in_memory, payload)?)
    }

    /// Where the node writes the volume.
    fn written(&self, volume: &Volume) -> PathBuf {
        match written::is_in_memory(&volume.source) {
            true => self.mounted().join(volume.name.as_str()),
            false => self.directory.join(volume.name.as_str()),
        }
    }

    fn prepare_one(&self, volume: &Volume, pod: &PodContext, payloads: &Payloads) -> Result<(), VolumeError> {
        let group = pod.pod.spec.security.fs_group;
        match &volume.source {
            VolumeSource::HostPath { path, kind } => host_path::prepare(Path::new(path), *kind)?,
            VolumeSource::EmptyDir {
                memory: true,
                size_limit,
            } => {
                let pod_limit = pod.pod_cgroup.memory_limit_bytes;
                let place = self.empty_dir(&volume.name);
                empty_dir::prepare_in_memory(&place, *size_limit, pod_limit, group)?;
            }
            VolumeSource::EmptyDir { memory: false, .. } => {
                empty_dir::prepare_on_disk(&self.empty_dir(&volume.name), group, true)?;
            }
            VolumeSource::ConfigMap { .. }
            | VolumeSource::Secret { .. }
            | VolumeSource::DownwardApi { .. }
            | VolumeSource::Projected { .. } => _ = self.write(volume, payloads)?,
            // Mounted with the first container that has it, like a container's own image.
            VolumeSource::Image { .. } => {}
            VolumeSource::Claim { .. } | VolumeSource::Ephemeral(_) => return Err(VolumeError::NotServed),
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
        let present = marked.is_some()
            || is_there(&self.directory)?
            || is_there(&self.sub_paths())?
            || is_there(&self.mounted())?;
        Ok((ready, present))
    }

    /// Takes all of it away, and goes on past errors: what is left is found again by the next call.
    pub(crate) fn remove(&self) -> Result<(), VolumeError> {
        // First, so that what is half removed is never taken for ready.
        let mut errors: Vec<SysError> = file::remove_file(&self.marker()).err().into_iter().collect();
        for directory in [self.sub_paths(), self.mounted(), self.directory.clone()] {
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

/// The kubelet's sentence, its blank before the colon included.
fn setup_failed(volume: &Volume, source: VolumeError) -> Failed {
    Failed {
        operation: "MountVolume.SetUp failed for volume",
        object: format!("\"{}\" ", volume.name),
        reason: FailureReason::FailedMount,
        source,
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
