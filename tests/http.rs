//! A server of one document on loopback, which can be silent, answer, and go away.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// What it serves now; `None` keeps whoever asks waiting.
type Served = Arc<Mutex<Option<(String, String)>>>;

/// The server; ends when dropped.
pub struct Server {
    address: SocketAddr,
    served: Served,
    unchanged: Arc<AtomicUsize>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens, and answers nobody yet.
    pub fn silent() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let served: Served = Arc::default();
        let unchanged: Arc<AtomicUsize> = Arc::default();
        let ending: Arc<AtomicBool> = Arc::default();
        let (of_thread, counted, end) = (served.clone(), unchanged.clone(), ending.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let (served, counted, end) = (of_thread.clone(), counted.clone(), end.clone());
                // A client that went away is no matter.
                std::thread::spawn(move || {
                    if let Ok(stream) = stream {
                        let _ = answer(stream, &served, &counted, &end);
                    }
                });
            }
        });
        Self {
            address,
            served,
            unchanged,
            ending,
            thread: Some(thread),
        }
    }

    /// Where it is asked.
    pub fn url(&self) -> String {
        format!("http://{}/manifests", self.address)
    }

    /// From now on answers with this document under this ETag.
    pub fn serve(&self, etag: &str, body: &str) {
        *self.served.lock().unwrap() = Some((etag.to_owned(), body.to_owned()));
    }

    /// How often it answered that nothing has changed.
    pub fn unchanged_answers(&self) -> usize {
        self.unchanged.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(
    mut stream: TcpStream,
    served: &Served,
    unchanged: &AtomicUsize,
    ending: &AtomicBool,
) -> std::io::Result<()> {
    let mut known = String::new();
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("if-none-match")
        {
            known = value.trim().to_owned();
        }
    }
    let (etag, body) = loop {
        if let Some(served) = served.lock().unwrap().clone() {
            break served;
        }
        if ending.load(Ordering::SeqCst) {
            return Ok(());
        }
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    };
    if known == etag {
        unchanged.fetch_add(1, Ordering::SeqCst);
        return stream.write_all(b"HTTP/1.1 304 Not Modified\r\nconnection: close\r\n\r\n");
    }
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nconnection: close\r\netag: {etag}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}
