//! The server of the control face.

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::face::NodeFace;
use super::route::{Route, route};
use super::socket;
use super::status::FaceError;
use crate::stall::Stall;

/// Connections at a time; the peers are root's own, so one more waits.
const CONNECTIONS: usize = 64;
/// Requests are small.
const BODY_LIMIT: usize = 1024 * 1024;
/// A body that is too large is read so far, to be refused in a way that its sender sees.
const BODY_DISCARDED: usize = 16 * BODY_LIMIT;
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why the control face cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The socket cannot be made.
    #[error("listen on the control socket {}", path.display())]
    Listen {
        /// Where it should be.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// Serves one [`NodeFace`] on a Unix socket.
pub struct ControlServer {
    listener: UnixListener,
}

impl ControlServer {
    /// Listens on `socket`, taking the place of a dead agent's; the caller holds the root's lock. Must be
    /// called within a tokio runtime.
    pub fn bind(socket: &Path) -> Result<Self, ControlError> {
        let listener = socket::listen(socket).map_err(|source| ControlError::Listen {
            path: socket.to_owned(),
            source,
        })?;
        Ok(Self { listener })
    }

    /// Serves until the future is dropped; then all requests under way are cancelled.
    pub async fn serve<F: NodeFace>(self, face: Arc<F>) {
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            // Never closed, so this fails never.
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                return;
            };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, Arc::clone(&face), permit));
                }
                Err(error) => {
                    tracing::warn!(%error, "accept a connection of the control face");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
            while connections.try_join_next().is_some() {}
        }
    }
}

/// Whether the peer is root or the agent's own user.
fn is_allowed(stream: &UnixStream) -> bool {
    match stream.peer_cred() {
        Ok(peer) if peer.uid() == 0 || peer.uid() == rustix::process::geteuid().as_raw() => true,
        Ok(peer) => {
            tracing::warn!(
                uid = peer.uid(),
                pid = peer.pid(),
                "refuse a peer of the control face"
            );
            false
        }
        Err(error) => {
            tracing::warn!(%error, "ask for the credentials of a peer of the control face");
            false
        }
    }
}

async fn converse<F: NodeFace>(stream: UnixStream, face: Arc<F>, _permit: OwnedSemaphorePermit) {
    if !is_allowed(&stream) {
        return;
    }
    let service = hyper::service::service_fn(|request| {
        let face = Arc::clone(&face);
        async move { Ok::<_, Infallible>(respond(face.as_ref(), request).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(Stall::new(stream, WRITE_TIMEOUT)), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection of the control face ended early");
    }
}

async fn respond<F: NodeFace>(face: &F, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (code, value) = match perform(face, request).await {
        Ok(value) => (StatusCode::OK, value),
        Err(error) => (error.code(), json!(error.status())),
    };
    let mut response = Response::new(Full::new(Bytes::from(value.to_string())));
    *response.status_mut() = code;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

async fn perform<F: NodeFace>(face: &F, request: Request<Incoming>) -> Result<Value, FaceError> {
    let route = route(request.method(), request.uri().path(), request.uri().query())?;
    match route {
        Route::Pods(namespace) => face.pods(namespace).await,
        Route::Pod(namespace, name) => face.pod(namespace, name).await,
        Route::DaemonSets(namespace) => face.daemonsets(namespace).await,
        Route::Services(namespace) => face.services(namespace).await,
        Route::Endpoints(namespace) => face.endpoints(namespace).await,
        Route::EndpointSlices(namespace) => face.endpoint_slices(namespace).await,
        Route::ConfigMaps(namespace) => face.config_maps(namespace).await,
        Route::Secrets(namespace) => face.secrets(namespace).await,
        Route::Node => face.node().await,
        Route::Events(namespace) => face.events(namespace).await,
        Route::Problems => face.problems().await,
        Route::Ready => match face.ready() {
            Ok(()) => Ok(json!({"ready": true})),
            Err(why) => Err(FaceError::Unavailable { why }),
        },
        Route::Drain => face.drain(read(request).await?).await,
        Route::Exec => {
            let wanted: super::ExecRequest = read(request).await?;
            if wanted.command.is_empty() {
                return Err(FaceError::BadRequest {
                    why: "you must specify at least one command for the container".into(),
                });
            }
            Ok(json!(face.exec(wanted).await?))
        }
        Route::ReloadImages => face.reload_images().await,
        Route::Reload => face.reload().await,
    }
}

async fn read<T: serde::de::DeserializeOwned>(request: Request<Incoming>) -> Result<T, FaceError> {
    let bytes = tokio::time::timeout(BODY_TIMEOUT, collect(request.into_body()))
        .await
        .map_err(|_| FaceError::BadRequest {
            why: "the request's body did not arrive in time".into(),
        })??;
    serde_json::from_slice(&bytes).map_err(|error| FaceError::BadRequest {
        why: format!("the request's body cannot be read: {error}"),
    })
}

/// The body, up to its limit. A larger one is read on for a while and thrown away, since a peer that is still
/// writing would not see the refusal.
async fn collect(mut body: Incoming) -> Result<Vec<u8>, FaceError> {
    let (mut bytes, mut seen) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| FaceError::BadRequest {
            why: format!("the request's body was cut off: {error}"),
        })?;
        let Some(data) = frame.data_ref() else { continue };
        seen += data.len();
        if seen <= BODY_LIMIT {
            bytes.extend_from_slice(data);
        } else if seen > BODY_DISCARDED {
            break;
        }
    }
    if seen > BODY_LIMIT {
        return Err(FaceError::TooLarge { limit: BODY_LIMIT });
    }
    Ok(bytes)
}
