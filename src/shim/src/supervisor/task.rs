//! What the shim knows of containers and their processes.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;

use super::calls::Call;
use super::connection::Ticket;
use super::handover::Console;
use crate::container_cgroup::ContainerCgroup;
use crate::oci::Runtime;
use crate::protocol::task::TaskStatus;
use crate::protocol::{Any, Timestamp};
use crate::stdio::{Spec, TerminalOutput};

/// Names a process: a task's first one where `exec` is empty, else an exec's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessKey {
    /// The task.
    pub task: String,
    /// The exec, or empty.
    pub exec: String,
}

/// A container.
#[derive(Debug)]
pub struct Task {
    pub bundle: PathBuf,
    pub runtime: Runtime,
    pub owner: (u32, u32),
    pub own_pid_namespace: bool,
    pub start_hooks: bool,
    pub cgroup: Option<ContainerCgroup>,
    pub init: Process,
    pub execs: BTreeMap<String, Exec>,
}

/// A further process of a container.
#[derive(Debug)]
pub struct Exec {
    pub document: Any,
    pub process: Process,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    pub code: u32,
    pub at: Timestamp,
}

/// A process, from the request for it until its Delete.
#[derive(Debug)]
pub struct Process {
    pub spec: Spec,
    pub status: TaskStatus,
    /// 0 before it is there.
    pub pid: u32,
    pub exit: Option<Exit>,
    /// Came while an operation was under way; takes effect when that is done.
    pub early_exit: Option<Exit>,
    /// An operation that changes its state is under way; calls wait.
    pub busy: bool,
    /// Who asked for the launch that is under way.
    pub launch_ticket: Option<Ticket>,
    pub waiting_calls: VecDeque<Call>,
    pub waiters: Vec<Ticket>,
    pub io: ProcessIo,
}

/// What a process holds of its streams, on our side.
#[derive(Debug, Default)]
pub struct ProcessIo {
    /// For the runtime, until it is started.
    pub child: Option<[Stdio; 3]>,
    /// Pumps and relays.
    pub streams: Vec<u32>,
    pub stdin_writer: Option<OwnedFd>,
    pub readers: Vec<OwnedFd>,
    pub console: Option<Console>,
    pub terminal_input: Option<OwnedFd>,
    pub terminal_output: Option<TerminalOutput>,
    pub terminal: Option<OwnedFd>,
    /// The gate that the process is held at during its Start.
    pub gate: Option<u32>,
    /// The client whose end also ends the wait for a reader of the fifos, and the process's input.
    pub client: Option<u32>,
}

impl Process {
    pub fn new(spec: Spec) -> Self {
        Self {
            spec,
            status: TaskStatus::Created,
            pid: 0,
            exit: None,
            early_exit: None,
            busy: false,
            launch_ticket: None,
            waiting_calls: VecDeque::new(),
            waiters: Vec::new(),
            io: ProcessIo::default(),
        }
    }

    /// It is there and was not reaped: its pid is its own.
    pub fn is_running(&self) -> bool {
        self.pid != 0 && self.exit.is_none() && self.early_exit.is_none()
    }
}
