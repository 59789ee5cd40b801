//! OCI runtimes at work: who waits for each, how long each may take, and what follows when one has ended.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use prost::Message;
use rustix::process::{Pid, Signal, WaitStatus, kill_process};

use super::Supervisor;
use super::calls::not_found;
use super::connection::Ticket;
use super::reap::exit_code;
use super::task::ProcessKey;
use crate::oci;
use crate::protocol::{Code, Empty, Status};

/// How long a runtime may take; the kubelet's own limit for a runtime's request.
const OPERATION_LIMIT: Duration = Duration::from_secs(120);

/// A runtime that is at work.
#[derive(Debug)]
pub struct Operation {
    key: ProcessKey,
    kind: OperationKind,
    log: PathBuf,
    overdue: bool,
    pub deadline: Instant,
}

/// What it does, and who waits for it.
#[derive(Debug)]
pub enum OperationKind {
    /// `create` or `exec`; the process knows who waits.
    Launch,
    /// `start`.
    Start(Ticket),
    /// `delete`.
    Delete(Ticket),
    /// `kill`.
    Kill(Ticket),
    /// `update`.
    Update(Ticket),
    /// `delete --force` after a `create` that failed for this reason.
    CleanUp { ticket: Option<Ticket>, status: Status },
}

impl Supervisor {
    /// Takes note of a runtime that was started.
    pub(super) fn begin(&mut self, pid: u32, key: ProcessKey, kind: OperationKind, log: PathBuf) {
        let operation = Operation {
            key,
            kind,
            log,
            overdue: false,
            deadline: Instant::now() + OPERATION_LIMIT,
        };
        self.operations.insert(pid.cast_signed(), operation);
    }

    pub(super) fn kill_overdue_operations(&mut self, now: Instant) {
        for (pid, operation) in &mut self.operations {
            if operation.deadline <= now {
                operation.overdue = true;
                operation.deadline = now + OPERATION_LIMIT;
                if let Some(pid) = Pid::from_raw(*pid) {
                    let _ = kill_process(pid, Signal::KILL);
                }
            }
        }
    }

    /// A runtime has ended: its call is answered.
    pub(super) fn finish(&mut self, operation: Operation, status: WaitStatus) {
        let failure = operation.failure(status);
        let _ = std::fs::remove_file(&operation.log);
        let key = &operation.key;
        match (operation.kind, failure) {
            (OperationKind::Launch, None) => self.launched(key),
            (OperationKind::Launch, Some(status)) => self.launch_failed(key, status),
            (OperationKind::Start(ticket), None) => self.started(key, ticket),
            (OperationKind::Delete(ticket), None) => self.container_deleted(key, ticket),
            (OperationKind::Delete(ticket), Some(status)) if status.code() == Code::NotFound => {
                self.container_deleted(key, ticket);
            }
            (OperationKind::Start(ticket) | OperationKind::Delete(ticket), Some(status)) => {
                self.answer(ticket, Err(status));
                self.settle(key);
            }
            (OperationKind::Kill(ticket), None) => self.answer(ticket, Ok(Empty {}.encode_to_vec())),
            (OperationKind::Update(ticket), failure) => {
                let _ = std::fs::remove_file(operation.log.with_extension("json"));
                self.answer(ticket, failure.map_or_else(|| Ok(Empty {}.encode_to_vec()), Err));
            }
            (OperationKind::Kill(ticket), Some(status)) => self.answer(ticket, Err(status)),
            (OperationKind::CleanUp { ticket, status }, _) => self.created_in_vain(key, ticket, status),
        }
    }
}

impl Operation {
    /// Whether a process is to come of it.
    pub(super) fn is_launch(&self) -> bool {
        matches!(self.kind, OperationKind::Launch)
    }

    /// Why the runtime did not do it, in its own words.
    fn failure(&self, status: WaitStatus) -> Option<Status> {
        let verb = match self.kind {
            OperationKind::Launch if self.key.exec.is_empty() => "create",
            OperationKind::Launch => "exec",
            OperationKind::Start(_) => "start",
            OperationKind::Delete(_) | OperationKind::CleanUp { .. } => "delete",
            OperationKind::Kill(_) => "kill",
            OperationKind::Update(_) => "update",
        };
        if self.overdue {
            let text = format!(
                "OCI runtime {verb} took longer than {} s",
                OPERATION_LIMIT.as_secs()
            );
            return Some(Status::new(Code::DeadlineExceeded, text));
        }
        if status.exit_status() == Some(0) {
            return None;
        }
        let message = oci::last_message(&self.log).unwrap_or_else(|| match status.terminating_signal() {
            Some(signal) => format!("killed by signal {signal}"),
            None => format!("exit status {}", exit_code(status)),
        });
        Some(match (&self.kind, message) {
            (OperationKind::Kill(_), text) if is_finished(&text) => not_found("process already finished"),
            (OperationKind::Delete(_), text) if text.contains("does not exist") => not_found(text),
            (_, text) => Status::new(Code::Unknown, format!("OCI runtime {verb} failed: {text}")),
        })
    }
}

/// What runc, crun and youki say of a process that is gone.
fn is_finished(message: &str) -> bool {
    [
        "process already finished",
        "container not running",
        "is not running",
        "does not exist",
        "No such process",
    ]
    .iter()
    .any(|text| message.contains(text))
}
