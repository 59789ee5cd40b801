//! Calls that look at a process or steer it: State, Pids, Wait, Kill, ResizePty, CloseIO, Update, Connect,
//! Shutdown.

use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::Winsize;

use super::Supervisor;
use super::calls::{Handled, Outcome, invalid, key, not_found, reply, wrong_state};
use super::connection::Ticket;
use super::launch::status_of;
use super::operations::OperationKind;
use super::task::{Exit, ProcessKey};
use crate::protocol::options::{PROCESS_DETAILS, ProcessDetails};
use crate::protocol::task::{
    CloseIoRequest, ConnectRequest, ConnectResponse, KillRequest, PidsRequest, PidsResponse, ProcessInfo,
    ResizePtyRequest, ShutdownRequest, StateRequest, StateResponse, UpdateTaskRequest, WaitRequest,
    WaitResponse,
};
use crate::protocol::{Any, Code, Empty, Status, Timestamp};

const MAX_WAITERS: usize = 1024;
const MAX_SIGNAL: u32 = 64;

impl Exit {
    /// Of an exec that could not be started.
    pub fn failed_start() -> Self {
        Self {
            code: 255,
            at: Timestamp::now(),
        }
    }

    /// As Wait tells it.
    pub fn wait_response(&self) -> WaitResponse {
        WaitResponse {
            exit_status: self.code,
            exited_at: Some(self.at),
        }
    }
}

impl Supervisor {
    pub(super) fn state(&mut self, request: &StateRequest) -> Handled {
        let key = key(&request.id, &request.exec_id);
        let (task, process) = (self.task(&key.task)?, self.process(&key)?);
        if process.busy && process.pid == 0 {
            return Ok(Outcome::WaitFor(key));
        }
        let spec = &process.spec;
        reply(&StateResponse {
            id: if key.exec.is_empty() {
                key.task
            } else {
                key.exec.clone()
            },
            bundle: task.bundle.to_string_lossy().into_owned(),
            pid: process.pid,
            status: process.status as i32,
            stdin: spec.stdin.clone(),
            stdout: spec.stdout.clone(),
            stderr: spec.stderr.clone(),
            terminal: spec.terminal,
            exit_status: process.exit.map_or(0, |exit| exit.code),
            exited_at: process.exit.map(|exit| exit.at),
            exec_id: key.exec,
        })
    }

    pub(super) fn pids(&mut self, request: &PidsRequest) -> Handled {
        let task = self.task(&request.id)?;
        if task.init.busy && task.init.pid == 0 {
            return Ok(Outcome::WaitFor(key(&request.id, "")));
        }
        let mut pids = task
            .cgroup
            .as_ref()
            .map(|cgroup| cgroup.processes())
            .unwrap_or_default();
        if pids.is_empty() && task.init.is_running() {
            pids.push(task.init.pid);
        }
        let info = |pid: u32| {
            let (exec_id, _) = task.execs.iter().find(|(_, exec)| exec.process.pid == pid)?;
            let exec_id = exec_id.clone();
            Some(Any::pack(PROCESS_DETAILS, &ProcessDetails { exec_id }))
        };
        let processes = pids
            .into_iter()
            .map(|pid| ProcessInfo { pid, info: info(pid) })
            .collect();
        reply(&PidsResponse { processes })
    }

    pub(super) fn wait(&mut self, ticket: Ticket, request: &WaitRequest) -> Handled {
        let process = self.process_mut(&key(&request.id, &request.exec_id))?;
        if let Some(exit) = process.exit {
            return reply(&exit.wait_response());
        }
        if process.waiters.len() >= MAX_WAITERS {
            return Err(Status::new(
                Code::ResourceExhausted,
                "too many wait for this process",
            ));
        }
        process.waiters.push(ticket);
        Ok(Outcome::Later)
    }

    pub(super) fn kill(&mut self, ticket: Ticket, request: &KillRequest) -> Handled {
        let key = key(&request.id, &request.exec_id);
        if request.signal > MAX_SIGNAL {
            return Err(invalid(format!("{} is not a signal", request.signal)));
        }
        let process = self.process(&key)?;
        if process.busy && process.pid == 0 {
            return Ok(Outcome::WaitFor(key));
        }
        if process.pid == 0 {
            return Err(wrong_state("the process was not started"));
        }
        if !process.is_running() {
            return Err(not_found("process already finished"));
        }
        let pid = process.pid;
        let runtime = &self.task(&key.task)?.runtime;
        let whole_container = request.all && key.exec.is_empty();
        let direct = !whole_container && (!key.exec.is_empty() || runtime.signals_reach_processes());
        if direct && let Some(sent) = send_signal(pid, request.signal) {
            return sent.and_then(|()| reply(&Empty {}));
        }
        if !key.exec.is_empty() {
            return Err(invalid(format!(
                "signal {} cannot be sent to an exec",
                request.signal
            )));
        }
        self.kill_by_runtime(ticket, key, request)
    }

    fn kill_by_runtime(&mut self, ticket: Ticket, key: ProcessKey, request: &KillRequest) -> Handled {
        let log = self.runtime_log(&key)?;
        let runtime = &self.task(&key.task)?.runtime;
        let mut command = runtime.command(&log);
        command.arg("kill");
        if request.all {
            command.arg("--all");
        }
        command.arg(&key.task).arg(request.signal.to_string());
        let what = format!("run {}", runtime.binary);
        let child = command.spawn().map_err(|e| status_of(&what, &e))?;
        self.begin(child.id(), key, OperationKind::Kill(ticket), log);
        Ok(Outcome::Later)
    }

    pub(super) fn resize_pty(&mut self, request: &ResizePtyRequest) -> Handled {
        let key = key(&request.id, &request.exec_id);
        let process = self.process(&key)?;
        if process.busy && process.pid == 0 {
            return Ok(Outcome::WaitFor(key));
        }
        let cells = |count: u32| u16::try_from(count).unwrap_or(u16::MAX);
        // Without a terminal there is nothing to resize, and nothing wrong in asking.
        if let Some(terminal) = &process.io.terminal {
            let size = Winsize {
                ws_row: cells(request.height),
                ws_col: cells(request.width),
                ws_xpixel: 0,
                ws_ypixel: 0,
            };
            rustix::termios::tcsetwinsize(terminal, size)
                .map_err(|e| status_of("resize the terminal", &e))?;
        }
        reply(&Empty {})
    }

    pub(super) fn close_io(&mut self, request: &CloseIoRequest) -> Handled {
        let key = key(&request.id, &request.exec_id);
        let process = self.process_mut(&key)?;
        if process.busy && process.pid == 0 {
            return Ok(Outcome::WaitFor(key));
        }
        if request.stdin {
            process.io.stdin_writer = None;
        }
        reply(&Empty {})
    }

    pub(super) fn update(&mut self, ticket: Ticket, request: &UpdateTaskRequest) -> Handled {
        let key = key(&request.id, "");
        let task = self.task(&key.task)?;
        if task.init.busy && task.init.pid == 0 {
            return Ok(Outcome::WaitFor(key));
        }
        let resources = request.resources.as_ref().filter(|any| !any.value.is_empty());
        let resources = resources.ok_or_else(|| invalid("an update needs resources"))?;
        let log = self.runtime_log(&key)?;
        let document = log.with_extension("json");
        pinnace_sys::file::write_replace(&document, &resources.value, 0o600)
            .map_err(|e| status_of("write the resources", &e))?;
        let runtime = &self.task(&key.task)?.runtime;
        let mut command = runtime.command(&log);
        command
            .args(["update", "--resources"])
            .arg(&document)
            .arg(&key.task);
        let what = format!("run {}", runtime.binary);
        let child = command.spawn().map_err(|e| status_of(&what, &e))?;
        self.begin(child.id(), key, OperationKind::Update(ticket), log);
        Ok(Outcome::Later)
    }

    pub(super) fn connect(&mut self, request: &ConnectRequest) -> Handled {
        let task_pid = self.tasks.get(&request.id).map_or(0, |task| task.init.pid);
        reply(&ConnectResponse {
            shim_pid: std::process::id(),
            task_pid,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }

    pub(super) fn shutdown(&mut self, request: &ShutdownRequest) -> Handled {
        if self.tasks.is_empty() || request.now {
            self.ending = true;
        }
        reply(&Empty {})
    }
}

/// Sends a signal to a child of ours, whose pid cannot be another's before we have reaped it. `None` for
/// real-time signals, which are left to the runtime.
fn send_signal(pid: u32, signal: u32) -> Option<Result<(), Status>> {
    let number = i32::try_from(signal).ok()?;
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw)?;
    let sent = match number {
        0 => rustix::process::test_kill_process(pid),
        number => kill_process(pid, Signal::from_named_raw(number)?),
    };
    Some(sent.map_err(|error| match error {
        rustix::io::Errno::SRCH => not_found("process already finished"),
        error => status_of("send the signal", &error),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_time_signal_is_left_to_the_runtime() {
        assert!(send_signal(std::process::id(), 37).is_none());
        assert!(matches!(send_signal(std::process::id(), 0), Some(Ok(()))));
    }
}
