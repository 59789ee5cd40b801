//! Why a CNI network could not be used.

use pinnace_api::PodUid;
use pinnace_core::ports::{PortError, Retry, chain, first_of};
use pinnace_sys::SysError;

use super::exec::RunError;
use super::network::NetworkError;
use super::result::ResultError;
use crate::error::{NetError, no_sandbox};
use crate::rules::RulesError;

/// What an operation on a CNI network failed of.
#[derive(Debug, thiserror::Error)]
pub enum CniError {
    /// The host refused.
    #[error(transparent)]
    Host(#[from] SysError),
    /// The rules of Services.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// What the pod asks for cannot be read.
    #[error(transparent)]
    Pod(#[from] NetError),
    /// There is no configuration of a network.
    #[error("no network config found in {directory}: cni plugin not initialized")]
    NotInitialized {
        /// Where it was looked for.
        directory: String,
    },
    /// The first configuration cannot be used.
    #[error("failed to load CNI config file {file}")]
    Config {
        /// The file.
        file: String,
        /// What is wrong with it.
        #[source]
        source: NetworkError,
    },
    /// A plugin is not installed.
    #[error("failed to find plugin {plugin:?} in path [{directories}]")]
    Missing {
        /// Its `type`.
        plugin: String,
        /// Where it was looked for.
        directories: String,
    },
    /// A plugin failed.
    #[error("plugin type={plugin:?} failed ({verb})")]
    Plugin {
        /// Its `type`.
        plugin: String,
        /// `add`, `delete`, `check`, ….
        verb: &'static str,
        /// What it said, or what became of it.
        #[source]
        source: RunError,
    },
    /// A plugin said something that is no result.
    #[error("plugin type={plugin:?} answered no valid result")]
    Result {
        /// Its `type`.
        plugin: String,
        /// What is wrong.
        #[source]
        source: ResultError,
    },
    /// A plugin that an earlier call executed still runs.
    #[error("a plugin that was executed for pod {uid} earlier still runs, after {seconds} seconds")]
    Busy {
        /// The pod.
        uid: PodUid,
        /// How long it was waited for.
        seconds: u64,
    },
    /// Policies are the plugins' business.
    #[error(
        "NetworkPolicies are not available with podNetwork: cni: the traffic of pods does not pass where they would be \
         enforced; use a CNI plugin that enforces them itself, or podNetwork: routed"
    )]
    NoPolicies,
    /// Several failures of one teardown.
    #[error("{} plugins failed, the first because of", .others + 1)]
    Left {
        /// How many more.
        others: usize,
        /// The first failure.
        #[source]
        first: Box<CniError>,
    },
    /// The worker thread ended before it was done.
    #[error("the worker thread ended early")]
    Worker(#[source] tokio::task::JoinError),
}

impl CniError {
    /// All failures in one; none is success.
    pub(crate) fn all(errors: Vec<CniError>) -> Result<(), Self> {
        first_of(errors, |others, first| Self::Left { others, first })
    }

    /// The whole chain as one line, each cause once.
    pub(crate) fn chain(&self) -> String {
        chain(self)
    }

    /// The port's error, with the operation and object that it is worded by.
    pub(crate) fn of(self, operation: &'static str, object: String) -> PortError {
        let retry = match &self {
            CniError::NoPolicies => Retry::AfterChange,
            CniError::Pod(error) => error.retry(),
            _ => Retry::Later,
        };
        no_sandbox(operation, object, retry, self)
    }
}
