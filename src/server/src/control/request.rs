//! What the command line sends and gets besides Kubernetes' objects.

use std::path::PathBuf;

use pinnace_api::{ContainerName, Namespace, ObjectName};
use serde::{Deserialize, Serialize};

/// `POST /v1/drain`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DrainRequest {
    /// Ends the pods of DaemonSets too.
    #[serde(default)]
    pub all: bool,
    /// Overrides the pods' own grace periods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_period_seconds: Option<u32>,
    /// How long to wait for their end; without it, as long as it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
}

/// `POST /v1/exec`. The streams are fifos that the caller has made and holds open, so that their data passes
/// by the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExecRequest {
    /// The pod's namespace.
    pub namespace: Namespace,
    /// The pod.
    pub pod: ObjectName,
    /// The container; without it, the pod's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerName>,
    /// Program and arguments, at least one.
    pub command: Vec<String>,
    /// A terminal is wanted; then `stderr` is absent.
    #[serde(default)]
    pub tty: bool,
    /// Columns and rows of the terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal_size: Option<(u16, u16)>,
    /// Fifo that gives the standard input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<PathBuf>,
    /// Fifo that takes the standard output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout: Option<PathBuf>,
    /// Fifo that takes the standard error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr: Option<PathBuf>,
}

/// How a command of `exec` ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecAnswer {
    /// Its exit code; 128 and the signal's number where a signal ended it.
    pub exit_code: i32,
}
