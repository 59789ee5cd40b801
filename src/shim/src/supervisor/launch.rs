//! Processes are launched by the OCI runtime's `create` and `exec`, which differ little: streams, maybe a
//! logging program first, maybe a terminal, then the runtime, then the pid that it wrote.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};

use super::Supervisor;
use super::handover::Console;
use super::operations::OperationKind;
use super::streams::Stream;
use super::task::{Process, ProcessIo, ProcessKey, Task};
use crate::chain::chain;
use crate::logs::{Pump, StreamName};
use crate::protocol::{Code, Status};
use crate::relay::Relay;
use crate::stdio::{LoggerOrder, Streams, TerminalOutput};

/// How long a logging program may take to be ready; containerd's own limit.
const LOGGER_LIMIT: Duration = Duration::from_secs(10);
const MAX_PID_FILE_BYTES: u64 = 32;

fn failed(what: &str, error: &dyn std::error::Error) -> Status {
    Status::new(Code::Unknown, format!("{what}: {}", chain(error)))
}

/// An error with its causes as a status of code UNKNOWN.
pub fn status_of(what: &str, error: &(dyn std::error::Error + 'static)) -> Status {
    failed(what, error)
}

impl Supervisor {
    /// Opens a process's streams and launches it, after its logging program where there is one. The process
    /// must be in its table and marked busy, with the ticket of who asked.
    pub(super) fn prepare_and_launch(&mut self, key: &ProcessKey) {
        match self.prepare(key) {
            Ok(true) => self.launch(key),
            Ok(false) => {}
            Err(status) => self.launch_failed(key, status),
        }
    }

    /// True where the launch need not wait.
    fn prepare(&mut self, key: &ProcessKey) -> Result<bool, Status> {
        let owner = self.task(&key.task)?.owner;
        let process = self.process(key)?;
        let opened =
            Streams::open(&process.spec, owner).map_err(|e| failed("open the standard streams", &e))?;
        let mut io = ProcessIo {
            child: Some(opened.child),
            stdin_writer: opened.stdin_writer,
            readers: opened.readers,
            terminal_input: opened.terminal_input,
            terminal_output: opened.terminal_output,
            client: process.io.client,
            ..ProcessIo::default()
        };
        if process.spec.terminal {
            let mut path = self.settings.socket.clone().into_os_string();
            path.push(format!(".tty{}", self.next_serial()));
            io.console =
                Some(Console::bind(path.into()).map_err(|e| failed("make the terminal's socket", &e))?);
        }
        for pump in opened.pumps {
            io.streams.push(self.watch(Stream::Pump(pump))?);
        }
        let wait = opened.logger.is_some();
        self.process_mut(key)?.io = io;
        if let Some(order) = opened.logger {
            self.start_logger(key, order)?;
        }
        Ok(!wait)
    }

    fn watch(&mut self, stream: Stream) -> Result<u32, Status> {
        let id = self.next_serial();
        let added = self.streams.add(id, stream, &self.reactor);
        added.map_err(|e| failed("watch a stream", &e))?;
        Ok(id)
    }

    fn start_logger(&mut self, key: &ProcessKey, order: LoggerOrder) -> Result<(), Status> {
        let pipe = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC);
        let (ready, writer) = pipe.map_err(|e| failed("make a pipe", &e))?;
        let mut command = Command::new(&order.program);
        command.args(&order.arguments).stdin(Stdio::null());
        command.env("CONTAINER_ID", &key.task);
        command.env("CONTAINER_NAMESPACE", &self.settings.namespace);
        let [stdout, stderr] = order.streams;
        let spawned = self.descriptors.spawn(&mut command, &[stdout, stderr, writer]);
        spawned.map_err(|e| failed(&format!("start the logger {}", order.program.display()), &e))?;
        let deadline = Instant::now() + LOGGER_LIMIT;
        let process = key.clone();
        let id = self.watch(Stream::Logger {
            ready,
            process,
            deadline,
        })?;
        self.process_mut(key)?.io.streams.push(id);
        Ok(())
    }

    /// Runs the OCI runtime for a process whose streams are there.
    pub(super) fn launch(&mut self, key: &ProcessKey) {
        let log = self.runtime_log(key);
        let spawned = log.and_then(|log| {
            let mut command = self.launch_command(key, &log)?;
            let child = command.spawn();
            let what = format!("run {}", command.get_program().to_string_lossy());
            Ok((child.map_err(|e| failed(&what, &e))?.id(), log))
        });
        match spawned {
            Ok((pid, log)) => self.begin(pid, key.clone(), OperationKind::Launch, log),
            Err(status) => self.launch_failed(key, status),
        }
    }

    /// A name for one call's messages.
    pub(super) fn runtime_log(&mut self, key: &ProcessKey) -> Result<PathBuf, Status> {
        let serial = self.next_serial();
        Ok(self.task(&key.task)?.bundle.join(format!("runtime-{serial}.log")))
    }

    fn launch_command(&mut self, key: &ProcessKey, log: &std::path::Path) -> Result<Command, Status> {
        let process = self.process_mut(key)?;
        let child = process.io.child.take();
        let console = process.io.console.as_ref().map(Console::path_for_runtime);
        let task = self.task(&key.task)?;
        let pid_file = pid_file(task, key);
        let _ = std::fs::remove_file(&pid_file);
        let mut command = if key.exec.is_empty() {
            task.runtime
                .create(log, &task.bundle, &pid_file, console.as_deref())
        } else {
            let document = exec_document(task, key);
            task.runtime.exec(log, &document, &pid_file, console.as_deref())
        };
        if let Some([stdin, stdout, stderr]) = child {
            command.stdin(stdin).stdout(stdout).stderr(stderr);
        }
        command.arg(&key.task);
        Ok(command)
    }

    /// The runtime has done its part: the process is there. Takes its pid and its terminal.
    pub(super) fn take_over(&mut self, key: &ProcessKey) -> Result<u32, Status> {
        let task = self.task(&key.task)?;
        let path = pid_file(task, key);
        let text = pinnace_sys::file::read_text(&path, MAX_PID_FILE_BYTES)
            .map_err(|e| failed("read the pid that the OCI runtime wrote", &e))?;
        let pid = text.trim().parse::<u32>().ok().filter(|pid| *pid > 1);
        let pid = pid.ok_or_else(|| {
            Status::new(
                Code::Internal,
                format!("the OCI runtime wrote {text:?} where a pid belongs"),
            )
        })?;
        self.process_mut(key)?.pid = pid;
        self.take_terminal(key)?;
        Ok(pid)
    }

    fn take_terminal(&mut self, key: &ProcessKey) -> Result<(), Status> {
        let io = &mut self.process_mut(key)?.io;
        let Some(console) = io.console.take() else {
            return Ok(());
        };
        let (input, output) = (io.terminal_input.take(), io.terminal_output.take());
        let wrong = |e: io::Error| failed("take over the terminal", &e);
        let terminal = console.receive().map_err(wrong)?;
        let (reader, writer) = nonblocking_pair(&terminal).map_err(wrong)?;
        let mut ids = Vec::new();
        ids.push(match output {
            Some(TerminalOutput::Log(log)) => self.watch(Stream::Pump(Pump::new(
                reader,
                StreamName::Stdout,
                Rc::clone(&log),
            )))?,
            Some(TerminalOutput::Descriptor(to)) => self.watch(Stream::Relay(Relay::new(reader, to)))?,
            Some(TerminalOutput::Nowhere) | None => {
                let flags = OFlags::WRONLY | OFlags::CLOEXEC;
                let null = rustix::fs::open("/dev/null", flags, Mode::empty());
                let null = null.map_err(|e| wrong(e.into()))?;
                self.watch(Stream::Relay(Relay::new(reader, null)))?
            }
        });
        if let Some(input) = input {
            ids.push(self.watch(Stream::Relay(Relay::new(input, writer)))?);
        }
        let io = &mut self.process_mut(key)?.io;
        io.streams.extend(ids);
        io.terminal = Some(terminal);
        Ok(())
    }

    /// Ends a process's streams; pumps write what they hold.
    pub(super) fn close_streams(&mut self, process: &mut Process) {
        let io = std::mem::take(&mut process.io);
        for id in &io.streams {
            self.streams.drain(*id, &self.reactor, &mut self.scratch);
            self.streams.remove(*id, &self.reactor);
        }
        self.scratch_used = Some(Instant::now());
    }
}

/// Two duplicates of a terminal; O_NONBLOCK belongs to the description, so one call serves all three.
fn nonblocking_pair(terminal: &OwnedFd) -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = rustix::fs::fcntl_getfl(terminal)? | OFlags::NONBLOCK;
    rustix::fs::fcntl_setfl(terminal, flags)?;
    Ok((
        terminal.as_fd().try_clone_to_owned()?,
        terminal.as_fd().try_clone_to_owned()?,
    ))
}

fn pid_file(task: &Task, key: &ProcessKey) -> PathBuf {
    match key.exec.as_str() {
        "" => task.bundle.join("init.pid"),
        exec => task.bundle.join(format!("exec-{exec}.pid")),
    }
}

/// Where an exec's process document is laid down for the runtime.
pub fn exec_document(task: &Task, key: &ProcessKey) -> PathBuf {
    task.bundle
        .join(OsString::from(format!("exec-{}.json", key.exec)))
}

/// Removes the files that were made for an exec's launch.
pub fn remove_exec_files(task: &Task, key: &ProcessKey) {
    let _ = std::fs::remove_file(exec_document(task, key));
    let _ = std::fs::remove_file(pid_file(task, key));
}
