//! containerd's shim API on the wire, for both ends and for any kind of I/O.
//!
//! - [`frame`]: ttrpc's framing, bytes in and frames out, no I/O of its own
//! - [`envelope`]: the request and response that a frame carries, and [`Status`]
//! - [`task`]: messages of `containerd.task.v2.Task` and `containerd.task.v3.Task` (the same shapes)
//! - [`events`]: what a shim forwards to `containerd.services.events.ttrpc.v1.Events`
//! - [`options`]: `containerd.runc.v1.Options`, the way a Create names its OCI runtime
//! - [`bootstrap`]: the answer of `SHIM start`, in its three forms
//! - [`wellknown`]: Google's Timestamp, Any and Empty
//!
//! Field numbers are containerd's. Unknown fields are passed over, as protobuf wants it.

pub mod bootstrap;
pub mod envelope;
pub mod events;
pub mod frame;
pub mod options;
pub mod task;
pub mod wellknown;

pub use bootstrap::{BootstrapParams, BootstrapResult, StartAnswerError};
pub use envelope::{Code, Request, Response, Status, decode_response, encode_request, encode_response};
pub use frame::{Decoder, Frame, FrameError, FrameKind, HEADER_LEN, MAX_DATA_LEN, encode_frame};
pub use task::{Method, TASK_V2, TASK_V3};
pub use wellknown::{Any, Empty, Timestamp};
