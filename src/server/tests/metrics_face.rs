//! The metrics' face over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use pinnace_server::{MetricsFace, MetricsLimits, MetricsServer, PodLine, ScrapeFailed, bind_tcp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

const PATIENCE: Duration = Duration::from_secs(20);

/// A node whose collections wait for `gate`.
struct Node {
    ready: AtomicBool,
    gate: Semaphore,
    collections: AtomicUsize,
    exposition: Arc<Vec<u8>>,
    dropped: Arc<AtomicUsize>,
}

/// An answer that tells when the server lets go of it.
struct Answer(Arc<Vec<u8>>, Arc<AtomicUsize>);

impl AsRef<[u8]> for Answer {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

impl Node {
    fn new(exposition: impl Into<Vec<u8>>) -> Arc<Self> {
        Arc::new(Self {
            ready: AtomicBool::new(false),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            collections: AtomicUsize::new(0),
            exposition: Arc::new(exposition.into()),
            dropped: Arc::default(),
        })
    }
}

impl MetricsFace for Node {
    async fn metrics(&self) -> Result<Bytes, ScrapeFailed> {
        self.collections.fetch_add(1, Ordering::SeqCst);
        let _open = self
            .gate
            .acquire()
            .await
            .map_err(|closed| ScrapeFailed::Failed(closed.into()))?;
        Ok(Bytes::from_owner(Answer(
            Arc::clone(&self.exposition),
            Arc::clone(&self.dropped),
        )))
    }
    fn ready(&self) -> Result<(), String> {
        self.ready
            .load(Ordering::SeqCst)
            .then_some(())
            .ok_or_else(|| "waiting for 2 shims".to_owned())
    }
    fn pods(&self) -> Vec<PodLine> {
        vec![PodLine {
            namespace: "default".into(),
            name: "web-0".into(),
            ready: "1/1".into(),
            status: "Running".into(),
            restarts: 3,
        }]
    }
}

async fn serve(node: Arc<Node>, limits: MetricsLimits) -> SocketAddr {
    let listener = bind_tcp(([127, 0, 0, 1], 0).into(), "metricsListen", "--metrics-listen").unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(MetricsServer::new(node, limits).serve(vec![listener]));
    address
}

/// Sends `request` on a new connection and reads to its end.
async fn raw(address: SocketAddr, request: &str) -> String {
    let talk = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A server that refuses may reset the connection after its answer.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    };
    tokio::time::timeout(PATIENCE, talk)
        .await
        .expect("an answer in time")
}

async fn ask(address: SocketAddr, method: &str, path: &str) -> String {
    raw(
        address,
        &format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
    )
    .await
}

async fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let wait = async {
        while !reached() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test]
async fn metrics_are_answered_as_text_format() {
    let address = serve(Node::new("up 1\n"), MetricsLimits::default()).await;
    let answer = ask(address, "GET", "/metrics").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(
        answer.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"),
        "{answer}"
    );
    assert!(answer.ends_with("\r\n\r\nup 1\n"), "{answer}");
}

#[tokio::test]
async fn head_has_the_length_and_no_body() {
    let address = serve(Node::new("up 1\n"), MetricsLimits::default()).await;
    let answer = ask(address, "HEAD", "/metrics").await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("content-length: 5\r\n"),
        "{answer}"
    );
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn readiness_is_503_with_its_reason_and_then_200() {
    let node = Node::new("");
    let address = serve(Arc::clone(&node), MetricsLimits::default()).await;
    let waiting = ask(address, "GET", "/readyz").await;
    assert!(
        waiting.starts_with("HTTP/1.1 503 ") && waiting.contains("waiting for 2 shims"),
        "{waiting}"
    );
    assert!(ask(address, "GET", "/healthz").await.starts_with("HTTP/1.1 200 "));
    node.ready.store(true, Ordering::SeqCst);
    let ready = ask(address, "GET", "/readyz").await;
    assert!(
        ready.starts_with("HTTP/1.1 200 ") && ready.ends_with("\r\n\r\nok"),
        "{ready}"
    );
}

#[tokio::test]
async fn other_methods_and_paths_are_refused() {
    let address = serve(Node::new(""), MetricsLimits::default()).await;
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let answer = ask(address, method, "/metrics").await;
        assert!(
            answer.starts_with("HTTP/1.1 405 ") && answer.contains("allow: GET, HEAD\r\n"),
            "{answer}"
        );
    }
    for path in ["/metrics/", "/pods", "/../etc/passwd", "/favicon.ico"] {
        assert!(
            ask(address, "GET", path).await.starts_with("HTTP/1.1 404 "),
            "{path}"
        );
    }
}

#[tokio::test]
async fn large_or_many_headers_are_431() {
    let address = serve(Node::new(""), MetricsLimits::default()).await;
    let large = format!(
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Large: {}\r\n\r\n",
        "x".repeat(64 * 1024)
    );
    let answer = raw(address, &large).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let many = "X-Many: 1\r\n".repeat(100);
    let answer = raw(address, &format!("GET /metrics HTTP/1.1\r\n{many}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn pods_are_shown_to_loopback_under_a_local_name_only() {
    let address = serve(Node::new(""), MetricsLimits::default()).await;
    assert!(ask(address, "GET", "/").await.contains("web-0"));
    let foreign = raw(
        address,
        "GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert!(
        foreign.contains("/metrics") && !foreign.contains("web-0"),
        "{foreign}"
    );
}

#[tokio::test]
async fn silent_connections_do_not_keep_a_scraper_out() {
    let limits = MetricsLimits {
        connections: 4,
        ..MetricsLimits::default()
    };
    let address = serve(Node::new("up 1\n"), limits).await;
    let mut silent = Vec::new();
    for _ in 0..12 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHo").await.unwrap();
        silent.push(stream);
    }
    assert!(ask(address, "GET", "/metrics").await.ends_with("up 1\n"));
}

#[tokio::test]
async fn head_that_never_ends_loses_its_connection() {
    let limits = MetricsLimits {
        header_timeout: Duration::from_millis(100),
        ..MetricsLimits::default()
    };
    let address = serve(Node::new(""), limits).await;
    // `raw` ends only because the server closes.
    raw(address, "GET /metrics HTTP/1.1\r\nHo").await;
}

#[tokio::test]
async fn peer_that_does_not_read_does_not_hold_others_up_and_is_dropped() {
    let limits = MetricsLimits {
        write_timeout: Duration::from_millis(200),
        ..MetricsLimits::default()
    };
    // More than the sockets' buffers take.
    let node = Node::new(vec![b'#'; 64 << 20]);
    let address = serve(Arc::clone(&node), limits).await;
    let mut lazy = TcpStream::connect(address).await.unwrap();
    lazy.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    assert!(ask(address, "GET", "/healthz").await.starts_with("HTTP/1.1 200 "));
    until("the answer is given up", || {
        node.dropped.load(Ordering::SeqCst) == 1
    })
    .await;
    let mut got = Vec::new();
    let read = tokio::time::timeout(PATIENCE, lazy.read_to_end(&mut got))
        .await
        .expect("the server closes");
    assert!(
        read.is_err() || got.len() < 64 << 20,
        "the whole answer came after all"
    );
}

#[tokio::test]
async fn scrapes_beyond_the_bound_are_503_and_the_others_go_on() {
    let mut node = Node::new("up 1\n");
    Arc::get_mut(&mut node).unwrap().gate = Semaphore::new(0);
    let limits = MetricsLimits {
        scrapes: 2,
        ..MetricsLimits::default()
    };
    let address = serve(Arc::clone(&node), limits).await;
    let waiting: Vec<_> = (0..2)
        .map(|_| tokio::spawn(async move { ask(address, "GET", "/metrics").await }))
        .collect();
    until("two collections", || node.collections.load(Ordering::SeqCst) == 2).await;
    let refused = ask(address, "GET", "/metrics").await;
    assert!(
        refused.starts_with("HTTP/1.1 503 ") && refused.contains("retry-after: 5\r\n"),
        "{refused}"
    );
    assert!(ask(address, "GET", "/healthz").await.starts_with("HTTP/1.1 200 "));
    node.gate.add_permits(2);
    for scrape in waiting {
        assert!(scrape.await.unwrap().ends_with("up 1\n"));
    }
}

#[tokio::test]
async fn collection_that_hangs_is_503() {
    let mut node = Node::new("");
    Arc::get_mut(&mut node).unwrap().gate = Semaphore::new(0);
    let limits = MetricsLimits {
        scrape_timeout: Duration::from_millis(50),
        ..MetricsLimits::default()
    };
    let address = serve(node, limits).await;
    assert!(ask(address, "GET", "/metrics").await.starts_with("HTTP/1.1 503 "));
}

#[tokio::test]
async fn a_server_that_closes_answers_whom_it_let_in_and_nobody_else() {
    let mut node = Node::new("up 1\n");
    Arc::get_mut(&mut node).unwrap().gate = Semaphore::new(0);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    // As systemd keeps one.
    let kept = listener.try_clone().unwrap();
    let closing = tokio::sync::watch::Sender::new(false);
    let server = MetricsServer::new(Arc::clone(&node), MetricsLimits::default());
    let listeners = vec![tokio::net::TcpListener::from_std(listener).unwrap()];
    let served = tokio::spawn(server.serve_until(listeners, closing.subscribe()));

    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut answer = [0; 12];
    idle.read_exact(&mut answer).await.unwrap();
    let scrape = tokio::spawn(async move { ask(address, "GET", "/metrics").await });
    until("a collection", || node.collections.load(Ordering::SeqCst) == 1).await;

    closing.send_replace(true);
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, idle.read_to_end(&mut rest))
        .await
        .expect("who has no request under way is hung up on")
        .unwrap();
    silent
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    silent.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    let _late = TcpStream::connect(address).await.unwrap();
    node.gate.add_permits(1);
    assert!(scrape.await.unwrap().ends_with("up 1\n"));
    tokio::time::timeout(PATIENCE, served)
        .await
        .expect("nobody is left")
        .unwrap();
    kept.accept().expect("who comes late is left for the next server");
}
