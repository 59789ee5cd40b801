//! Children that have ended: containers' processes, whose exits are now known; an OCI runtime's end is handed
//! to `operations`.
//!
//! A process may end before the runtime that launched it has told us its pid. Such an exit is kept as a
//! stray until the launch is over, and dropped when no launch is under way.

use std::time::Instant;

use prost::Message;
use rustix::process::{WaitOptions, WaitStatus, wait};

use super::Supervisor;
use super::task::{Exit, Process, ProcessKey, Task};
use crate::protocol::Timestamp;
use crate::protocol::events::{TaskExit, TaskOom};
use crate::protocol::task::TaskStatus;

/// Exits kept while launches are under way.
const MAX_STRAYS: usize = 4096;

/// An exit that nobody has claimed yet.
#[derive(Debug)]
pub struct Stray {
    pid: u32,
    exit: Exit,
}

impl Supervisor {
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
        if !self.operations.values().any(|operation| operation.is_launch()) {
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
            let is = |process: &Process| process.pid == pid && process.is_running();
            if is(&task.init) {
                return found(id, "");
            }
            let (exec, _) = task.execs.iter().find(|(_, exec)| is(&exec.process))?;
            found(id, exec)
        })
    }

    /// A launch is over, and the process may have ended meanwhile.
    pub(super) fn claim_stray(&mut self, key: &ProcessKey, pid: u32) {
        if let Some(index) = self.strays.iter().rposition(|stray| stray.pid == pid)
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
}

/// Process 1 sends it to all when the machine goes down, and waits for the end of all; at other times no unit
/// of ours has it signal a shim.
fn is_of_shutdown(signal: u32, sender: u32) -> bool {
    signal == libc::SIGTERM.cast_unsigned() && sender == 1
}

pub(super) fn exit_code(status: WaitStatus) -> u32 {
    let code = status
        .exit_status()
        .or_else(|| status.terminating_signal().map(|signal| 128 + signal));
    code.map_or(255, i32::cast_unsigned)
}
