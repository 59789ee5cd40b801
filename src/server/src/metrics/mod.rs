//! The face for Prometheus, load balancers and people: GET and HEAD over TCP, nothing that changes anything.
//!
//! | path | answer |
//! | --- | --- |
//! | `/metrics` | all families, text format 0.0.4; 503 where a collection failed or too many wait for one |
//! | `/healthz` | 200 `ok` while the agent serves |
//! | `/readyz` | 200 `ok`, or 503 and what is still waited for |
//! | `/` | a page with links; the pods' table only for peers on loopback |
//!
//! Collecting is the face's own matter ([`MetricsFace::metrics`]); the server bounds how many requests wait
//! for it. Nothing here blocks a thread of the runtime.

mod page;
mod server;

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;

pub use server::MetricsServer;

/// What the node tells on this face.
pub trait MetricsFace: Send + Sync + 'static {
    /// One exposition in the text format. Called from several requests at once.
    fn metrics(&self) -> impl Future<Output = Result<Bytes, ScrapeFailed>> + Send;
    /// `Err` says what is still waited for.
    fn ready(&self) -> Result<(), String>;
    /// The pods, for the page's table; asked for only when the peer is on loopback.
    fn pods(&self) -> Vec<PodLine>;
}

/// No exposition could be made; the text goes to the scraper.
#[derive(Debug, thiserror::Error)]
pub enum ScrapeFailed {
    /// Too many scrapes wait already.
    #[error("too many scrapes are under way; ask again later")]
    Busy,
    /// The collection itself failed.
    #[error("the collection failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// One pod in the page's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodLine {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Ready containers of all, such as `1/2`.
    pub ready: String,
    /// What `kubectl get pods` would show.
    pub status: String,
    /// Restarts of all containers.
    pub restarts: u32,
}

/// Bounds of the face.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsLimits {
    /// Connections over all listeners; one more takes the place of an idle one.
    pub connections: usize,
    /// Requests for `/metrics` under way; one more is answered 503.
    pub scrapes: usize,
    /// A request's line and headers may be so large; larger is answered 431.
    pub header_bytes: usize,
    /// Headers in a request.
    pub headers: usize,
    /// Time to send a request's head, and to stay idle between requests.
    pub header_timeout: Duration,
    /// Time without progress in taking an answer.
    pub write_timeout: Duration,
    /// Time for one collection.
    pub scrape_timeout: Duration,
}

impl Default for MetricsLimits {
    fn default() -> Self {
        Self {
            connections: 64,
            scrapes: 16,
            header_bytes: 16 * 1024,
            headers: 64,
            header_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(10),
            scrape_timeout: Duration::from_secs(30),
        }
    }
}
