//! Typed calls to one shim, over a connection that is opened when it is first needed.

use std::io;
use std::time::Duration;

use pinnace_shim::protocol::task::{
    CloseIoRequest, ConnectRequest, ConnectResponse, CreateTaskRequest, CreateTaskResponse, DeleteRequest,
    DeleteResponse, ExecProcessRequest, KillRequest, ResizePtyRequest, ShutdownRequest, StartRequest,
    StartResponse, StateRequest, StateResponse, WaitRequest, WaitResponse,
};
use pinnace_shim::protocol::{Code, Empty, Method, Status, TASK_V2, TASK_V3, decode_response};
use prost::Message;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::connection::{Connection, ExchangeError};

/// For questions that only look.
const QUICK: Duration = Duration::from_secs(10);
/// For what runs the OCI runtime.
const SLOW: Duration = Duration::from_secs(120);

/// Where a shim listens and which version of the task API it speaks there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShimAddress {
    /// Path of the socket.
    pub socket: String,
    /// 2 or 3.
    pub version: i32,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nobody listens there.
    #[error("connect to the shim at {socket}")]
    NoShim {
        /// The socket's path.
        socket: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The connection broke while the call was under way: the shim may or may not have carried it out.
    #[error("{method}: the shim closed the connection")]
    Closed {
        /// The call.
        method: &'static str,
    },
    /// No answer in time.
    #[error("{method}: no answer within {} s", limit.as_secs())]
    TimedOut {
        /// The call.
        method: &'static str,
        /// The time that was given.
        limit: Duration,
    },
    /// The shim answered that it cannot.
    #[error("{method}")]
    Refused {
        /// The call.
        method: &'static str,
        /// Its answer.
        #[source]
        source: Status,
    },
    /// The request is too large for a frame.
    #[error("{method}: the request is too long")]
    TooLong {
        /// The call.
        method: &'static str,
    },
}

impl CallError {
    /// The shim knows no such task or process.
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(Code::NotFound)
    }
    /// The shim's code, where it answered.
    pub fn code(&self) -> Option<Code> {
        match self {
            CallError::Refused { source, .. } => Some(source.code()),
            _ => None,
        }
    }
    /// The shim itself is not there; a connection that fails for want of descriptors, say, does not tell.
    pub fn is_no_shim(&self) -> bool {
        use io::ErrorKind::{ConnectionRefused, NotFound};
        match self {
            CallError::NoShim { source, .. } => matches!(source.kind(), NotFound | ConnectionRefused),
            CallError::Closed { .. } => true,
            _ => false,
        }
    }
}

/// A client of one shim's task API.
#[derive(Debug)]
pub struct ShimClient {
    address: ShimAddress,
    namespace: String,
    connection: Mutex<Option<Connection>>,
}

impl ShimClient {
    /// A client that connects when it is first used.
    pub fn new(address: ShimAddress, namespace: impl Into<String>) -> Self {
        Self {
            address,
            namespace: namespace.into(),
            connection: Mutex::new(None),
        }
    }

    /// Where the shim listens.
    pub fn address(&self) -> &ShimAddress {
        &self.address
    }

    async fn connection(&self) -> Result<Connection, CallError> {
        let mut slot = self.connection.lock().await;
        if let Some(connection) = slot.as_ref().filter(|connection| connection.is_open()) {
            return Ok(connection.clone());
        }
        let connection =
            Connection::open(&self.address.socket)
                .await
                .map_err(|source| CallError::NoShim {
                    socket: self.address.socket.clone(),
                    source,
                })?;
        Ok(slot.insert(connection).clone())
    }

    async fn call<A: Message + Default>(
        &self,
        method: Method,
        message: &impl Message,
        limit: Option<Duration>,
    ) -> Result<A, CallError> {
        let name = method.name();
        let service = if self.address.version >= 3 {
            TASK_V3
        } else {
            TASK_V2
        };
        let nanos = limit.map_or(0, |limit| i64::try_from(limit.as_nanos()).unwrap_or(i64::MAX));
        // What only looks may be asked again where the old connection turns out to be a dead one.
        let only_looks = matches!(method, Method::State | Method::Wait | Method::Connect);
        let attempts = async {
            let mut tries = if only_looks { 2 } else { 1 };
            loop {
                tries -= 1;
                let connection = self.connection().await?;
                let sent =
                    connection.exchange(service, name, message.encode_to_vec(), nanos, &self.namespace);
                match sent.await {
                    Ok(frame) => return Ok(frame),
                    Err(ExchangeError::TooLong(_)) => return Err(CallError::TooLong { method: name }),
                    Err(ExchangeError::Broken) if tries > 0 => {}
                    Err(ExchangeError::Broken) => return Err(CallError::Closed { method: name }),
                }
            }
        };
        let frame = match limit {
            None => attempts.await?,
            Some(limit) => timeout(limit, attempts)
                .await
                .map_err(|_| CallError::TimedOut { method: name, limit })??,
        };
        decode_response(&frame).map_err(|source| CallError::Refused { method: name, source })
    }

    /// Sets a container up.
    pub async fn create(&self, request: &CreateTaskRequest) -> Result<CreateTaskResponse, CallError> {
        self.call(Method::Create, request, Some(SLOW)).await
    }
    /// Runs the program of a created container, or of a prepared exec.
    pub async fn start(&self, id: &str, exec_id: &str) -> Result<StartResponse, CallError> {
        let request = StartRequest {
            id: id.to_owned(),
            exec_id: exec_id.to_owned(),
        };
        self.call(Method::Start, &request, Some(SLOW)).await
    }
    /// Looks at a container or exec.
    pub async fn state(&self, id: &str, exec_id: &str) -> Result<StateResponse, CallError> {
        let request = StateRequest {
            id: id.to_owned(),
            exec_id: exec_id.to_owned(),
        };
        self.call(Method::State, &request, Some(QUICK)).await
    }
    /// Waits for the end of a container or exec, for as long as it takes.
    pub async fn wait(&self, id: &str, exec_id: &str) -> Result<WaitResponse, CallError> {
        let request = WaitRequest {
            id: id.to_owned(),
            exec_id: exec_id.to_owned(),
        };
        self.call(Method::Wait, &request, None).await
    }
    /// Sends a signal.
    pub async fn kill(&self, id: &str, exec_id: &str, signal: u32, all: bool) -> Result<(), CallError> {
        let request = KillRequest {
            id: id.to_owned(),
            exec_id: exec_id.to_owned(),
            signal,
            all,
        };
        self.call::<Empty>(Method::Kill, &request, Some(SLOW))
            .await
            .map(drop)
    }
    /// Forgets a container or exec that has ended.
    pub async fn delete(&self, id: &str, exec_id: &str) -> Result<DeleteResponse, CallError> {
        let request = DeleteRequest {
            id: id.to_owned(),
            exec_id: exec_id.to_owned(),
        };
        self.call(Method::Delete, &request, Some(SLOW)).await
    }
    /// Prepares a further process in a container.
    pub async fn exec(&self, request: &ExecProcessRequest) -> Result<(), CallError> {
        self.call::<Empty>(Method::Exec, request, Some(SLOW))
            .await
            .map(drop)
    }
    /// No more input comes from the shim's side: the process reads the end when all other writers have gone.
    pub async fn close_stdin(&self, id: &str, exec_id: &str) -> Result<(), CallError> {
        let request = CloseIoRequest {
            id: id.to_owned(),
            exec_id: exec_id.to_owned(),
            stdin: true,
        };
        self.call::<Empty>(Method::CloseIo, &request, Some(QUICK))
            .await
            .map(drop)
    }

    /// Sets a terminal's size.
    pub async fn resize(&self, request: &ResizePtyRequest) -> Result<(), CallError> {
        self.call::<Empty>(Method::ResizePty, request, Some(QUICK))
            .await
            .map(drop)
    }
    /// Asks who the shim is.
    pub async fn connect(&self, id: &str) -> Result<ConnectResponse, CallError> {
        self.call(
            Method::Connect,
            &ConnectRequest { id: id.to_owned() },
            Some(QUICK),
        )
        .await
    }
    /// Asks the shim to end. That it closes the connection without an answer is success too.
    pub async fn shutdown(&self, id: &str, now: bool) -> Result<(), CallError> {
        let request = ShutdownRequest {
            id: id.to_owned(),
            now,
        };
        match self.call::<Empty>(Method::Shutdown, &request, Some(QUICK)).await {
            Err(error) if !error.is_no_shim() => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
