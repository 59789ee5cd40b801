//! Children that have ended: OCI runtimes, whose calls are now answered, and containers' processes, whose
//! exits are now known.
//!
//! A process may end before the runtime that launched it has told us its pid. Such an exit is kept as a
//! stray until the launch is over, and dropped when no launch is under way.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use prost::Message;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait};

use super::Supervisor;
use super::calls::not_found;
use super::connection::Ticket;
use super::task::{Exit, ProcessKey, Task};
use crate::oci;
use crate::protocol::events::{TaskExit, TaskOom};
use crate::protocol::task::TaskStatus;
use crate::protocol::{Code, Empty, Status, Timestamp};

/// How long a runtime may take; the kubelet's own limit for a runtime's request.
const OPERATION_LIMIT: Duration = Duration::from_secs(120);
/// Exits kept while launches are under way.
const MAX_STRAYS: usize = 4096;

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

/// An exit that nobody has claimed yet.
#[derive(Debug)]
pub struct Stray {
    pid: u32,
    exit: Exit,
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

    pub(super) fn on_signals(&mut self) {
        let mut asked_to_end = false;
        while let Ok(Some(signal)) = self.signals.read_signal() {
            asked_to_end |= signal.ssi_signo != libc::SIGCHLD.cast_unsigned();
            self.machine_ends |= is_of_shutdown(signal.ssi_signo, signal.ssi_pid);
        }
        self.reap();
        if self.machine_ends && self.nothing_runs() {
            self.ending = true;
        } else if asked_to_end {
            match self.tasks.is_empty() {
                true => self.ending = true,
                false => self.note("told to end by a signal, but there are tasks"),
            }
        }
    }

    fn nothing_runs(&self) -> bool {
        let ended = |task: &Task| {
            !task.init.is_running() && task.execs.values().all(|exec| !exec.process.is_running())
        };
        self.operations.is_empty() && self.tasks.values().all(ended)
    }

    fn reap(&mut self) {
        let mut done = Vec::new();
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let exit = Exit {
                code: exit_code(status),
                at: Timestamp::now(),
            };
            match self.operations.remove(&pid.as_raw_pid()) {
                Some(operation) => done.push((operation, status)),
                None => self.on_exit(pid.as_raw_pid().cast_unsigned(), exit),
            }
        }
        for (operation, status) in done {
            self.finish(operation, status);
        }
        if !self
            .operations
            .values()
            .any(|operation| matches!(operation.kind, OperationKind::Launch))
        {
            self.strays.clear();
        }
    }

    /// A process that is no runtime has ended.
    fn on_exit(&mut self, pid: u32, exit: Exit) {
        match self.key_of(pid) {
            Some(key) => self.exited(&key, exit),
            None => {
                if self.strays.len() >= MAX_STRAYS {
                    self.strays.pop_front();
                }
                self.strays.push_back(Stray { pid, exit });
            }
        }
    }

    fn key_of(&self, pid: u32) -> Option<ProcessKey> {
        let found = |task: &str, exec: &str| {
            Some(ProcessKey {
                task: task.to_owned(),
                exec: exec.to_owned(),
            })
        };
        self.tasks.iter().find_map(|(id, task)| {
            if task.init.pid == pid && task.init.exit.is_none() {
                return found(id, "");
            }
            let running = |exec: &super::task::Exec| exec.process.pid == pid && exec.process.exit.is_none();
            let (exec, _) = task.execs.iter().find(|(_, exec)| running(exec))?;
            found(id, exec)
        })
    }

    /// A launch is over, and the process may have ended meanwhile.
    pub(super) fn claim_stray(&mut self, key: &ProcessKey, pid: u32) {
        if let Some(index) = self.strays.iter().position(|stray| stray.pid == pid)
            && let Some(stray) = self.strays.remove(index)
        {
            self.exited(key, stray.exit);
        }
    }

    /// A process of ours has ended. While an operation on it is under way, that is only remembered, so that
    /// events come in order.
    fn exited(&mut self, key: &ProcessKey, exit: Exit) {
        let Ok(process) = self.process_mut(key) else {
            return;
        };
        if process.busy {
            process.early_exit = Some(exit);
            return self.close_gate(key);
        }
        process.status = TaskStatus::Stopped;
        process.exit = Some(exit);
        process.io.terminal = None;
        process.io.stdin_writer = None;
        process.io.readers.clear();
        let pid = process.pid;
        self.take_last_output(key);
        self.end_leftovers(key);
        self.answer_waiters(key);
        let event = TaskExit {
            container_id: key.task.clone(),
            id: if key.exec.is_empty() { &key.task } else { &key.exec }.clone(),
            pid,
            exit_status: exit.code,
            exited_at: Some(exit.at),
        };
        self.publisher.send(&event, &self.reactor);
    }

    fn take_last_output(&mut self, key: &ProcessKey) {
        let Ok(process) = self.process_mut(key) else {
            return;
        };
        let ids = std::mem::take(&mut process.io.streams);
        let mut rest = Vec::new();
        for id in ids {
            if !self.streams.drain(id, &self.reactor, &mut self.scratch) {
                rest.push(id);
            }
        }
        self.scratch_used = Some(Instant::now());
        if let Ok(process) = self.process_mut(key) {
            process.io.streams = rest;
        }
    }

    /// With a container's first process, the container ends: the kernel sees to that in a PID namespace of
    /// its own; elsewhere its cgroup tells who belongs to it.
    fn end_leftovers(&mut self, key: &ProcessKey) {
        let Some(task) = self.tasks.get(&key.task).filter(|_| key.exec.is_empty()) else {
            return;
        };
        let Some(cgroup) = task.cgroup.clone() else {
            return;
        };
        let kill = !task.own_pid_namespace;
        if cgroup.oom_kills() > 0 {
            let event = TaskOom {
                container_id: key.task.clone(),
            };
            self.publisher.send(&event, &self.reactor);
        }
        if kill && !cgroup.kill() {
            self.leftovers.push((cgroup, 0));
        }
    }

    pub(super) fn answer_waiters(&mut self, key: &ProcessKey) {
        let Ok(process) = self.process_mut(key) else {
            return;
        };
        let Some(exit) = process.exit else {
            return;
        };
        for ticket in std::mem::take(&mut process.waiters) {
            self.answer(ticket, Ok(exit.wait_response().encode_to_vec()));
        }
    }

    /// An operation on a process is over: what came meanwhile takes effect now.
    pub(super) fn settle(&mut self, key: &ProcessKey) {
        if let Ok(process) = self.process_mut(key) {
            process.busy = false;
            if let Some(exit) = process.early_exit.take() {
                self.exited(key, exit);
            }
        }
        self.release(key);
    }

    fn finish(&mut self, operation: Operation, status: WaitStatus) {
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

/// Process 1 sends it to all when the machine goes down, and waits for the end of all; at other times no unit
/// of ours has it signal a shim.
fn is_of_shutdown(signal: u32, sender: u32) -> bool {
    signal == libc::SIGTERM.cast_unsigned() && sender == 1
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

fn exit_code(status: WaitStatus) -> u32 {
    let code = status
        .exit_status()
        .or_else(|| status.terminating_signal().map(|signal| 128 + signal));
    code.map_or(255, i32::cast_unsigned)
}
