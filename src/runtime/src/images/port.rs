//! The engine's port: is the image here, may it be fetched, and in Kubernetes' words if not.
//!
//! No registry is asked in this version. So `Always` takes the image that is here, as if the registry had
//! answered that it is current; an image that is absent has to be imported.

use std::path::PathBuf;

use pinnace_api::pod::PullPolicy;
use pinnace_core::pod::FailureReason;
use pinnace_core::ports::{ImageHandle, Images, PortError, PortResult, Retry};

use super::error::ImageError;
use super::store::ImageStore;

/// Why an image that is not here is not fetched.
#[derive(Debug, thiserror::Error)]
enum Absent {
    #[error(
        "registries are not supported in this version; import it with `pinnace image import FILE`, or lay its archive into {bundles}"
    )]
    NoRegistry { bundles: String },
    #[error("import it with `pinnace image import FILE`, or lay its archive into {bundles}")]
    Never { bundles: String },
}

impl Images for ImageStore {
    async fn ensure(&self, reference: &str, policy: PullPolicy) -> PortResult<ImageHandle> {
        // A present image costs one stat, so it is answered here and now.
        match self.find(reference) {
            Ok(Some(image)) => self.unpacked(reference, image).await,
            Ok(None) => Err(self.absent(reference, policy)),
            Err(error) => Err(failed(reference, error)),
        }
    }

    async fn layers(&self, image: &ImageHandle) -> PortResult<Vec<PathBuf>> {
        let (store, wanted) = (self.clone(), image.clone());
        // A layer that is gone is unpacked again.
        let opened = tokio::task::spawn_blocking(move || store.lower_dirs(&wanted)).await;
        opened
            .unwrap_or_else(|error| Err(ImageError::Interrupted(error)))
            .map_err(|error| failed(&image.reference, error))
    }
}

impl ImageStore {
    /// Unpacks what another tool has put into the store, so that a container's creation does not have to.
    async fn unpacked(&self, reference: &str, image: ImageHandle) -> PortResult<ImageHandle> {
        let unpacked = self
            .is_unpacked(&image)
            .map_err(|error| failed(reference, error))?;
        if unpacked {
            return Ok(image);
        }
        let (store, wanted) = (self.clone(), image.clone());
        let unpacking = tokio::task::spawn_blocking(move || store.lower_dirs(&wanted));
        let done = unpacking
            .await
            .unwrap_or_else(|error| Err(ImageError::Interrupted(error)));
        done.map_err(|error| failed(reference, error))?;
        Ok(image)
    }

    fn absent(&self, reference: &str, policy: PullPolicy) -> PortError {
        let bundles = self.paths().bundles.display().to_string();
        match policy {
            PullPolicy::Never => PortError {
                operation: "Container image",
                object: format!("\"{reference}\" is not present with pull policy of Never"),
                reason: FailureReason::ErrImageNeverPull,
                retry: Retry::Later,
                source: Box::new(Absent::Never { bundles }),
            },
            PullPolicy::Always | PullPolicy::IfNotPresent => PortError {
                operation: "failed to pull image",
                object: format!("\"{reference}\""),
                reason: FailureReason::ErrImagePull,
                retry: Retry::Later,
                source: Box::new(Absent::NoRegistry { bundles }),
            },
        }
    }
}

fn failed(reference: &str, error: ImageError) -> PortError {
    let reason = error.reason();
    let operation = match reason {
        // The kubelet's sentence.
        FailureReason::InvalidImageName => "Failed to apply default image tag",
        FailureReason::ImageInspectError => "Failed to inspect image",
        _ => "failed to get image",
    };
    PortError {
        operation,
        object: format!("\"{}\"", reference.chars().take(300).collect::<String>()),
        reason,
        retry: error.retry(),
        source: Box::new(error),
    }
}
