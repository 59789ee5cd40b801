//! Why a record could not be read or written.

use std::path::PathBuf;

use pinnace_api::PodUid;
use pinnace_core::pod::FailureReason;
use pinnace_core::ports::{PortError, Retry};
use pinnace_sys::SysError;

/// What is wrong with a record's content.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FormatError {
    /// Not JSON, cut off, or not a record.
    #[error("not a whole record")]
    Json(#[source] serde_json::Error),
    /// Of a release that this one does not know.
    #[error("format version {found}, this release reads version {known}")]
    Version { found: u64, known: u32 },
    /// Under another pod's name.
    #[error("it is the record of pod {found}")]
    OtherPod { found: PodUid },
    /// The file's name is none of ours.
    #[error("the file's name is not a pod's UID")]
    Name,
}

/// What an operation of the store failed of.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The host refused.
    #[error(transparent)]
    Host(#[from] SysError),
    /// A record cannot be written as JSON.
    #[error("write as JSON")]
    Encode(#[source] serde_json::Error),
    /// The worker thread ended before it was done.
    #[error("the worker thread ended early")]
    Worker(#[source] tokio::task::JoinError),
}

impl StoreError {
    /// Every failure of the store may pass: a disk is freed, mounted writable again, repaired.
    pub(crate) fn port(self, operation: &'static str, object: String) -> PortError {
        PortError {
            operation,
            object,
            reason: FailureReason::FailedCreatePodSandBox,
            retry: Retry::Later,
            source: Box::new(self),
        }
    }
}

/// The whole chain as one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// A path as the object of an error.
pub(crate) fn shown(path: &std::path::Path) -> String {
    PathBuf::from(path).display().to_string()
}
