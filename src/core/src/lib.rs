//! Decisions only: what should happen, never how.
//!
//! Nothing here reads a clock, a file or a socket. Every function takes snapshots and returns data; the
//! adapters behind [`ports`] act. That is why the pod's machine can be tested against random histories with
//! a crash after any action.
//!
//! | module | decides |
//! | --- | --- |
//! | [`pod`] | which actions bring a pod from what is seen to what is wanted, and what its status is |
//! | [`admission`] | whether a pod belongs on this node, and in which words it does not |
//! | [`controllers`] | which pods a DaemonSet makes here |
//! | [`resources`] | requests and limits as the kernel's values; QoS; oom_score_adj |
//! | [`config`] | what may be set, whether it is right, and what a reload changes |
//! | [`node`] | what this node is: labels, taints, capacity, allocatable |
//! | [`environment`] | variables, command and arguments of a container |
//! | [`objects`] | which ConfigMaps and Secrets there are to take from |
//! | [`payload`] | what files the volumes hold that the node writes |
//! | [`network`] | addresses, Services, policies and names, as tables |
//! | [`probe`] | when probes ask, and what their answers come to |
//! | [`ports`] | what the adapters must be able to do |

pub mod admission;
pub mod config;
pub mod controllers;
pub mod environment;
pub mod event;
#[cfg(any(test, feature = "testing"))]
pub mod fake;
pub mod host;
pub mod network;
pub mod node;
pub mod objects;
pub mod payload;
pub mod pod;
pub mod ports;
pub mod probe;
pub mod resources;
pub mod time;
