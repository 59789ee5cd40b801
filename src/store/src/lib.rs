//! What must last: pods' records.
//!
//! ```text
//! <state>/pods/<uid>.json           identity   synced, renamed, directory synced: survives everything
//! <run>/pods/<uid>/progress.json    progress   renamed into place: survives the agent, not a reboot
//! <state>/damaged/<name>.<n>        what could not be read, set aside, with <name>.<n>.why beside it
//! ```
//!
//! A record is replaced whole or not at all, so one that cannot be read was damaged by something else. It is
//! set aside and reported, and never keeps the others from being read.

mod damaged;
mod error;
mod format;
mod records;

pub use records::RecordStore;
