//! The kernel, as the rest of the program sees it.
//!
//! All `unsafe` of the project is in this crate, each with its reason. Nothing here decides anything: each
//! function does one thing to the host, idempotently where the kernel allows it, and says on what it failed.

pub mod layout;

pub use layout::Layout;
