//! Images in memory: all are there but those named as missing.

use std::path::PathBuf;

use pinnace_api::pod::PullPolicy;

use super::faults::{Op, refused};
use super::{Call, FakeHost};
use crate::pod::FailureReason;
use crate::ports::{ImageHandle, Images, PortResult};

impl Images for FakeHost {
    async fn ensure(&self, reference: &str, policy: PullPolicy) -> PortResult<ImageHandle> {
        let call = Call {
            op: Op::EnsureImage,
            uid: None,
            container: None,
        };
        self.call(call, |state, _| {
            if state.missing_images.contains(reference) {
                let reason = match policy {
                    PullPolicy::Never => FailureReason::ErrImageNeverPull,
                    PullPolicy::Always | PullPolicy::IfNotPresent => FailureReason::ErrImagePull,
                };
                return Err(refused(
                    Op::EnsureImage,
                    reference.to_owned(),
                    reason,
                    "it is not there",
                ));
            }
            Ok(ImageHandle {
                id: format!("sha256:{:064x}", reference.len()),
                manifest_digest: format!("sha256:{:064x}", reference.len() + 1),
                reference: reference.to_owned(),
            })
        })
    }

    async fn layers(&self, image: &ImageHandle) -> PortResult<Vec<PathBuf>> {
        Ok(vec![PathBuf::from(format!("/layers/{}", image.id))])
    }
}
