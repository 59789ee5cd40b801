//! One exposition out of all parts, collected once for all who ask at the same time.
//!
//! ```text
//! scrape ─┐                       ┌─ node collectors ── /proc, /sys, statfs
//! scrape ─┼─▶ one flight ─▶ thread┼─ containers ─────── cgroups
//! scrape ─┘    (all wait)  "scrape"└─ agent ─────────── registry, own process
//! ```
//!
//! Invariants: at most one collection runs, on a thread of its own at low priority, so that scrapers never
//! slow the pods down; those who come meanwhile share its result; how many may wait is bounded, and none
//! waits for longer than [`ExporterConfig::deadline`].

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use pinnace_sys::cgroup::Cgroups;

use crate::agent::AgentMetrics;
use crate::containers::{ContainerCollector, TargetSource};
use crate::encode::{Encoder, Kind};
use crate::host::Host;
use crate::node::{FilesystemFilter, NodeCollectors};
use crate::process::OwnProcess;

/// A collection's thread gives way to everything else.
const NICENESS: i32 = 10;
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
    /// How long one waits.
    pub deadline: Duration,
}

impl Default for ExporterConfig {
    fn default() -> Self {
        Self {
            host: Host::default(),
            filesystems: FilesystemFilter::default(),
            statfs_deadline: Duration::from_secs(1),
            waiting: 16,
            deadline: Duration::from_secs(25),
        }
    }
}

/// Why there is no exposition.
#[derive(Debug, thiserror::Error)]
pub enum ScrapeError {
    /// Too many wait already.
    #[error("collect metrics: {waiting} scrapes wait already")]
    Busy {
        /// How many.
        waiting: usize,
    },
    /// The collection goes on, and this scrape has waited long enough.
    #[error("collect metrics: no end within {} s", deadline.as_secs())]
    Late {
        /// How long it waited.
        deadline: Duration,
    },
    /// The collection ended without a result; its thread said why in the log.
    #[error("collect metrics: the collection was cut short")]
    Failed,
    /// No thread could be had.
    #[error("start a thread to collect metrics")]
    Thread(#[source] std::io::Error),
}

/// Makes expositions.
pub struct Exporter {
    parts: Arc<Parts>,
    config: ExporterConfig,
}

struct Parts {
    node: NodeCollectors,
    containers: ContainerCollector,
    agent: Arc<AgentMetrics>,
    process: OwnProcess,
    desk: Mutex<Desk>,
    landed: Condvar,
}

/// Who waits for what. Flights are numbered; a result stands until the next flight begins.
#[derive(Default)]
struct Desk {
    flight: u64,
    flying: bool,
    waiting: usize,
    result: Option<Bytes>,
    size: usize,
}

impl Exporter {
    /// An exporter of this node, its containers (those that `targets` names, in `cgroups`) and the agent.
    pub fn new(
        config: ExporterConfig,
        cgroups: Cgroups,
        agent: Arc<AgentMetrics>,
        targets: Arc<dyn TargetSource>,
    ) -> Self {
        let parts = Parts {
            node: NodeCollectors::new(
                config.host.clone(),
                config.filesystems.clone(),
                config.statfs_deadline,
            ),
            containers: ContainerCollector::new(cgroups, targets),
            agent,
            process: OwnProcess::new(),
            desk: Mutex::new(Desk {
                size: FIRST_CAPACITY,
                ..Desk::default()
            }),
            landed: Condvar::new(),
        };
        Self {
            parts: Arc::new(parts),
            config,
        }
    }

    /// One exposition in the text format 0.0.4. Blocks: call it from a thread that may wait.
    pub fn scrape(&self) -> Result<Bytes, ScrapeError> {
        let mut desk = self.parts.desk.lock().unwrap_or_else(PoisonError::into_inner);
        if desk.waiting >= self.config.waiting.max(1) {
            self.parts.agent.cost.refused();
            return Err(ScrapeError::Busy {
                waiting: desk.waiting,
            });
        }
        if desk.flying {
            self.parts.agent.cost.shared();
        } else {
            self.take_off(&mut desk)?;
        }
        let flight = desk.flight;
        desk.waiting += 1;
        let (mut desk, _) = self
            .parts
            .landed
            .wait_timeout_while(desk, self.config.deadline, |desk| {
                desk.flying && desk.flight == flight
            })
            .unwrap_or_else(PoisonError::into_inner);
        desk.waiting -= 1;
        if desk.flying && desk.flight == flight {
            return Err(ScrapeError::Late {
                deadline: self.config.deadline,
            });
        }
        // Where the next flight has begun meanwhile, its predecessor's result is still there.
        desk.result.clone().ok_or(ScrapeError::Failed)
    }

    fn take_off(&self, desk: &mut Desk) -> Result<(), ScrapeError> {
        let (parts, size) = (Arc::clone(&self.parts), desk.size);
        std::thread::Builder::new()
            .name("scrape".to_owned())
            .spawn(move || {
                let mut landing = Landing {
                    parts: &parts,
                    result: None,
                };
                landing.result = Some(parts.collect(size));
            })
            .map_err(ScrapeError::Thread)?;
        desk.flight += 1;
        desk.flying = true;
        Ok(())
    }
}

/// Hands the result over, also when the collection panics.
struct Landing<'a> {
    parts: &'a Parts,
    result: Option<Bytes>,
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        let mut desk = self.parts.desk.lock().unwrap_or_else(PoisonError::into_inner);
        desk.flying = false;
        desk.result = self.result.take();
        desk.size = desk
            .result
            .as_ref()
            .map_or(FIRST_CAPACITY, |text| text.len() + text.len() / 8);
        self.parts.landed.notify_all();
    }
}

impl Parts {
    fn collect(&self, capacity: usize) -> Bytes {
        // Of this thread alone: on Linux, niceness is a thread's own.
        if let Err(error) = rustix::process::nice(NICENESS) {
            tracing::debug!(%error, "lower the priority of a collection");
        }
        let began = Instant::now();
        let mut out = Encoder::with_capacity(capacity);
        self.node.collect(&mut out);
        let (read, gone) = self.containers.collect(&mut out);
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
        self.agent
            .cost
            .collected(began.elapsed(), thread_cpu(), text.len());
        Bytes::from(text)
    }
}

/// CPU of this thread, which has done nothing but collect.
fn thread_cpu() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(spent.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(spent.tv_nsec).unwrap_or_default())
}
