//! The errors that leave an adapter, and how errors are told.

use crate::pod::FailureReason;

/// Whether trying again may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same call may go through later.
    Later,
    /// Only a change of the manifest, the image or the node helps.
    AfterChange,
}

/// A failed operation of an adapter.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {object}")]
pub struct PortError {
    /// What was tried, such as `mount the root file system of`; empty where the cause alone says all.
    pub operation: &'static str,
    /// On what.
    pub object: String,
    /// Kubernetes' word for it, where a pod or container waits because of it.
    pub reason: FailureReason,
    /// Whether trying again may help.
    pub retry: Retry,
    /// The cause.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl PortError {
    /// The whole chain as one line, each cause once, for statuses and events.
    pub fn chain(&self) -> String {
        if self.operation.is_empty() {
            chain(self.source.as_ref())
        } else {
            chain(self)
        }
    }
}

/// An error with its causes in one line, each once.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// All failures in one; none is success. Of several the first is kept, by `several`, with the number of the others.
pub fn first_of<E>(errors: Vec<E>, several: impl FnOnce(usize, Box<E>) -> E) -> Result<(), E> {
    let others = errors.len().saturating_sub(1);
    match errors.into_iter().next() {
        None => Ok(()),
        Some(first) if others == 0 => Err(first),
        Some(first) => Err(several(others, Box::new(first))),
    }
}

/// Result of a port's operation.
pub type PortResult<T> = Result<T, PortError>;
