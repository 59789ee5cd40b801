//! The HTTP faces of the agent.
//!
//! | module | face | who may |
//! | --- | --- | --- |
//! | [`metrics`] | TCP, GET and HEAD: `/metrics`, `/healthz`, `/readyz`, a page | anybody who reaches the address |
//! | [`control`] | a Unix socket, JSON: what the command line asks and orders | root and the agent's own user |
//! | [`listen`] | opens the TCP listeners, and says what is wrong with an address | |
//!
//! The faces know the node only as two traits, [`MetricsFace`] and [`NodeFace`], which the program implements.
//! What comes from outside is bounded: connections, header size, body size, and the time that a peer may
//! take to ask or to read. A slow or greedy peer loses its connection before it costs another peer its own.

pub mod control;
pub mod listen;
pub mod metrics;

mod slots;
mod stall;

pub use control::{
    Client, ClientError, ControlError, ControlServer, DrainRequest, ExecAnswer, ExecRequest, FaceError,
    FaceResult, NodeFace, Status,
};
pub use listen::{ListenError, bind_tcp};
pub use metrics::{MetricsFace, MetricsLimits, MetricsServer, PodLine, ScrapeFailed};
