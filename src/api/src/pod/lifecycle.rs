//! What a container does at its start and its end, and when it is started again.

use super::probe::{HttpGet, TcpSocket};

/// `lifecycle` of a container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lifecycle {
    /// Just after the start; the container does not count as running before it is done.
    pub post_start: Option<Hook>,
    /// Before the stop signal, within the grace period.
    pub pre_stop: Option<Hook>,
    /// Instead of the image's, or SIGTERM: a signal's number.
    pub stop_signal: Option<StopSignal>,
}

/// What a hook does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hook {
    /// A program in the container.
    Exec(Vec<String>),
    /// A GET.
    HttpGet(HttpGet),
    /// A connection. The kubelet takes it and fails each: so does this node.
    TcpSocket(TcpSocket),
    /// A pause.
    Sleep {
        /// From 0 to the pod's grace period.
        seconds: u32,
    },
}

/// `stopSignal`, such as `SIGUSR1` or `SIGRTMIN+3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct StopSignal {
    /// Its number, 1 to 64.
    pub number: u8,
}

/// Where a container leaves a message about its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TerminationMessage {
    /// An absolute path in the container; `/dev/termination-log` by default.
    pub path: String,
    /// `FallbackToLogsOnError`: where the file is empty and the container failed, its log's end is the message.
    pub fall_back_to_logs: bool,
}

impl Default for TerminationMessage {
    fn default() -> Self {
        Self {
            path: "/dev/termination-log".to_owned(),
            fall_back_to_logs: false,
        }
    }
}

/// A rule of `restartPolicyRules`; the first that matches decides, and the container's policy where none does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartRule {
    /// What is done.
    pub action: RestartAction,
    /// Matches exit codes in `values`, or those that are not.
    pub is_in: bool,
    /// Exit codes.
    pub values: Vec<i32>,
}

/// What a restart rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartAction {
    /// The container is started again.
    Restart,
    /// All containers of the pod are started again, init containers first.
    RestartAllContainers,
}
