//! What the manager and its workers promise, on a machine in memory and with a clock that jumps.

mod admission;
mod adoption;
mod contents;
mod daemonsets;
mod drain;
mod edits;
mod health;
mod history;
mod size;
mod taints;
mod trouble;
