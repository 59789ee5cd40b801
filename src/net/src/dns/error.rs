//! Why the server does not listen.

use std::io;
use std::net::SocketAddr;

/// What preparing the server's sockets failed of.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// An address cannot be listened on.
    #[error("cannot listen for DNS on {address} ({transport})")]
    Listen {
        /// The address and port.
        address: SocketAddr,
        /// `UDP` or `TCP`.
        transport: &'static str,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A socket cannot be handed to the event loop.
    #[error("cannot serve DNS on a socket ({transport})")]
    Register {
        /// `UDP` or `TCP`.
        transport: &'static str,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}
