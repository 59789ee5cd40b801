//! What can go wrong here, and how it is told to the engine.

use std::path::PathBuf;

use pinnace_api::ContainerName;
use pinnace_core::network::NameTooLong;
use pinnace_core::pod::FailureReason;
pub use pinnace_core::ports::chain;
use pinnace_core::ports::{PortError, Retry};
use pinnace_sys::SysError;

use crate::launch::LaunchError;
use crate::sandbox::{ReaperError, SysctlError};
use crate::spec::SpecError;
use crate::spec::non_root::NonRootError;
use crate::task::CallError;

/// A failed step; the operation and object of the whole are the [`PortError`]'s.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The host.
    #[error(transparent)]
    Sys(#[from] SysError),
    /// The shim.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Its start.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The container's specification.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The container would run as root, and may not.
    #[error(transparent)]
    NonRoot(#[from] NonRootError),
    /// A kernel parameter of the pod.
    #[error(transparent)]
    Sysctl(#[from] SysctlError),
    /// The PID namespace that the pod's containers share.
    #[error(transparent)]
    Reaper(#[from] ReaperError),
    /// The pod's full name, where it is to be its host name.
    #[error(transparent)]
    Name(#[from] NameTooLong),
    /// The image store.
    #[error(transparent)]
    Image(#[from] crate::images::ImageError),
    /// A record of ours.
    #[error("read or write {}", path.display())]
    Record {
        /// Where it lies.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A record that somebody else damaged, where nothing may be taken for granted.
    #[error("{} is damaged and tells nothing any more", path.display())]
    Damaged {
        /// Where it lies.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The pod has no container of that name.
    #[error("the pod has no container {0}")]
    NoContainer(ContainerName),
    /// A process got SIGKILL and is still there.
    #[error("process {pid} does not end by SIGKILL")]
    DoesNotEnd {
        /// The process.
        pid: u32,
    },
    /// A volume cannot be shared both ways.
    #[error("path {} is mounted on {} but it is not a shared mount", path.display(), mount.display())]
    NotShared {
        /// The volume.
        path: PathBuf,
        /// The mount that it lies on.
        mount: PathBuf,
    },
    /// Nothing of the kind is there.
    #[error("no {0} is there")]
    Missing(&'static str),
    /// A step was cut off; only when the program ends.
    #[error("the step was cut off")]
    CutOff(#[from] tokio::task::JoinError),
    /// Several steps of a teardown; what could be done was done.
    #[error("{}", several(.0))]
    Several(Vec<RuntimeError>),
}

impl RuntimeError {
    /// What is asked of the container cannot be had of its pod and image (`CreateContainerConfigError`).
    fn is_of_configuration(&self) -> bool {
        matches!(self, RuntimeError::NonRoot(_))
    }
}

fn several(errors: &[RuntimeError]) -> String {
    errors
        .iter()
        .map(|error| chain(error))
        .collect::<Vec<_>>()
        .join("; ")
}

/// What is tried on what, for errors that leave this crate.
#[derive(Debug, Clone, Copy)]
pub struct Doing {
    pub operation: &'static str,
    pub reason: FailureReason,
}

impl Doing {
    /// The error of an operation of this kind on `object`.
    pub fn failed(self, object: impl Into<String>, error: impl Into<RuntimeError>) -> PortError {
        let error = error.into();
        if error.is_of_configuration() {
            // The kubelet tells these as they are, without what was tried.
            return PortError {
                operation: "",
                object: String::new(),
                reason: FailureReason::CreateContainerConfigError,
                retry: Retry::AfterChange,
                source: Box::new(error),
            };
        }
        let (reason, retry) = match &error {
            RuntimeError::Spec(_) | RuntimeError::NotShared { .. } | RuntimeError::NoContainer(_) => {
                (FailureReason::CreateContainerError, Retry::AfterChange)
            }
            RuntimeError::Damaged { .. } | RuntimeError::Name(_) => (self.reason, Retry::AfterChange),
            _ => (self.reason, Retry::Later),
        };
        PortError {
            operation: self.operation,
            object: object.into(),
            reason,
            retry,
            source: Box::new(error),
        }
    }
}

/// Collects the errors of a teardown that goes on past them.
#[derive(Debug, Default)]
pub struct Collected(Vec<RuntimeError>);

impl Collected {
    /// Takes note of a failure.
    pub fn note<T>(&mut self, result: Result<T, impl Into<RuntimeError>>) -> Option<T> {
        result.map_err(|error| self.0.push(error.into())).ok()
    }
    /// Takes note of several.
    pub fn note_all<T>(&mut self, result: Result<T, Vec<SysError>>) {
        if let Err(errors) = result {
            self.0.extend(errors.into_iter().map(RuntimeError::from));
        }
    }
    /// Nothing failed so far.
    pub fn is_clean(&self) -> bool {
        self.0.is_empty()
    }
    /// `Ok` where nothing failed.
    pub fn finish(mut self) -> Result<(), RuntimeError> {
        match self.0.len() {
            0 => Ok(()),
            1 => Err(self.0.remove(0)),
            _ => Err(RuntimeError::Several(self.0)),
        }
    }
}
