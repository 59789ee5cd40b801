//! One exposition out of all parts, collected once for all who ask at the same time.
//!
//! ```text
//! scrape ─┐                 ┌─ node collectors ── /proc, /sys, statfs
//! scrape ─┼─▶ one flight ─▶ ┼─ containers ─────── cgroups           on the thread "scrape"
//! scrape ─┘   (all wait)    └─ agent ──────────── registry, own process
//! ```
//!
//! Invariants: at most one collection runs, on a thread that does nothing else and lives as long as the
//! exporter; those who come meanwhile share its result; how many may wait is bounded, and one that no longer
//! waits takes no place. After a collection the next one begins no earlier than the thread was on a CPU for, so that
//! scrapers never slow the pods down: however many ask however often, they get at most half of one CPU.
//! (A low priority would not do it: it counts among the tasks of one cgroup, and pods have others.)

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use pinnace_sys::cgroup::Cgroups;
use tokio::sync::oneshot;

use crate::agent::AgentMetrics;
use crate::containers::{ContainerCollector, TargetSource};
use crate::encode::{Encoder, Kind};
use crate::host::Host;
use crate::node::{FilesystemFilter, NodeCollectors};
use crate::process::OwnProcess;

/// The thread's rest, as a multiple of the CPU that a collection took, and the longest.
const REST_FACTOR: u32 = 1;
const LONGEST_REST: Duration = Duration::from_secs(5);
/// Room for a first exposition; later ones get their predecessor's size.
const FIRST_CAPACITY: usize = 128 * 1024;

/// What an exporter reads, and within which bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExporterConfig {
    /// Where the host is.
    pub host: Host,
    /// Mounts that are left out.
    pub filesystems: FilesystemFilter,
    /// A mount that does not answer so long is in error.
    pub statfs_deadline: Duration,
    /// Scrapes that may wait for a collection at a time.
    pub waiting: usize,
}

impl Default for ExporterConfig {
    fn default() -> Self {
        Self {
            host: Host::default(),
            filesystems: FilesystemFilter::default(),
            statfs_deadline: Duration::from_secs(1),
            waiting: 16,
        }
    }
}

/// No thread could be had for an exporter.
#[derive(Debug, thiserror::Error)]
#[error("start the thread that collects metrics")]
pub struct ExporterError(#[source] std::io::Error);

/// Why there is no exposition.
#[derive(Debug, thiserror::Error)]
pub enum ScrapeError {
    /// Too many wait already.
    #[error("collect metrics: {waiting} scrapes wait already")]
    Busy {
        /// How many.
        waiting: usize,
    },
    /// The collection ended without a result; the log says why.
    #[error("collect metrics: the collection was cut short")]
    Failed,
}

/// Makes expositions.
pub struct Exporter {
    desk: Arc<Mutex<Desk>>,
    /// One order for each flight; the thread ends when this is dropped.
    orders: Sender<()>,
    agent: Arc<AgentMetrics>,
    most_waiting: usize,
}

/// Who waits for the flight that is under way, or ordered.
#[derive(Default)]
struct Desk {
    flying: bool,
    waiting: Vec<oneshot::Sender<Bytes>>,
}

impl Exporter {
    /// An exporter of this node, its containers (those that `targets` names, in `cgroups`) and the agent.
    pub fn start(
        config: ExporterConfig,
        cgroups: Cgroups,
        agent: Arc<AgentMetrics>,
        targets: Arc<dyn TargetSource>,
    ) -> Result<Self, ExporterError> {
        let mut parts = Parts {
            node: NodeCollectors::new(config.host, config.filesystems, config.statfs_deadline),
            containers: ContainerCollector::new(cgroups, targets),
            agent: Arc::clone(&agent),
            process: OwnProcess::new(),
            capacity: FIRST_CAPACITY,
        };
        let desk = Arc::new(Mutex::new(Desk::default()));
        let (orders, ordered) = mpsc::channel();
        let at_desk = Arc::clone(&desk);
        std::thread::Builder::new()
            .name("scrape".to_owned())
            .spawn(move || fly(&mut parts, &at_desk, &ordered))
            .map_err(ExporterError)?;
        Ok(Self {
            desk,
            orders,
            agent,
            most_waiting: config.waiting.max(1),
        })
    }

    /// One exposition in the text format 0.0.4. Waits as long as the collection takes; may be cancelled.
    pub async fn scrape(&self) -> Result<Bytes, ScrapeError> {
        // A flight that panics drops those who wait for it.
        self.board()?.await.map_err(|_| ScrapeError::Failed)
    }

    fn board(&self) -> Result<oneshot::Receiver<Bytes>, ScrapeError> {
        let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        desk.waiting.retain(|one| !one.is_closed());
        if desk.waiting.len() >= self.most_waiting {
            self.agent.cost.refused();
            return Err(ScrapeError::Busy {
                waiting: desk.waiting.len(),
            });
        }
        if desk.flying {
            self.agent.cost.shared();
        } else {
            self.orders.send(()).map_err(|_| ScrapeError::Failed)?;
            desk.flying = true;
        }
        let (sender, landed) = oneshot::channel();
        desk.waiting.push(sender);
        Ok(landed)
    }
}

/// The thread's whole life.
fn fly(parts: &mut Parts, desk: &Mutex<Desk>, orders: &Receiver<()>) {
    let mut rested = Instant::now();
    for () in orders {
        // An order that comes late finds the thread rested: most do, and nothing wakes it for its rest's end.
        std::thread::sleep(rested.saturating_duration_since(Instant::now()));
        let before = thread_cpu();
        // A collector that panics is left in some state of its own, but in none that is unsafe: each begins
        // with what it reads.
        let result = catch_unwind(AssertUnwindSafe(|| parts.collect()));
        let waiting = {
            let mut desk = desk.lock().unwrap_or_else(PoisonError::into_inner);
            desk.flying = false;
            std::mem::take(&mut desk.waiting)
        };
        if let Ok(exposition) = result {
            for one in waiting {
                // Whoever went away meanwhile has cancelled its scrape.
                let _ = one.send(exposition.clone());
            }
        }
        let took = thread_cpu().saturating_sub(before);
        rested = Instant::now() + (took * REST_FACTOR).min(LONGEST_REST);
    }
}

struct Parts {
    node: NodeCollectors,
    containers: ContainerCollector,
    agent: Arc<AgentMetrics>,
    process: OwnProcess,
    capacity: usize,
}

impl Parts {
    fn collect(&mut self) -> Bytes {
        let (began, cpu) = (Instant::now(), thread_cpu());
        let mut out = Encoder::with_capacity(self.capacity);
        self.node.collect(&mut out);
        let kills = self.node.oom_kills();
        let (read, gone) = self.containers.collect(kills, &mut out);
        out.single(
            "pinnace_scrape_cgroups",
            Kind::Gauge,
            "Cgroups of containers and pods read in this scrape.",
            read as u64,
        );
        if gone > 0 {
            tracing::debug!(gone, "cgroups ended before they were read");
        }
        self.process.collect(&mut out);
        match self.agent.text() {
            Ok(text) => out.append(text.as_bytes()),
            Err(error) => tracing::warn!(%error, "encode the agent's own metrics"),
        }
        let text = out.finish();
        self.capacity = text.len() + text.len() / 8;
        let cpu = thread_cpu().saturating_sub(cpu);
        self.agent.cost.collected(began.elapsed(), cpu, text.len());
        Bytes::from(text)
    }
}

/// CPU that this thread has taken, which does nothing but collect.
fn thread_cpu() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(spent.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(spent.tv_nsec).unwrap_or_default())
}
