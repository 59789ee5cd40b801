//! The face for the command line: HTTP/1 with JSON on a Unix socket that only root may use.
//!
//! | method and path | answer |
//! | --- | --- |
//! | `GET /v1/pods[?namespace=N]` | a PodList |
//! | `GET /v1/pods/{namespace}/{name}` | a Pod |
//! | `GET /v1/daemonsets[?namespace=N]` | a DaemonSetList |
//! | `GET /v1/services[?namespace=N]` | a ServiceList |
//! | `GET /v1/endpoints[?namespace=N]` | an EndpointsList |
//! | `GET /v1/endpointslices[?namespace=N]` | an EndpointSliceList |
//! | `GET /v1/node` | the Node |
//! | `GET /v1/events[?namespace=N]` | an EventList |
//! | `GET /v1/problems` | what is wrong with manifests |
//! | `GET /v1/readyz` | `{"ready": true}`, or a Status with code 503 |
//! | `POST /v1/drain` | a [`DrainRequest`]; answers when the pods have ended |
//! | `POST /v1/exec` | an [`ExecRequest`]; answers an [`ExecAnswer`] when the command has ended |
//! | `POST /v1/images/reload` | looks for new image archives now |
//! | `POST /v1/reload` | reads configuration and sources again now |
//!
//! Errors are Kubernetes' own: a [`Status`] object with reason and code. A peer is known by its credentials
//! on the socket (SO_PEERCRED), besides the socket's mode 0600.

mod client;
mod face;
mod request;
mod route;
mod server;
mod socket;
mod status;

pub use client::{Client, ClientError};
pub use face::{FaceResult, NodeFace};
pub use request::{DrainRequest, ExecAnswer, ExecRequest};
pub use server::{ControlError, ControlServer};
pub use status::{FaceError, Status, StatusDetails};
