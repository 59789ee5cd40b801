//! The socket that shims forward their events to: a small ttrpc server for `Events.Forward`.
//!
//! Some shims die without it. Nothing of the pods' lives depends on what comes here (exits are waited for,
//! counters are read); an OOM that is told is noted, for shims whose cgroups cannot be looked at. Events may
//! be forged by nobody but root: the socket has mode 0600.

use std::collections::HashSet;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use pinnace_shim::protocol::events::{EVENTS_SERVICE, Event, FORWARD, ForwardRequest, TaskExit, TaskOom};
use pinnace_shim::protocol::{Code, Decoder, Empty, FrameKind, Request, Status, encode_response};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// Shims that may be connected at once; each holds one connection while it has something to tell.
const MAX_CONNECTIONS: usize = 1024;
/// Longest path of a socket that the kernel takes, its end included.
const MAX_SOCKET_PATH: usize = 107;
/// OOM notes that are kept; a note goes when its container is removed.
const MAX_NOTES: usize = 16_384;

/// What shims have told.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    out_of_memory: Arc<Mutex<HashSet<String>>>,
}

impl Notes {
    fn set(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.out_of_memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// The kernel killed a process of this container for memory.
    pub fn out_of_memory(&self, container_id: &str) -> bool {
        self.set().contains(container_id)
    }
    /// The container is gone.
    pub fn forget(&self, container_id: &str) {
        self.set().remove(container_id);
    }

    fn take(&self, request: &ForwardRequest) {
        let Some(envelope) = &request.envelope else { return };
        let Some(event) = &envelope.event else { return };
        let kind = event.type_name();
        if kind == TaskOom::TYPE_NAME {
            let Ok(oom) = TaskOom::decode(event.value.as_slice()) else {
                return;
            };
            tracing::debug!(container_id = %oom.container_id, "a shim tells of a kill for memory");
            let mut notes = self.set();
            if notes.len() < MAX_NOTES {
                notes.insert(oom.container_id);
            }
        } else if kind == TaskExit::TYPE_NAME {
            let Ok(exit) = TaskExit::decode(event.value.as_slice()) else {
                return;
            };
            tracing::debug!(
                container_id = %exit.container_id, process = %exit.id, code = exit.exit_status,
                "a shim tells of an exit"
            );
        }
    }
}

/// The listening socket; dropping it ends the server and removes the socket.
#[derive(Debug)]
pub struct EventServer {
    path: PathBuf,
    notes: Notes,
    task: JoinHandle<()>,
}

/// The socket cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("listen for shims' events on {}", path.display())]
pub struct ListenError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl EventServer {
    /// Listens on `path`, or where that is too long for a socket, on `fallback`. The caller holds the lock
    /// of this node's root, so a socket that is there is a dead agent's.
    pub fn listen(path: &Path, fallback: &Path) -> Result<Self, ListenError> {
        let short = path.as_os_str().len() <= MAX_SOCKET_PATH;
        let path = if short { path } else { fallback }.to_owned();
        let listener = bind(&path).map_err(|source| ListenError {
            path: path.clone(),
            source,
        })?;
        let notes = Notes::default();
        let task = tokio::spawn(accept(listener, notes.clone()));
        Ok(Self { path, notes, task })
    }
    /// The socket's path, for `TTRPC_ADDRESS`.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// What was told so far.
    pub fn notes(&self) -> &Notes {
        &self.notes
    }
}

impl Drop for EventServer {
    fn drop(&mut self) {
        self.task.abort();
        // Left over, it would be replaced by the next agent.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn accept(listener: UnixListener, notes: Notes) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let notes = notes.clone();
                tokio::spawn(async move {
                    serve(stream, notes).await;
                    drop(place);
                });
            }
            // Out of descriptors, say: others may be closed meanwhile.
            Err(error) => {
                tracing::warn!(%error, "cannot accept a shim's connection");
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
        }
    }
}

async fn serve(mut stream: UnixStream, notes: Notes) {
    let mut decoder = Decoder::new();
    let mut buffer = [0_u8; 4096];
    let mut outgoing = Vec::new();
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => decoder.push(buffer.get(..count).unwrap_or_default()),
        }
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) if frame.kind == FrameKind::Request => {
                    encode_response(&mut outgoing, frame.stream_id, handle(&frame.data, &notes));
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
        if stream.write_all(&outgoing).await.is_err() {
            return;
        }
        outgoing.clear();
    }
}

fn handle(data: &[u8], notes: &Notes) -> Result<Vec<u8>, Status> {
    let broken = |error: prost::DecodeError| Status::new(Code::InvalidArgument, error.to_string());
    let request = Request::decode(data).map_err(broken)?;
    if request.service != EVENTS_SERVICE || request.method != FORWARD {
        let text = format!("{}/{} is not served here", request.service, request.method);
        return Err(Status::new(Code::Unimplemented, text));
    }
    notes.take(&ForwardRequest::decode(request.payload.as_slice()).map_err(broken)?);
    Ok(Empty {}.encode_to_vec())
}

#[cfg(test)]
mod tests {
    use pinnace_shim::protocol::events::Envelope;
    use pinnace_shim::protocol::{Any, decode_response};

    use super::*;
    use crate::task::Connection;

    async fn forward(connection: &Connection, method: &str, event: Any) -> Result<Empty, Status> {
        let envelope = Envelope {
            timestamp: None,
            namespace: "n".into(),
            topic: "t".into(),
            event: Some(event),
        };
        let payload = ForwardRequest {
            envelope: Some(envelope),
        }
        .encode_to_vec();
        let frame = connection
            .exchange(EVENTS_SERVICE, method, payload, 0, "n")
            .await
            .expect("an answer");
        decode_response(&frame)
    }

    #[tokio::test]
    async fn an_oom_is_noted_until_its_container_is_forgotten() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("events.sock");
        let server = EventServer::listen(&path, &path).expect("a server");
        let connection = Connection::open(&path.display().to_string())
            .await
            .expect("a connection");
        let oom = TaskOom {
            container_id: "c1".into(),
        };
        forward(&connection, FORWARD, Any::pack(TaskOom::TYPE_NAME, &oom))
            .await
            .expect("taken");
        assert!(server.notes().out_of_memory("c1") && !server.notes().out_of_memory("c2"));
        server.notes().forget("c1");
        assert!(!server.notes().out_of_memory("c1"));
        let refused = forward(&connection, "Other", Any::default())
            .await
            .expect_err("refused");
        assert_eq!(refused.code(), Code::Unimplemented);
        drop(server);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_dead_agents_socket_is_replaced_and_a_long_path_gives_way() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("events.sock");
        std::fs::write(&path, b"").expect("a leftover");
        let server = EventServer::listen(&path, &path).expect("a server");
        assert_eq!(server.path(), path);
        let long = dir.path().join("l".repeat(120));
        let fallback = dir.path().join("short");
        assert_eq!(
            EventServer::listen(&long, &fallback).expect("a server").path(),
            fallback
        );
    }
}
