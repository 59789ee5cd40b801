//! The rules on hosts of the tests' own: real packets through real tables.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

mod bay;
mod guard;
mod host_ports;
mod many;
mod policies;
mod restart;
mod services;
#[allow(dead_code, reason = "the tests of links use the rest")]
#[path = "../links/world.rs"]
mod world;
