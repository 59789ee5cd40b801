//! The pod's machine.
//!
//! ```text
//! Admitted → Preparing → Initialising → Running → Terminating → Terminated → Removed
//!               ▲                          │
//!               └── sandbox lost: attempt+1┘
//! ```
//!
//! A worker holds three snapshots: what is wanted ([`Desired`]), what the host shows ([`Observed`]) and what
//! was recorded ([`Record`]). [`plan()`] answers with the next actions; the worker carries them out in order,
//! stops at the first that fails, tells the record each outcome ([`Record::succeeded`], [`Record::failed`]),
//! looks again and asks again. An empty plan means settled until `wake_at`. [`status()`] makes the pod's
//! status of the same snapshots.
//!
//! Rules that the property tests hold (see `docs/pod-machine.md`):
//! - the plan is pure and total; from any reachable state it converges, with a crash after any action and
//!   before any record of it is written;
//! - one container instance (UID, container, attempt) is started at most once;
//! - nothing starts after `Terminating`;
//! - teardown goes on past an error and retries only what is left.

pub mod action;
mod bring_up;
mod ends;
mod failure;
mod finish;
mod health;
mod init;
mod instance_id;
mod instances;
pub mod live;
#[cfg(test)]
mod model;
pub mod observed;
mod order;
mod plan;
mod policy;
mod press;
pub mod record;
mod restart;
mod sketch;
mod start;
pub mod status;
mod tend;
mod terminate;
mod tries;

pub use action::{Action, Plan};
pub use health::Health;
pub use instance_id::container_id;
pub use live::{HookPoint, HookState, Live, Verdicts};
pub use observed::{ContainerSeen, Exit, InstanceState, Observed, SandboxState, ShimState};
pub use plan::plan;
pub use policy::{Backoff, Policy};
pub use record::{
    ContainerProgress, Eviction, Finished, Origin, PodIdentity, Progress, Readiness, Record, Stop, StopCause,
    Termination,
};
pub use status::{PodRow, PodStatus, RowShape, StatusContext, pods_table_row, status};
pub use tries::{FailedStep, Failure, FailureReason};

use std::sync::Arc;

use pinnace_api::Pod;

/// What is wanted of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Desired {
    /// It shall run.
    Run(Arc<Pod>),
    /// It shall end, and all that it made be removed.
    Remove {
        /// The pod as it was admitted, for names, grace period and hooks.
        pod: Arc<Pod>,
        /// Overrides the pod's own grace period.
        grace_period_seconds: Option<u32>,
    },
    /// It shall end with phase Failed and stay listed: evicted by a taint, by pressure, by deadline.
    Evict {
        /// The pod as it was admitted.
        pod: Arc<Pod>,
        /// Kubernetes' reason, such as `TaintManagerEviction` or `Evicted`.
        reason: String,
        /// A sentence for people.
        message: String,
    },
}

impl Desired {
    /// The pod that this is about.
    pub fn pod(&self) -> &Arc<Pod> {
        match self {
            Desired::Run(pod) | Desired::Remove { pod, .. } | Desired::Evict { pod, .. } => pod,
        }
    }
}
