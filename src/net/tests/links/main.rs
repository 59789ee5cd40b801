//! Pods' links on hosts of the tests' own: real namespaces, real packets.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

mod crash;
mod many;
mod repair;
mod settings;
mod traffic;
mod world;
