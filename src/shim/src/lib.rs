//! The per-pod supervisor, and the protocol that the agent and every shim speak.

pub mod logs;
pub mod protocol;
