//! Why a volume could not be served.

use pinnace_core::environment::SubPathError;
use pinnace_core::pod::FailureReason;
use pinnace_core::ports::{PortError, Retry};
use pinnace_sys::SysError;

/// What an operation on volumes failed of.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VolumeError {
    /// What is at the path is not what the type asks for, or nothing is.
    #[error("hostPath type check failed: {path} is not a {expected}")]
    HostPathType {
        path: String,
        /// The kubelet's word for the type.
        expected: &'static str,
    },
    /// A kind of volume that this node does not serve.
    #[error("volumes of this kind are not served")]
    NotServed,
    /// A sub-path's expression.
    #[error(transparent)]
    SubPath(#[from] SubPathError),
    /// The host refused.
    #[error(transparent)]
    Host(#[from] SysError),
    /// Parts of a pod's volumes are still there.
    #[error("{} parts are left, the first because of", .others + 1)]
    Left {
        others: usize,
        #[source]
        first: SysError,
    },
    /// A container or volume that the pod does not have.
    #[error("the pod has no such {0}")]
    Unknown(&'static str),
    /// The worker thread ended before it was done.
    #[error("the worker thread ended early")]
    Worker(#[source] tokio::task::JoinError),
}

impl VolumeError {
    /// All failures in one; none is success.
    pub(crate) fn all(errors: Vec<SysError>) -> Result<(), Self> {
        let others = errors.len().saturating_sub(1);
        match errors.into_iter().next() {
            None => Ok(()),
            Some(first) if others == 0 => Err(Self::Host(first)),
            Some(first) => Err(Self::Left { others, first }),
        }
    }
}

/// A failure with the operation and object that Kubernetes words it by.
#[derive(Debug)]
pub(crate) struct Failed {
    pub operation: &'static str,
    pub object: String,
    pub reason: FailureReason,
    pub source: VolumeError,
}

impl From<Failed> for PortError {
    fn from(failed: Failed) -> Self {
        let retry = match failed.source {
            VolumeError::Unknown(_) | VolumeError::NotServed | VolumeError::SubPath(_) => Retry::AfterChange,
            // The host may come to hold what is asked for at any time.
            _ => Retry::Later,
        };
        PortError {
            operation: failed.operation,
            object: failed.object,
            reason: failed.reason,
            retry,
            source: Box::new(failed.source),
        }
    }
}
