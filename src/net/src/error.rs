//! Why a pod's network could not be made, looked at or taken down.

use pinnace_core::pod::FailureReason;
use pinnace_core::ports::{PortError, Retry, chain, first_of};
use pinnace_sys::SysError;

use crate::rules::RulesError;

/// What an operation on the network failed of.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The host refused.
    #[error(transparent)]
    Host(#[from] SysError),
    /// The rules.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// Every address of a range is leased.
    #[error("no IP addresses available in range {range}: all {leased} are in use")]
    Exhausted {
        /// The range.
        range: String,
        /// How many leases it has.
        leased: usize,
    },
    /// Something of another's bears a name of ours.
    #[error("interface {link} exists and is not this pod's ({alias:?})")]
    ForeignLink {
        /// Its name.
        link: String,
        /// Its alias.
        alias: String,
    },
    /// The pod's namespace has an interface of our name that is not the peer of our link.
    #[error("the pod's namespace has an eth0 that is not the peer of {link}")]
    ForeignPeer {
        /// The host's side.
        link: String,
    },
    /// The kernel makes no veth pairs.
    #[error(
        "the kernel makes no veth pairs (CONFIG_VETH): load the module veth, or use a kernel that has it"
    )]
    NoVeth,
    /// The kernel has no token bucket.
    #[error(
        "the kernel cannot limit bandwidth (CONFIG_NET_SCH_TBF): load the module sch_tbf, or use a kernel that has it"
    )]
    NoTokenBucket,
    /// A bandwidth annotation cannot be read.
    #[error("annotation {annotation}: {why}")]
    Bandwidth {
        /// Its key.
        annotation: &'static str,
        /// Kubernetes' sentence.
        why: String,
    },
    /// Parts of a pod's network are still there.
    #[error("{} parts are left, the first because of", .others + 1)]
    Left {
        /// How many more.
        others: usize,
        /// The first failure.
        #[source]
        first: Box<NetError>,
    },
    /// The worker thread ended before it was done.
    #[error("the worker thread ended early")]
    Worker(#[source] tokio::task::JoinError),
}

impl NetError {
    /// All failures in one; none is success.
    pub(crate) fn all(errors: Vec<NetError>) -> Result<(), Self> {
        first_of(errors, |others, first| Self::Left { others, first })
    }

    /// The whole chain as one line, each cause once.
    pub(crate) fn chain(&self) -> String {
        chain(self)
    }

    /// The port's error, with the operation and object that it is worded by.
    pub(crate) fn of(self, operation: &'static str, object: String) -> PortError {
        let retry = self.retry();
        no_sandbox(operation, object, retry, self)
    }

    /// Whether trying again may help.
    pub(crate) fn retry(&self) -> Retry {
        match self {
            NetError::Bandwidth { .. } => Retry::AfterChange,
            _ => Retry::Later,
        }
    }
}

/// The error of a pod that cannot have its network, and so has no sandbox.
pub(crate) fn no_sandbox(
    operation: &'static str,
    object: String,
    retry: Retry,
    source: impl std::error::Error + Send + Sync + 'static,
) -> PortError {
    PortError {
        operation,
        object,
        reason: FailureReason::FailedCreatePodSandBox,
        retry,
        source: Box::new(source),
    }
}
