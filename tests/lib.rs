//! A whole node for tests: the real agent, the real shim, the real OCI runtime, under a root of its own.
//!
//! Tests run in parallel, each on its own [`Node`]; what a node leaves on the host is found by its root
//! alone ([`leaks`]). Whatever is missing (root, a program) fails the test with the reason.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

pub mod dig;
pub mod dns;
pub mod http;
pub mod images;
pub mod leaks;
pub mod manifest;
pub mod named;
pub mod network;
pub mod node;
pub mod process;
pub mod sample;
pub mod wait;

pub use node::Node;
pub use wait::wait_for;
