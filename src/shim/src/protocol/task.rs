//! Messages and methods of `containerd.task.v2.Task`; v3 has the same under another name.

use std::collections::HashMap;

use super::wellknown::{Any, Timestamp};

/// Full name of the service, version 2.
pub const TASK_V2: &str = "containerd.task.v2.Task";
/// Full name of the service, version 3.
pub const TASK_V3: &str = "containerd.task.v3.Task";

macro_rules! methods {
    ($($name:ident = $text:literal,)*) => {
        /// The methods of the Task service.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs)]
        pub enum Method { $($name,)* }

        impl Method {
            /// All of them.
            pub const ALL: &'static [Method] = &[$(Method::$name,)*];

            /// The name on the wire.
            pub fn name(self) -> &'static str {
                match self { $(Method::$name => $text,)* }
            }

            /// The method of a name.
            pub fn from_name(name: &str) -> Option<Method> {
                match name { $($text => Some(Method::$name),)* _ => None }
            }
        }
    };
}

methods! {
    State = "State", Create = "Create", Start = "Start", Delete = "Delete", Pids = "Pids", Pause = "Pause",
    Resume = "Resume", Checkpoint = "Checkpoint", Kill = "Kill", Exec = "Exec", ResizePty = "ResizePty",
    CloseIo = "CloseIO", Update = "Update", Wait = "Wait", Stats = "Stats", Connect = "Connect",
    Shutdown = "Shutdown",
}

/// `containerd.v1.types.Status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum TaskStatus {
    /// Not told.
    Unknown = 0,
    /// Set up, its program not yet started.
    Created = 1,
    /// Its program runs.
    Running = 2,
    /// It has ended.
    Stopped = 3,
    /// Frozen.
    Paused = 4,
    /// About to be frozen.
    Pausing = 5,
}

/// Create: sets a container up, its program not yet started.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct CreateTaskRequest {
    /// The task.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Its bundle, an absolute path.
    #[prost(string, tag = "2")]
    pub bundle: String,
    /// Mounts to make at the bundle's `rootfs`; pinnace makes them itself and sends none.
    #[prost(message, repeated, tag = "3")]
    pub rootfs: Vec<Mount>,
    /// A terminal is wanted; stdout carries all of its output.
    #[prost(bool, tag = "4")]
    pub terminal: bool,
    /// Path of a fifo, or empty.
    #[prost(string, tag = "5")]
    pub stdin: String,
    /// Path of a fifo, `file://`, `binary://`, `pinnace-log://`, or empty.
    #[prost(string, tag = "6")]
    pub stdout: String,
    /// As stdout.
    #[prost(string, tag = "7")]
    pub stderr: String,
    /// Checkpoint to restore from.
    #[prost(string, tag = "8")]
    pub checkpoint: String,
    /// Its parent.
    #[prost(string, tag = "9")]
    pub parent_checkpoint: String,
    /// Usually `containerd.runc.v1.Options`.
    #[prost(message, optional, tag = "10")]
    pub options: Option<Any>,
}

/// Answer of Create.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct CreateTaskResponse {
    /// The first process.
    #[prost(uint32, tag = "1")]
    pub pid: u32,
}

/// Delete: forgets a task or exec that has ended.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct DeleteRequest {
    /// The task.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The exec, empty for the task.
    #[prost(string, tag = "2")]
    pub exec_id: String,
}

/// Answer of Delete.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct DeleteResponse {
    /// The process.
    #[prost(uint32, tag = "1")]
    pub pid: u32,
    /// Exit code, 128 + signal.
    #[prost(uint32, tag = "2")]
    pub exit_status: u32,
    /// When it ended.
    #[prost(message, optional, tag = "3")]
    pub exited_at: Option<Timestamp>,
}

/// Exec: prepares a further process in a task; Start runs it.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ExecProcessRequest {
    /// The task.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The exec's own id.
    #[prost(string, tag = "2")]
    pub exec_id: String,
    /// A terminal is wanted.
    #[prost(bool, tag = "3")]
    pub terminal: bool,
    /// Path of a fifo, or empty.
    #[prost(string, tag = "4")]
    pub stdin: String,
    /// As Create's.
    #[prost(string, tag = "5")]
    pub stdout: String,
    /// As Create's.
    #[prost(string, tag = "6")]
    pub stderr: String,
    /// OCI process document, JSON.
    #[prost(message, optional, tag = "7")]
    pub spec: Option<Any>,
}

/// ResizePty.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ResizePtyRequest {
    /// The task.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The exec, empty for the task.
    #[prost(string, tag = "2")]
    pub exec_id: String,
    /// Columns.
    #[prost(uint32, tag = "3")]
    pub width: u32,
    /// Rows.
    #[prost(uint32, tag = "4")]
    pub height: u32,
}

/// State.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct StateRequest {
    /// The task.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The exec, empty for the task.
    #[prost(string, tag = "2")]
    pub exec_id: String,
}

/// Answer of State.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct StateResponse {
    /// The task; for an exec, its id.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Its bundle.
    #[prost(string, tag = "2")]
    pub bundle: String,
    /// Its process.
    #[prost(uint32, tag = "3")]
    pub pid: u32,
    /// Where it stands.
    #[prost(enumeration = "TaskStatus", tag = "4")]
    pub status: i32,
    /// As given.
    #[prost(string, tag = "5")]
    pub stdin: String,
    /// As given.
    #[prost(string, tag = "6")]
    pub stdout: String,
    /// As given.
    #[prost(string, tag = "7")]
    pub stderr: String,
    /// As given.
    #[prost(bool, tag = "8")]
    pub terminal: bool,
    /// Exit code, once stopped.
    #[prost(uint32, tag = "9")]
    pub exit_status: u32,
    /// When it ended.
    #[prost(message, optional, tag = "10")]
    pub exited_at: Option<Timestamp>,
    /// The exec, empty for the task.
    #[prost(string, tag = "11")]
    pub exec_id: String,
}

/// Kill: sends a signal.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct KillRequest {
    /// The task.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The exec, empty for the task.
    #[prost(string, tag = "2")]
    pub exec_id: String,
    /// Its number.
    #[prost(uint32, tag = "3")]
    pub signal: u32,
    /// To every process of the task.
    #[prost(bool, tag = "4")]
    pub all: bool,
}

/// CloseIO: no more input will come.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct CloseIoRequest {
    /// The task.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The exec, empty for the task.
    #[prost(string, tag = "2")]
    pub exec_id: String,
    /// Close the input.
    #[prost(bool, tag = "3")]
    pub stdin: bool,
}

/// Pids.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct PidsRequest {
    /// The task.
    #[prost(string, tag = "1")]
    pub id: String,
}

/// Answer of Pids.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct PidsResponse {
    /// All processes of the task's cgroup.
    #[prost(message, repeated, tag = "1")]
    pub processes: Vec<ProcessInfo>,
}

/// A process of a task.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ProcessInfo {
    /// Its id.
    #[prost(uint32, tag = "1")]
    pub pid: u32,
    /// `containerd.runc.v1.ProcessDetails` for an exec's process.
    #[prost(message, optional, tag = "2")]
    pub info: Option<Any>,
}

/// Checkpoint.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct CheckpointTaskRequest {
    /// The task.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Where to.
    #[prost(string, tag = "2")]
    pub path: String,
    /// How.
    #[prost(message, optional, tag = "3")]
    pub options: Option<Any>,
}

/// Update: changes limits.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct UpdateTaskRequest {
    /// The task.
    #[prost(string, tag = "1")]
    pub id: String,
    /// OCI resources document, JSON.
    #[prost(message, optional, tag = "2")]
    pub resources: Option<Any>,
    /// More of it.
    #[prost(map = "string, string", tag = "3")]
    pub annotations: HashMap<String, String>,
}

/// Start: runs the program of a created task or a prepared exec.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct StartRequest {
    /// The task.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The exec, empty for the task.
    #[prost(string, tag = "2")]
    pub exec_id: String,
}

/// Answer of Start.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct StartResponse {
    /// The process.
    #[prost(uint32, tag = "1")]
    pub pid: u32,
}

/// Wait: answered when the process has ended.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct WaitRequest {
    /// The task.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The exec, empty for the task.
    #[prost(string, tag = "2")]
    pub exec_id: String,
}

/// Answer of Wait.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct WaitResponse {
    /// Exit code, 128 + signal.
    #[prost(uint32, tag = "1")]
    pub exit_status: u32,
    /// When it ended.
    #[prost(message, optional, tag = "2")]
    pub exited_at: Option<Timestamp>,
}

/// Stats.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct StatsRequest {
    /// The task.
    #[prost(string, tag = "1")]
    pub id: String,
}

/// Answer of Stats.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct StatsResponse {
    /// Metrics of the cgroup.
    #[prost(message, optional, tag = "1")]
    pub stats: Option<Any>,
}

/// Connect: who serves this task?
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ConnectRequest {
    /// The task, or empty.
    #[prost(string, tag = "1")]
    pub id: String,
}

/// Answer of Connect.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ConnectResponse {
    /// The shim's process.
    #[prost(uint32, tag = "1")]
    pub shim_pid: u32,
    /// The task's first process, 0 where there is none.
    #[prost(uint32, tag = "2")]
    pub task_pid: u32,
    /// The shim's own version.
    #[prost(string, tag = "3")]
    pub version: String,
}

/// Shutdown: ends the shim where it has no tasks.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ShutdownRequest {
    /// The task on whose behalf.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Even with tasks.
    #[prost(bool, tag = "2")]
    pub now: bool,
}

/// Pause.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct PauseRequest {
    /// The task.
    #[prost(string, tag = "1")]
    pub id: String,
}

/// Resume.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ResumeRequest {
    /// The task.
    #[prost(string, tag = "1")]
    pub id: String,
}

/// `containerd.types.Mount`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Mount {
    /// File system type.
    #[prost(string, tag = "1")]
    pub r#type: String,
    /// Source.
    #[prost(string, tag = "2")]
    pub source: String,
    /// Target below the root file system.
    #[prost(string, tag = "3")]
    pub target: String,
    /// Options as in fstab.
    #[prost(string, repeated, tag = "4")]
    pub options: Vec<String>,
}
