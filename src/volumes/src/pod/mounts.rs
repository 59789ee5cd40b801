//! What one container sees of its pod's volumes.

use std::path::{Path, PathBuf};

use pinnace_api::ContainerName;
use pinnace_api::pod::{MountPropagation, RecursiveReadOnly, SubPath, VolumeMount, VolumeSource};
use pinnace_core::environment;
use pinnace_core::pod::FailureReason;
use pinnace_core::ports::{BindMount, ImageVolumes, PodContext};

use super::PodVolumes;
use crate::error::{Failed, VolumeError};
use crate::{host_path, image, sub_path};

/// What a container's mounts are made of.
struct Asked<'a> {
    pod: &'a PodContext,
    env: &'a [(String, String)],
    images: &'a ImageVolumes,
}

/// A volume, or the part of it that is mounted.
struct Found {
    path: PathBuf,
    /// Nobody but the node writes it.
    read_only: bool,
    no_exec: bool,
}

impl PodVolumes {
    /// What one container sees, outer targets before those within them; sub-paths are pinned.
    pub(crate) fn mounts(
        &self,
        pod: &PodContext,
        name: &ContainerName,
        env: &[(String, String)],
        images: &ImageVolumes,
    ) -> Result<Vec<BindMount>, Failed> {
        let Some(container) = pod.pod.spec.container(name) else {
            return Err(Failed {
                operation: "find the volumes of container",
                object: name.to_string(),
                reason: FailureReason::CreateContainerConfigError,
                source: VolumeError::Unknown("container"),
            });
        };
        let asked = Asked { pod, env, images };
        let mut mounts = Vec::with_capacity(container.volume_mounts.len());
        for (index, wanted) in container.volume_mounts.iter().enumerate() {
            let place = self.sub_paths().join(name.as_str()).join(index.to_string());
            let mount = self.mount(&asked, wanted, &place).map_err(|source| Failed {
                operation: match wanted.sub_path {
                    Some(_) => "failed to prepare subPath for volumeMount",
                    None => "failed to prepare volumeMount",
                },
                object: format!("\"{}\" of container \"{name}\"", wanted.volume),
                reason: FailureReason::CreateContainerConfigError,
                source,
            })?;
            mounts.push(mount);
        }
        mounts.sort_by_key(|mount| Path::new(&mount.target).components().count());
        Ok(mounts)
    }

    fn mount(&self, asked: &Asked<'_>, wanted: &VolumeMount, place: &Path) -> Result<BindMount, VolumeError> {
        let found = self.source(asked, wanted)?;
        let sub_path = match &wanted.sub_path {
            None => None,
            Some(SubPath::Plain(path)) => Some(path.clone()),
            Some(SubPath::Expression(text)) => Some(environment::sub_path(text, asked.env)?),
        };
        let sub_path = sub_path.filter(|sub_path| !sub_path::is_whole_volume(sub_path));
        let pin = sub_path::Pin {
            shared: wanted.propagation == MountPropagation::Bidirectional,
            // Where the kernel could not, nothing would be mounted: sys needs the same call for every mount.
            read_only: wanted.recursive_read_only != RecursiveReadOnly::Disabled,
        };
        let source = match sub_path {
            Some(sub_path) => {
                sub_path::pin(&found.path, &sub_path, place, pin)?;
                place.to_owned()
            }
            None if pin.read_only => {
                sub_path::pin_whole(&found.path, place, pin)?;
                place.to_owned()
            }
            None => found.path,
        };
        Ok(BindMount {
            source,
            target: wanted.mount_path.clone(),
            read_only: wanted.read_only || found.read_only,
            no_exec: found.no_exec,
            propagation: wanted.propagation,
        })
    }

    fn source(&self, asked: &Asked<'_>, wanted: &VolumeMount) -> Result<Found, VolumeError> {
        let volumes = &asked.pod.pod.spec.volumes;
        let volume = volumes.iter().find(|volume| volume.name == wanted.volume);
        let volume = volume.ok_or(VolumeError::Unknown("volume"))?;
        let written = |path| Found {
            path,
            read_only: false,
            no_exec: false,
        };
        Ok(match &volume.source {
            VolumeSource::HostPath { path, kind } => written(host_path::source(Path::new(path), *kind)?),
            VolumeSource::EmptyDir { .. } => written(self.empty_dir(&wanted.volume)),
            VolumeSource::ConfigMap { .. }
            | VolumeSource::Secret { .. }
            | VolumeSource::DownwardApi { .. }
            | VolumeSource::Projected { .. } => Found {
                path: self.written(volume),
                read_only: true,
                no_exec: false,
            },
            VolumeSource::Image { .. } => {
                let place = self.mounted().join(volume.name.as_str());
                let layers = asked.images.get(&volume.name);
                image::prepare(layers.ok_or(VolumeError::Unknown("image"))?, &place)?;
                Found {
                    path: place,
                    read_only: true,
                    no_exec: true,
                }
            }
            VolumeSource::Claim { .. } | VolumeSource::Ephemeral(_) => return Err(VolumeError::NotServed),
        })
    }
}
