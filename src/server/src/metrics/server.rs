//! The server of the metrics' face: accepts, bounds, routes.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::{MetricsFace, MetricsLimits, ScrapeFailed, page};
use crate::slots::{Busy, Slots};
use crate::stall::Stall;

const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
/// After a failed accept (no descriptors left, say) before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A request that is under way when no more is to be taken arrives within this time.
const LAST_REQUEST: Duration = Duration::from_secs(1);

/// Serves one [`MetricsFace`] on any number of listeners.
pub struct MetricsServer<F> {
    shared: Arc<Shared<F>>,
}

struct Shared<F> {
    face: Arc<F>,
    limits: MetricsLimits,
    scrapes: Semaphore,
    slots: Slots,
}

impl<F: MetricsFace> MetricsServer<F> {
    /// A server of `face` within `limits`.
    pub fn new(face: Arc<F>, limits: MetricsLimits) -> Self {
        let scrapes = Semaphore::new(limits.scrapes);
        let slots = Slots::new(limits.connections);
        Self {
            shared: Arc::new(Shared {
                face,
                limits,
                scrapes,
                slots,
            }),
        }
    }

    /// Serves until the future is dropped; then all connections end.
    pub async fn serve(self, listeners: Vec<TcpListener>) {
        let (_never, closing) = watch::channel(false);
        self.serve_until(listeners, closing).await;
    }

    /// Serves until `closing` is true and who was let in has an answer; who comes then waits in the listeners, where
    /// somebody keeps them.
    pub async fn serve_until(self, listeners: Vec<TcpListener>, closing: watch::Receiver<bool>) {
        let mut accepting = JoinSet::new();
        for listener in listeners {
            accepting.spawn(accept(listener, Arc::clone(&self.shared), closing.clone()));
        }
        // A panic in one of the loops must not silence the others.
        while let Some(ended) = accepting.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a listener of the metrics' face ended");
            }
        }
    }
}

/// Waits until no more is to be taken.
async fn closed(closing: &mut watch::Receiver<bool>) {
    // Without a sender the task that waits here is about to end.
    let _ = closing.wait_for(|closing| *closing).await;
}

async fn accept<F: MetricsFace>(
    listener: TcpListener,
    shared: Arc<Shared<F>>,
    mut closing: watch::Receiver<bool>,
) {
    // The tasks end with this loop; the slots end single ones before.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            // All arms may be cancelled at their await: none has taken anything by then.
            biased;
            () = closed(&mut closing) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let busy = Busy::default();
                    let connection = converse(stream, peer, Arc::clone(&shared), busy.clone(), closing.clone());
                    let handle = connections.spawn(connection);
                    shared.slots.enter(handle, busy);
                }
                Err(error) => {
                    tracing::warn!(%error, "accept a connection of the metrics' face");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    while connections.join_next().await.is_some() {}
}

/// Whether the peer says anything. To be asked before hyper, which closes what has said nothing as soon as no more is
/// to be taken.
async fn speaks(stream: &TcpStream, patience: Duration, closing: &mut watch::Receiver<bool>) -> bool {
    let last_request = async {
        closed(closing).await;
        tokio::time::sleep(LAST_REQUEST).await;
    };
    let mut first = [0];
    tokio::select! {
        peeked = stream.peek(&mut first) => peeked.is_ok_and(|length| length > 0),
        () = tokio::time::sleep(patience) => false,
        () = last_request => false,
    }
}

async fn converse<F: MetricsFace>(
    stream: TcpStream,
    peer: SocketAddr,
    shared: Arc<Shared<F>>,
    busy: Busy,
    mut closing: watch::Receiver<bool>,
) {
    // An answer is one write; waiting to fill a segment would only delay its end.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "set TCP_NODELAY");
    }
    let limits = &shared.limits;
    if !speaks(&stream, limits.header_timeout, &mut closing).await {
        return;
    }
    let io = TokioIo::new(Stall::new(stream, limits.write_timeout));
    let service = hyper::service::service_fn(|request| {
        let guard = busy.enter();
        let shared = Arc::clone(&shared);
        async move {
            let response = answer(&shared, request, peer).await;
            drop(guard);
            Ok::<_, Infallible>(response)
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        // hyper refuses a smaller buffer than 8 KiB.
        .max_buf_size(limits.header_bytes.max(8192))
        .max_headers(limits.headers)
        .serve_connection(io, service);
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        // First, so that what has come is read before hyper is told.
        biased;
        served = connection.as_mut() => served,
        () = closed(&mut closing) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        let cause = std::error::Error::source(&error)
            .map(ToString::to_string)
            .unwrap_or_default();
        tracing::debug!(%peer, %error, cause, "a connection of the metrics' face ended early");
    }
}

async fn answer<F: MetricsFace>(
    shared: &Shared<F>,
    request: Request<Incoming>,
    peer: SocketAddr,
) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    if !matches!(path, "/" | "/metrics" | "/healthz" | "/readyz") {
        return text(StatusCode::NOT_FOUND, "404 page not found\n");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = text(
            StatusCode::METHOD_NOT_ALLOWED,
            "405 method not allowed: GET and HEAD only\n",
        );
        refused
            .headers_mut()
            .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    // hyper leaves the body of an answer to HEAD out, and keeps its length.
    match path {
        "/metrics" => metrics(shared).await,
        "/healthz" => text(StatusCode::OK, "ok"),
        "/readyz" => match shared.face.ready() {
            Ok(()) => text(StatusCode::OK, "ok"),
            Err(waiting) => text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {waiting}\n")),
        },
        _ => {
            let pods = is_local(&request, peer).then(|| shared.face.pods());
            body(
                StatusCode::OK,
                HTML,
                page::render(pods.as_deref(), shared.face.ready()),
            )
        }
    }
}

async fn metrics<F: MetricsFace>(shared: &Shared<F>) -> Response<Full<Bytes>> {
    let Ok(_permit) = shared.scrapes.try_acquire() else {
        return unavailable(&ScrapeFailed::Busy);
    };
    match tokio::time::timeout(shared.limits.scrape_timeout, shared.face.metrics()).await {
        Ok(Ok(exposition)) => body(StatusCode::OK, EXPOSITION, exposition),
        Ok(Err(failed)) => {
            tracing::warn!(error = %failed, cause = ?std::error::Error::source(&failed), "scrape");
            unavailable(&failed)
        }
        Err(_) => {
            let late = io::Error::new(io::ErrorKind::TimedOut, "the collection took too long");
            unavailable(&ScrapeFailed::Failed(late.into()))
        }
    }
}

fn unavailable(failed: &ScrapeFailed) -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::SERVICE_UNAVAILABLE, format!("{failed}\n"));
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// Whether the peer is on loopback and means to be: the `Host` is checked too, so that a foreign page in a
/// browser on this machine cannot reach the table under a name of its own.
fn is_local(request: &Request<Incoming>, peer: SocketAddr) -> bool {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    peer.ip().to_canonical().is_loopback() && is_loopback_host(host)
}

fn is_loopback_host(host: &str) -> bool {
    if let Ok(address) = host.parse::<SocketAddr>() {
        return address.ip().is_loopback();
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return address.is_loopback();
    }
    host.split(':').next() == Some("localhost")
}

fn text(status: StatusCode, content: impl Into<Bytes>) -> Response<Full<Bytes>> {
    body(status, TEXT, content)
}

fn body(status: StatusCode, kind: &'static str, content: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(content.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_count_as_local() {
        for host in [
            "localhost",
            "localhost:9100",
            "127.0.0.1:9100",
            "127.1.2.3",
            "[::1]:9100",
            "[::1]",
        ] {
            assert!(is_loopback_host(host), "{host}");
        }
        for host in [
            "",
            "example.org",
            "localhost.example.org",
            "10.0.0.1:9100",
            "[2001:db8::1]:9100",
        ] {
            assert!(!is_loopback_host(host), "{host}");
        }
    }
}
