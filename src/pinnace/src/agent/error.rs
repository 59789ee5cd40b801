//! Why the agent cannot run: each kind names what was to be done and with what.

use std::io;
use std::path::PathBuf;

/// Why the agent cannot run.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The configuration has problems.
    #[error("the configuration is not good:\n{0}")]
    Config(String),
    /// Containers need root.
    #[error("the agent runs containers and needs root")]
    NotRoot,
    /// Another agent holds the root.
    #[error("another agent runs under root {root} (it holds {lock})")]
    SecondAgent {
        /// The root.
        root: PathBuf,
        /// The lock.
        lock: PathBuf,
    },
    /// `--node-name` is no name.
    #[error(transparent)]
    NodeName(#[from] pinnace_api::ident::IdentError),
    /// A directory, lock or clock of the host.
    #[error("prepare the node's directories")]
    Host(#[from] pinnace_sys::SysError),
    /// No name for the node.
    #[error(transparent)]
    Name(#[from] pinnace_core::node::NodeNameError),
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] pinnace_server::ListenError),
    /// An address is none.
    #[error("--metrics-listen {0:?} is no address such as 127.0.0.1:9100, [::1]:9100, :9100 or none")]
    Address(String),
    /// A URL is none.
    #[error("the manifest URL {0:?} is no http:// or https:// URL")]
    Url(String),
    /// A header of the configuration is none.
    #[error("staticPodURLHeader {0:?} is no HTTP header")]
    Header(String),
    /// The control socket.
    #[error(transparent)]
    Control(#[from] pinnace_server::ControlError),
    /// The image store.
    #[error("open the image store")]
    Images(#[from] pinnace_runtime::images::ImageError),
    /// No OCI runtime works, or the like.
    #[error("prepare the container runtime")]
    Runtime(#[from] pinnace_runtime::OpenError),
    /// What probes ask with.
    #[error("prepare probes")]
    Checks(#[from] super::checks::ConnectError),
    /// The agent's own metrics.
    #[error(transparent)]
    Metrics(#[from] pinnace_metrics::RegisterError),
    /// What collects metrics.
    #[error(transparent)]
    Exporter(#[from] pinnace_metrics::ExporterError),
    /// Threads, signals.
    #[error("set up the process")]
    Process(#[from] io::Error),
    /// The program's own place.
    #[error("find the shim beside the program")]
    Shim(#[source] io::Error),
}
