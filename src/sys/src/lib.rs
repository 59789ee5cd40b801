//! The kernel, as the rest of the program sees it.
//!
//! All `unsafe` of the project is in this crate, each with its reason. Nothing here decides anything: each
//! function does one thing to the host, idempotently where the kernel allows it, and says on what it failed.
//! All functions block; none of them waits for anything but the kernel, except where a time limit is given.
//!
//! | module | does |
//! | --- | --- |
//! | [`layout`] | where everything lies under one root |
//! | [`file`](mod@file) | atomic and durable writes, bounded reads, locks |
//! | [`tree`] | removal of whole trees, never through a link or across a mount |
//! | [`usage`] | what a tree takes on its file system |
//! | [`path`] | opening and making paths beneath a directory descriptor |
//! | [`mount`] | overlays, tmpfs, binds, the list of mounts |
//! | [`inherited`] | descriptors that systemd hands over
//! | [`namespace`] | namespaces pinned to files |
//! | [`netlink`] | requests to the kernel's network, and its answers |
//! | [`process`] | pidfds, start times, oom_score_adj, capabilities |
//! | [`cgroup`] | control groups of both versions |
//! | [`clock`] | the boot-time clock, the wall clock, the boot's id |
//! | [`random`] | UUIDs |

pub mod cgroup;
pub mod clock;
mod error;
pub mod file;
pub mod inherited;
pub mod layout;
pub mod mount;
pub mod namespace;
pub mod netlink;
pub mod path;
pub mod process;
pub mod random;
pub mod tree;
pub mod usage;

pub use error::{Doing, SysError, SysResult};
pub use layout::Layout;
