//! Starting a container of runc's without running runc.
//!
//! A container that runc has created waits in the opening of a fifo, `exec.fifo` in its state directory;
//! `runc start` only opens that fifo for reading, takes one byte, and removes it. Doing the same here saves
//! a process that takes longer than all the rest of a start. Where the state directory does not look like
//! runc's, or hooks are to run around the start, the runtime is run as for any other.

use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};

use super::Supervisor;
use super::connection::Ticket;
use super::streams::Stream;
use super::task::{ProcessKey, Task};
use crate::protocol::{Code, Status};

/// A container waits at its gate when `create` is done, or a moment later.
const GATE_LIMIT: Duration = Duration::from_secs(10);

fn gate_path(id: &str, task: &Task) -> std::path::PathBuf {
    task.runtime.root.join(id).join("exec.fifo")
}

impl Supervisor {
    /// Begins to start a container by its gate; false where it has none.
    pub(super) fn open_gate(&mut self, key: &ProcessKey, ticket: Ticket) -> bool {
        let Ok(task) = self.task(&key.task) else {
            return false;
        };
        let path = gate_path(&key.task, task);
        let by_runtime = task.start_hooks || !path.with_file_name("state.json").exists();
        if by_runtime {
            return false;
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(fifo) = rustix::fs::open(&path, flags, Mode::empty()) else {
            return false;
        };
        let (id, process) = (self.next_serial(), key.clone());
        let deadline = Instant::now() + GATE_LIMIT;
        let gate = Stream::Gate {
            fifo,
            process,
            deadline,
        };
        if self.streams.add(id, gate, &self.reactor).is_err() {
            return false;
        }
        if let Ok(process) = self.process_mut(key) {
            process.busy = true;
            process.launch_ticket = Some(ticket);
            process.io.gate = Some(id);
        }
        true
    }

    /// The container has ended while it was being started; it may have passed its gate before.
    pub(super) fn close_gate(&mut self, key: &ProcessKey) {
        let gate = self.process_mut(key).ok().and_then(|process| process.io.gate);
        if let Some(ready) = gate.and_then(|id| self.streams.remove(id, &self.reactor)) {
            self.go_on(ready);
        }
    }

    /// The container passed its gate, or did not within the limit.
    pub(super) fn gate_passed(&mut self, key: &ProcessKey, passed: bool) {
        let Ok(process) = self.process_mut(key) else {
            return;
        };
        process.io.gate = None;
        let Some(ticket) = process.launch_ticket.take() else {
            return;
        };
        if passed {
            // Its absence is what tells the runtime that the container runs.
            if let Ok(task) = self.task(&key.task) {
                let _ = std::fs::remove_file(gate_path(&key.task, task));
            }
            return self.started(key, ticket);
        }
        let text = "the container ended, or did not come to its start in time";
        self.answer(ticket, Err(Status::new(Code::Unknown, text)));
        self.settle(key);
    }
}
