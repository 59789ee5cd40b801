//! The command line's side of the control socket.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde_json::Value;
use tokio::net::UnixStream;

use super::request::{DrainRequest, ExecAnswer, ExecRequest};
use super::socket;
use super::status::Status;

/// More than any list of a node's pods takes.
const ANSWER_LIMIT: usize = 64 * 1024 * 1024;
/// For requests that only look.
const LOOK_TIMEOUT: Duration = Duration::from_secs(30);

/// Why the agent gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error(
        "the agent is not running under root {root} (no answer on {socket}); start it with `pinnace agent \
         --root {root}`",
        root = root.display(),
        socket = socket.display()
    )]
    NotRunning {
        /// The node's root.
        root: PathBuf,
        /// Its control socket.
        socket: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The socket is not ours to use.
    #[error("not permitted to use the agent's socket {}; run the command as root", socket.display())]
    NotPermitted {
        /// The control socket.
        socket: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The socket is there and cannot be used.
    #[error("connect to the agent's socket {}", socket.display())]
    Connect {
        /// The control socket.
        socket: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The agent refused, with a reason; the text is its own.
    #[error("Error from the node ({}): {}", .0.reason, .0.message)]
    Refused(Box<Status>),
    /// The connection ended in the middle.
    #[error("ask the agent for {path}")]
    Broken {
        /// What was asked for.
        path: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It took too long.
    #[error("the agent did not answer {path} within {} s", after.as_secs())]
    Late {
        /// What was asked for.
        path: String,
        /// The time given.
        after: Duration,
    },
    /// The answer is not JSON as agreed.
    #[error("read the agent's answer to {path}")]
    Malformed {
        /// What was asked for.
        path: String,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
}

/// Asks one agent; a connection for each request.
#[derive(Debug, Clone)]
pub struct Client {
    root: PathBuf,
    socket: PathBuf,
}

impl Client {
    /// A client of the agent of `root`, whose control socket is `socket`.
    pub fn new(root: impl Into<PathBuf>, socket: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            socket: socket.into(),
        }
    }

    /// The answer to a question such as `/v1/pods?namespace=default`.
    pub async fn get(&self, path: &str) -> Result<Value, ClientError> {
        self.ask(Method::GET, path, None, Some(LOOK_TIMEOUT)).await
    }

    /// Gives an order and waits for its answer, however long it takes.
    pub async fn post<T: Serialize + Sync>(&self, path: &str, body: &T) -> Result<Value, ClientError> {
        let body = serde_json::to_vec(body).map_err(|source| ClientError::Malformed {
            path: path.to_owned(),
            source,
        })?;
        self.ask(Method::POST, path, Some(body), None).await
    }

    /// Runs a command in a container.
    pub async fn exec(&self, request: &ExecRequest) -> Result<ExecAnswer, ClientError> {
        let path = "/v1/exec";
        let answer = self.post(path, request).await?;
        serde_json::from_value(answer).map_err(|source| ClientError::Malformed {
            path: path.to_owned(),
            source,
        })
    }

    /// Ends pods.
    pub async fn drain(&self, request: &DrainRequest) -> Result<Value, ClientError> {
        self.post("/v1/drain", request).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        limit: Option<Duration>,
    ) -> Result<Value, ClientError> {
        let stream = self.connect().await?;
        let talk = converse(stream, method, path, body.unwrap_or_default());
        let (status, bytes) = match limit {
            Some(after) => tokio::time::timeout(after, talk)
                .await
                .map_err(|_| ClientError::Late {
                    path: path.to_owned(),
                    after,
                })?,
            None => talk.await,
        }
        .map_err(|source| ClientError::Broken {
            path: path.to_owned(),
            source,
        })?;
        let malformed = |source| ClientError::Malformed {
            path: path.to_owned(),
            source,
        };
        if status.is_success() {
            return serde_json::from_slice(&bytes).map_err(malformed);
        }
        let refused = serde_json::from_slice::<Status>(&bytes).map_err(malformed)?;
        Err(ClientError::Refused(Box::new(refused)))
    }

    async fn connect(&self) -> Result<UnixStream, ClientError> {
        socket::connect(&self.socket).await.map_err(|source| {
            let (root, socket) = (self.root.clone(), self.socket.clone());
            match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    ClientError::NotRunning { root, socket, source }
                }
                io::ErrorKind::PermissionDenied => ClientError::NotPermitted { socket, source },
                _ => ClientError::Connect { socket, source },
            }
        })
    }
}

type Broken = Box<dyn std::error::Error + Send + Sync>;

async fn converse(
    stream: UnixStream,
    method: Method,
    path: &str,
    body: Vec<u8>,
) -> Result<(StatusCode, Bytes), Broken> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost")
        .body(Full::new(Bytes::from(body)))?;
    request
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await?;
        Ok::<_, Broken>((status, body.to_bytes()))
    };
    tokio::pin!(exchange, connection);
    tokio::select! {
        // The exchange's end cancels the connection, which then has nothing left to do.
        answered = &mut exchange => answered,
        // The connection may end first and leave the answer's last part to be read.
        ended = &mut connection => match ended {
            Ok(()) => exchange.await,
            Err(error) => Err(error.into()),
        },
    }
}
