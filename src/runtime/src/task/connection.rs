//! One socket to a shim, shared by any number of calls.

use std::collections::HashMap;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixStream as StdUnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pinnace_shim::protocol::envelope::KeyValue;
use pinnace_shim::protocol::{Decoder, FrameError, FrameKind, Request, encode_frame};
use pinnace_sys::path::{fd_path, open_dir};
use prost::Message;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};

/// Frames that wait to be written before callers have to wait themselves.
const QUEUE_LEN: usize = 64;
/// Answers are small, and each pod has such a buffer.
const READ_LEN: usize = 2 << 10;
/// Longest path of a socket that the kernel takes.
const MAX_SOCKET_PATH: usize = 107;

/// A call's answer frame, still encoded; dropped unsent where the socket broke.
type Answer = oneshot::Sender<Vec<u8>>;

/// A live connection; dropping the last copy closes it.
#[derive(Debug, Clone)]
pub struct Connection {
    frames: mpsc::Sender<Vec<u8>>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Answers that are waited for, by stream; `None` once the socket broke.
    waiting: Mutex<Option<HashMap<u32, Answer>>>,
    next_stream: AtomicU32,
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Option<HashMap<u32, Answer>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why an exchange on a connection failed.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The other end is gone.
    #[error("the connection broke")]
    Broken,
    /// The request is larger than a frame.
    #[error("encode the request")]
    TooLong(#[from] FrameError),
}

/// Takes a stream out of the table when its call ends, however it ends.
struct Waiting<'a> {
    shared: &'a Shared,
    stream: u32,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(waiting) = self.shared.waiting().as_mut() {
            waiting.remove(&self.stream);
        }
    }
}

impl Connection {
    /// Connects to the socket of a path; `@name` or a leading NUL means the abstract name space.
    pub async fn open(path: &str) -> io::Result<Self> {
        let stream = match path.strip_prefix(['@', '\0']) {
            None if path.len() <= MAX_SOCKET_PATH => UnixStream::connect(path).await?,
            None => connect_by_directory(Path::new(path)).await?,
            Some(name) => {
                let address = SocketAddr::from_abstract_name(name.as_bytes())?;
                let stream = StdUnixStream::connect_addr(&address)?;
                stream.set_nonblocking(true)?;
                UnixStream::from_std(stream)?
            }
        };
        let (frames, queue) = mpsc::channel(QUEUE_LEN);
        let shared = Arc::new(Shared {
            waiting: Mutex::new(Some(HashMap::new())),
            next_stream: AtomicU32::new(1),
        });
        tokio::spawn(serve(stream, queue, Arc::clone(&shared)));
        Ok(Self { frames, shared })
    }

    /// False once the socket broke.
    pub fn is_open(&self) -> bool {
        self.shared.waiting().is_some()
    }

    /// Sends a request and waits for its answer's frame, without a time limit.
    pub async fn exchange(
        &self,
        service: &str,
        method: &str,
        payload: Vec<u8>,
        timeout_nano: i64,
        namespace: &str,
    ) -> Result<Vec<u8>, ExchangeError> {
        let header = KeyValue {
            key: "containerd-namespace-ttrpc".to_owned(),
            value: namespace.to_owned(),
        };
        let request = Request {
            service: service.to_owned(),
            method: method.to_owned(),
            payload,
            timeout_nano,
            metadata: vec![header],
        };
        let stream = self.shared.next_stream.fetch_add(2, Ordering::Relaxed);
        let mut frame = Vec::new();
        encode_frame(
            &mut frame,
            stream,
            FrameKind::Request,
            0,
            &request.encode_to_vec(),
        )?;
        let (answer, answered) = oneshot::channel();
        self.shared
            .waiting()
            .as_mut()
            .ok_or(ExchangeError::Broken)?
            .insert(stream, answer);
        let _waiting = Waiting {
            shared: &self.shared,
            stream,
        };
        self.frames.send(frame).await.map_err(|_| ExchangeError::Broken)?;
        answered.await.map_err(|_| ExchangeError::Broken)
    }
}

/// A path that is too long for a socket is reached by its directory's descriptor.
async fn connect_by_directory(path: &Path) -> io::Result<UnixStream> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let directory = open_dir(directory).map_err(|error| error.source)?;
    UnixStream::connect(fd_path(&directory).join(name)).await
}

/// Owns the socket until it breaks or nobody holds the connection any more.
async fn serve(stream: UnixStream, mut queue: mpsc::Receiver<Vec<u8>>, shared: Arc<Shared>) {
    let mut decoder = Decoder::new();
    let mut outgoing: Vec<u8> = Vec::new();
    let mut buffer = vec![0_u8; READ_LEN];
    loop {
        tokio::select! {
            // Safe to cancel: a frame stays in the queue until it is taken.
            frame = queue.recv(), if outgoing.is_empty() => match frame {
                Some(frame) => outgoing = frame,
                None => break,
            },
            // Safe to cancel: readiness only; the bytes are moved below, without waiting.
            ready = stream.writable(), if !outgoing.is_empty() => if ready.is_err() { break },
            // Safe to cancel, likewise.
            ready = stream.readable() => if ready.is_err() { break },
        }
        if !write_some(&stream, &mut outgoing) || !read_some(&stream, &mut buffer, &mut decoder, &shared) {
            break;
        }
    }
    *shared.waiting() = None;
}

fn write_some(stream: &UnixStream, outgoing: &mut Vec<u8>) -> bool {
    while !outgoing.is_empty() {
        match stream.try_write(outgoing) {
            Ok(written) => drop(outgoing.drain(..written)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
            Err(_) => return false,
        }
    }
    true
}

fn read_some(stream: &UnixStream, buffer: &mut [u8], decoder: &mut Decoder, shared: &Shared) -> bool {
    loop {
        match stream.try_read(buffer) {
            Ok(0) => return false,
            Ok(count) => decoder.push(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
            Err(_) => return false,
        }
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) if frame.kind == FrameKind::Response => {
                    let answer = shared
                        .waiting()
                        .as_mut()
                        .and_then(|waiting| waiting.remove(&frame.stream_id));
                    // Nobody waits any more where the call was dropped.
                    answer.map(|answer| answer.send(frame.data));
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[tokio::test]
    async fn a_socket_of_any_path_or_an_abstract_name_is_reached() {
        let dir = tempfile::tempdir().expect("a directory");
        let long = dir.path().join("d".repeat(150));
        std::fs::create_dir(&long).expect("a directory");
        let held = open_dir(&long).expect("the directory");
        let _listener = UnixListener::bind(fd_path(&held).join("s")).expect("a socket");
        let path = long.join("s").display().to_string();
        assert!(Connection::open(&path).await.expect("connected").is_open());

        let name = format!("pinnace-connection-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let _listener = UnixListener::bind_addr(&address).expect("a socket");
        Connection::open(&format!("@{name}")).await.expect("connected");
    }
}
