//! The per-pod supervisor's library: the protocol that the agent and every shim speak.

pub mod protocol;
