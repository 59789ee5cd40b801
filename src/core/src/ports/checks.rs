//! Asking a container: what probes and hooks need.

use std::future::Future;
use std::time::Duration;

use pinnace_api::{ContainerName, PodUid};

/// The instance that is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckTarget {
    /// The pod's UID.
    pub uid: PodUid,
    /// The container.
    pub name: ContainerName,
    /// The instance.
    pub attempt: u32,
    /// Who asks, which servers see in the request.
    pub by: CheckedBy,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckedBy {
    /// A probe.
    Probe,
    /// A hook.
    Hook,
}

/// What is asked; ports by number, hosts as they are to be reached from the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckAction {
    /// Runs a program in the container: exit code 0 is success.
    Exec(Vec<String>),
    /// A GET: a status from 200 to 399 is success, and of a hook every status.
    HttpGet {
        /// An address or a name.
        host: String,
        /// The port.
        port: u16,
        /// Path and query.
        path: String,
        /// TLS, its certificate unchecked.
        https: bool,
        /// Further headers in order.
        headers: Vec<(String, String)>,
    },
    /// A connection that is accepted is success.
    TcpSocket {
        /// An address or a name.
        host: String,
        /// The port.
        port: u16,
    },
    /// `grpc.health.v1.Health/Check`: `SERVING` is success.
    Grpc {
        /// An address or a name.
        host: String,
        /// The port.
        port: u16,
        /// The service that is asked for; may be empty.
        service: String,
    },
}

/// What came of it; texts are short, whatever the container answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckOutcome {
    /// All is well.
    Success,
    /// It is, but somebody should look.
    Warning(String),
    /// It is not well.
    Failure(String),
    /// The question could not be asked.
    Unknown(String),
}

/// Questions to containers. They hold up nobody: what hangs ends with its time, and what floods is cut.
pub trait Checks: Send + Sync + 'static {
    /// Asks once. Without a time it lasts as long as the answer takes, and ends with the future.
    fn check(
        &self,
        target: &CheckTarget,
        action: &CheckAction,
        within: Option<Duration>,
    ) -> impl Future<Output = CheckOutcome> + Send;
}
