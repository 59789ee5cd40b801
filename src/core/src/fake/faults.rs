//! Which call fails, and how far it got before.

use crate::pod::FailureReason;
use crate::ports::{PortError, Retry};

/// The operations of the ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is named after the port's function")]
pub enum Op {
    CreateSandbox,
    CreateContainer,
    StartContainer,
    SignalContainer,
    RemoveContainer,
    KillPodCgroup,
    RemoveSandbox,
    RemoveLogs,
    EnsureImage,
    AttachNetwork,
    DetachNetwork,
    PrepareVolumes,
    UpdateVolumes,
    RemoveVolumes,
    SaveIdentity,
    SaveProgress,
    RemoveRecords,
    SaveNode,
    ApplyServices,
    ApplyPolicies,
    SaveServices,
}

impl Op {
    fn text(self) -> &'static str {
        match self {
            Op::CreateSandbox => "create the sandbox of",
            Op::CreateContainer => "create a container of",
            Op::StartContainer => "start a container of",
            Op::SignalContainer => "signal a container of",
            Op::RemoveContainer => "remove a container of",
            Op::KillPodCgroup => "kill the cgroup of",
            Op::RemoveSandbox => "remove the sandbox of",
            Op::RemoveLogs => "remove the logs of",
            Op::EnsureImage => "find the image for",
            Op::AttachNetwork => "set up the network of",
            Op::DetachNetwork => "take down the network of",
            Op::PrepareVolumes => "prepare the volumes of",
            Op::UpdateVolumes => "update the volumes of",
            Op::RemoveVolumes => "remove the volumes of",
            Op::SaveIdentity => "save the identity of",
            Op::SaveProgress => "save the progress of",
            Op::RemoveRecords => "remove the records of",
            Op::SaveNode => "save the record of",
            Op::ApplyServices => "apply the services of",
            Op::ApplyPolicies => "apply the network policies of",
            Op::SaveServices => "save the record of",
        }
    }
}

/// How far a failing call gets before it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// It does nothing.
    Nothing,
    /// It leaves what a crash in its middle leaves.
    Half,
    /// It does everything; only its answer is lost.
    Whole,
}

/// Calls that are to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Break {
    /// Only calls of this operation; `None`: whatever comes.
    pub op: Option<Op>,
    /// How many calls.
    pub times: u32,
    /// How far they get.
    pub extent: Extent,
    /// Kubernetes' reason in their error.
    pub reason: FailureReason,
}

/// Why a call of the fake failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FakeError {
    /// The test asked for it.
    #[error("broken by order")]
    ByOrder,
    /// The call makes no sense in the state that the host is in.
    #[error("{0}")]
    Refused(&'static str),
}

#[derive(Default)]
pub(super) struct Faults(Vec<Break>);

impl Faults {
    pub fn add(&mut self, fault: Break) {
        self.0.push(fault);
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn take(&mut self, op: Op) -> Option<(Extent, FailureReason)> {
        let fits = |fault: &Break| fault.times > 0 && fault.op.is_none_or(|wanted| wanted == op);
        let fault = self.0.iter_mut().find(|fault| fits(fault))?;
        fault.times -= 1;
        Some((fault.extent, fault.reason))
    }
}

pub(super) fn error(op: Op, object: String, reason: FailureReason) -> PortError {
    PortError {
        operation: op.text(),
        object,
        reason,
        retry: Retry::Later,
        source: Box::new(FakeError::ByOrder),
    }
}

pub(super) fn refused(op: Op, object: String, reason: FailureReason, why: &'static str) -> PortError {
    PortError {
        operation: op.text(),
        object,
        reason,
        retry: Retry::AfterChange,
        source: Box::new(FakeError::Refused(why)),
    }
}
