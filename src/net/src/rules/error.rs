//! Why rules could not be laid down or looked at.

use std::time::Duration;

use pinnace_sys::SysError;

/// What an operation on the rules failed of.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The host refused.
    #[error(transparent)]
    Host(#[from] SysError),
    /// The program `nft` cannot be started.
    #[error("start nft (package nftables)")]
    NoProgram(#[source] std::io::Error),
    /// It did not end.
    #[error("nft did not end within {} s", .limit.as_secs())]
    Hangs {
        /// How long it was waited for.
        limit: Duration,
    },
    /// It refused the table.
    #[error("nft refused the table: {said}")]
    Refused {
        /// The first line of what it said.
        said: String,
    },
    /// The kernel lacks a piece that the table is made of.
    #[error("the kernel cannot {what} ({option}{})", .module.map(|name| format!(", module {name}")).unwrap_or_default())]
    Lacks {
        /// What the piece is for.
        what: &'static str,
        /// The kernel's option, or the version since which it is there.
        option: &'static str,
        /// The module that it is in, where it is in one of its own.
        module: Option<&'static str>,
    },
    /// A host port belongs to another pod.
    #[error("host port {port} is held by pod {holder}")]
    HostPortTaken {
        /// The port, as `TCP/80`.
        port: String,
        /// The pod's UID.
        holder: String,
    },
}
