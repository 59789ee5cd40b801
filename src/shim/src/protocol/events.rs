//! What a shim tells the agent unasked: `containerd.services.events.ttrpc.v1.Events/Forward`.

use super::task::Mount;
use super::wellknown::{Any, Timestamp};

/// Full name of the service that takes events.
pub const EVENTS_SERVICE: &str = "containerd.services.events.ttrpc.v1.Events";
/// Its one method; the answer is an Empty.
pub const FORWARD: &str = "Forward";

/// `ForwardRequest`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ForwardRequest {
    /// The event.
    #[prost(message, optional, tag = "1")]
    pub envelope: Option<Envelope>,
}

/// `containerd.types.Envelope`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Envelope {
    /// When it happened.
    #[prost(message, optional, tag = "1")]
    pub timestamp: Option<Timestamp>,
    /// containerd's namespace, as the shim was started with.
    #[prost(string, tag = "2")]
    pub namespace: String,
    /// Such as `/tasks/exit`.
    #[prost(string, tag = "3")]
    pub topic: String,
    /// One of the messages below.
    #[prost(message, optional, tag = "4")]
    pub event: Option<Any>,
}

/// An event with the topic and the type name that it travels under.
pub trait Event: prost::Message {
    /// Such as `/tasks/exit`.
    const TOPIC: &'static str;
    /// Such as `containerd.events.TaskExit`.
    const TYPE_NAME: &'static str;
}

macro_rules! event {
    ($name:ident, $topic:literal, $type_name:literal) => {
        impl Event for $name {
            const TOPIC: &'static str = $topic;
            const TYPE_NAME: &'static str = $type_name;
        }
    };
}

/// A task was created.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct TaskCreate {
    /// The task.
    #[prost(string, tag = "1")]
    pub container_id: String,
    /// Its bundle.
    #[prost(string, tag = "2")]
    pub bundle: String,
    /// Mounts that the shim was asked to make.
    #[prost(message, repeated, tag = "3")]
    pub rootfs: Vec<Mount>,
    /// Its standard streams.
    #[prost(message, optional, tag = "4")]
    pub io: Option<TaskIo>,
    /// Checkpoint that it was restored from.
    #[prost(string, tag = "5")]
    pub checkpoint: String,
    /// Its first process.
    #[prost(uint32, tag = "6")]
    pub pid: u32,
}
event!(TaskCreate, "/tasks/create", "containerd.events.TaskCreate");

/// Standard streams as a Create named them.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct TaskIo {
    /// Path or URI.
    #[prost(string, tag = "1")]
    pub stdin: String,
    /// Path or URI.
    #[prost(string, tag = "2")]
    pub stdout: String,
    /// Path or URI.
    #[prost(string, tag = "3")]
    pub stderr: String,
    /// They are a terminal.
    #[prost(bool, tag = "4")]
    pub terminal: bool,
}

/// A task's program runs.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct TaskStart {
    /// The task.
    #[prost(string, tag = "1")]
    pub container_id: String,
    /// Its first process.
    #[prost(uint32, tag = "2")]
    pub pid: u32,
}
event!(TaskStart, "/tasks/start", "containerd.events.TaskStart");

/// A task was deleted.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct TaskDelete {
    /// The task.
    #[prost(string, tag = "1")]
    pub container_id: String,
    /// Its first process.
    #[prost(uint32, tag = "2")]
    pub pid: u32,
    /// Exit code, 128 + signal.
    #[prost(uint32, tag = "3")]
    pub exit_status: u32,
    /// When it ended.
    #[prost(message, optional, tag = "4")]
    pub exited_at: Option<Timestamp>,
    /// Empty for the task itself, else the exec.
    #[prost(string, tag = "5")]
    pub id: String,
}
event!(TaskDelete, "/tasks/delete", "containerd.events.TaskDelete");

/// A process of a task ended.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct TaskExit {
    /// The task.
    #[prost(string, tag = "1")]
    pub container_id: String,
    /// The task's id for its first process, else the exec's.
    #[prost(string, tag = "2")]
    pub id: String,
    /// The process.
    #[prost(uint32, tag = "3")]
    pub pid: u32,
    /// Exit code, 128 + signal.
    #[prost(uint32, tag = "4")]
    pub exit_status: u32,
    /// When it ended.
    #[prost(message, optional, tag = "5")]
    pub exited_at: Option<Timestamp>,
}
event!(TaskExit, "/tasks/exit", "containerd.events.TaskExit");

/// The kernel killed a process of the task for memory.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct TaskOom {
    /// The task.
    #[prost(string, tag = "1")]
    pub container_id: String,
}
event!(TaskOom, "/tasks/oom", "containerd.events.TaskOOM");

/// An exec was prepared.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct TaskExecAdded {
    /// The task.
    #[prost(string, tag = "1")]
    pub container_id: String,
    /// The exec.
    #[prost(string, tag = "2")]
    pub exec_id: String,
}
event!(
    TaskExecAdded,
    "/tasks/exec-added",
    "containerd.events.TaskExecAdded"
);

/// An exec's program runs.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct TaskExecStarted {
    /// The task.
    #[prost(string, tag = "1")]
    pub container_id: String,
    /// The exec.
    #[prost(string, tag = "2")]
    pub exec_id: String,
    /// Its process.
    #[prost(uint32, tag = "3")]
    pub pid: u32,
}
event!(
    TaskExecStarted,
    "/tasks/exec-started",
    "containerd.events.TaskExecStarted"
);

/// Wraps an event for [`FORWARD`].
pub fn forward<E: Event>(namespace: &str, at: Timestamp, event: &E) -> ForwardRequest {
    ForwardRequest {
        envelope: Some(Envelope {
            timestamp: Some(at),
            namespace: namespace.to_owned(),
            topic: E::TOPIC.to_owned(),
            event: Some(Any::pack(E::TYPE_NAME, event)),
        }),
    }
}
