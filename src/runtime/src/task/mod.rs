//! The client of containerd's task API, of which every container operation consists.
//!
//! ```text
//! ShimClient (one per pod: address, version) ──opens lazily──▶ Connection ──▶ one tokio task per socket
//!      call(method, message, limit) ── stream id, oneshot ──────┘                 reads, writes, dispatches
//! ```
//!
//! Calls of one pod share a socket and do not wait for each other. A call may be dropped at any point: its
//! frame is either written whole or not at all, and a late answer is passed over. A socket that refuses or
//! breaks means that the shim is gone; a call that changes nothing is tried once more on a new socket.

mod client;
mod connection;

pub use client::{CallError, ShimAddress, ShimClient};
pub use connection::Connection;
