//! The node's DNS server: names of Services and pods, everything else from the host's own servers.
//!
//! ```text
//!  a packet ──▶ query ──▶ zones (the published table) ──▶ answer ──▶ reply
//!    udp, tcp     │          │ an alias that leads outside          ▲
//!                 │          ▼                                      │
//!                 └──────▶ forward ──▶ cache, or one exchange ──▶ relayed
//!                                      with an upstream server
//! ```
//!
//! - What the table knows is answered at once, in the socket's own loop; a name outside of it that is not in the
//!   cache gets a task. The number of those tasks is bounded, as a whole and for each client; so are connections,
//!   messages, the cache and the time that a question may take.
//! - Until the first table is published, a question within the cluster's domain waits for it, up to a limit: after
//!   a restart a name is answered late, not never.
//! - A client never learns anything of an upstream server but the answer to its question: identifiers and ports
//!   are the server's own, random for each exchange, and an answer that does not fit them is not one.

mod answer;
mod cache;
mod config;
mod error;
mod forward;
mod limits;
mod message;
mod record;
mod relayed;
mod reply;
mod resolv_conf;
mod server;
mod shuffle;
mod sockets;
mod tcp;
mod udp;
mod upstream;
mod zones;

#[cfg(test)]
mod tests;

pub use config::DnsConfig;
pub use error::DnsError;
pub use server::{Dns, Serving};
pub use sockets::DnsSockets;
