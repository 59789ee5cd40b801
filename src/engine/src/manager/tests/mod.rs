//! What the manager and its workers promise, on a machine in memory and with a clock that jumps.

mod adoption;
mod edits;
