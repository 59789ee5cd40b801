//! What must last: the records of the pods, of the node, and of what it gave to Services.
//!
//! ```text
//! <state>/pods/<uid>.json           identity   synced, renamed, directory synced: survives everything
//! <state>/node.json                 node       likewise: taints, evictions, a drain under way
//! <state>/services.json             Services   likewise: addresses and ports that they were given
//! <run>/pods/<uid>/progress.json    progress   renamed into place: survives the agent, not a reboot
//! <state>/damaged/<name>.<n>        what could not be read, set aside, with <name>.<n>.why beside it
//! ```
//!
//! A record is replaced whole or not at all, so one that cannot be read was damaged by something else. It is
//! set aside and reported, and never keeps the others from being read.

mod damaged;
mod error;
mod format;
mod node;
mod records;
mod services;

pub use records::RecordStore;
