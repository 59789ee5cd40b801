//! The loops: sources in, workers out.
//!
//! ```text
//! source ──listing──▶ manager ──desired──▶ worker (one per pod) ──actions──▶ ports
//!   (directory, URL)     │  ▲                     │
//!                        │  └──── removed ◀───────┤
//!                        ▼                        ▼
//!                     catalog,                 status ──▶ board ──▶ command line, metrics
//!                     admission, controllers
//! ```
//!
//! | module | owns |
//! | --- | --- |
//! | [`source`] | reading manifests: which files, when they are still, what each holds |
//! | [`catalog`] | the one set of objects that all sources together want |
//! | [`manager`] | which pods exist: admission, DaemonSets, adoption, replacement, eviction |
//! | [`network`] | Services, policies and names, as pods and manifests change |
//! | [`worker`] | one pod's machine: observe, plan, act, look again |
//! | [`board`] | what everybody may read: statuses, events, problems, readiness |
//!
//! The engine knows adapters only as `pinnace_core::ports`; [`adapters::Adapters`] names the set of them.

pub mod adapters;
pub mod board;
pub mod catalog;
pub mod manager;
pub mod network;
pub mod source;
#[cfg(test)]
mod testing;
pub mod worker;
