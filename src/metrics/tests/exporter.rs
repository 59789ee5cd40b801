//! The exporter as scrapers meet it: shared, bounded, and alive after a collection that failed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use bytes::Bytes;

use pinnace_metrics::{
    AgentMetrics, BuildInfo, ContainerTarget, Exporter, ExporterConfig, ScrapeError, TargetSource,
};
use pinnace_sys::cgroup::Cgroups;
use tokio::task::JoinHandle;

/// Targets whose listing waits for the gate, so that a test holds a collection in the air.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
    collections: AtomicUsize,
    breaks: AtomicBool,
    threads: Mutex<HashSet<ThreadId>>,
}

impl Gate {
    fn opened() -> Arc<Self> {
        let gate = Self::default();
        *gate.open.lock().unwrap() = true;
        Arc::new(gate)
    }
    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.changed.notify_all();
    }
}

struct Source(Arc<Gate>);

impl TargetSource for Source {
    fn targets(&self) -> Vec<ContainerTarget> {
        self.0.collections.fetch_add(1, Ordering::SeqCst);
        self.0.threads.lock().unwrap().insert(std::thread::current().id());
        drop(
            self.0
                .changed
                .wait_while(self.0.open.lock().unwrap(), |open| !*open)
                .unwrap(),
        );
        assert!(!self.0.breaks.load(Ordering::SeqCst), "broken on purpose");
        Vec::new()
    }
}

fn exporter(gate: &Arc<Gate>, waiting: usize) -> Arc<Exporter> {
    let agent = AgentMetrics::new(BuildInfo {
        version: "0",
        revision: "",
    })
    .unwrap();
    let config = ExporterConfig {
        waiting,
        ..ExporterConfig::default()
    };
    let source = Arc::new(Source(Arc::clone(gate)));
    let exporter = Exporter::start(config, Cgroups::detect().unwrap(), Arc::new(agent), source);
    Arc::new(exporter.unwrap())
}

const LONG: Duration = Duration::from_secs(60);

/// One scrape, which ends within any honest time.
async fn scrape(exporter: &Exporter) -> Result<Bytes, ScrapeError> {
    let scraped = tokio::time::timeout(LONG, exporter.scrape()).await;
    scraped.expect("a scrape that never ends")
}

#[tokio::test]
async fn this_host_gives_one_well_formed_exposition() {
    let exporter = exporter(&Gate::opened(), 4);
    let text = scrape(&exporter).await.unwrap();
    let text = std::str::from_utf8(&text).unwrap();
    for family in [
        "node_cpu_seconds_total{",
        "node_memory_MemAvailable_bytes ",
        "node_load1 ",
        "node_filesystem_size_bytes{",
        "node_network_receive_bytes_total{",
        "node_boot_time_seconds ",
        "process_resident_memory_bytes ",
        "process_open_fds ",
        "process_start_time_seconds ",
        "pinnace_build_info{",
        "pinnace_pods{phase=\"Running\"} 0",
        "pinnace_scrape_duration_seconds_count 0",
    ] {
        assert!(
            text.lines().any(|line| line.starts_with(family)),
            "{family} is missing"
        );
    }
    let mut series: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    series
        .iter_mut()
        .for_each(|line| *line = line.rsplit_once(' ').unwrap().0);
    let all = series.len();
    series.sort_unstable();
    series.dedup();
    assert_eq!(series.len(), all, "a series comes twice");
    // The next one shows what this one cost.
    let next = scrape(&exporter).await.unwrap();
    assert!(
        std::str::from_utf8(&next)
            .unwrap()
            .contains("\npinnace_scrape_duration_seconds_count 1\n")
    );
}

/// A scrape that waits by itself.
fn waiting(exporter: &Arc<Exporter>) -> JoinHandle<Result<Bytes, ScrapeError>> {
    let exporter = Arc::clone(exporter);
    tokio::spawn(async move { scrape(&exporter).await })
}

#[tokio::test]
async fn scrapes_at_the_same_time_share_one_collection_and_those_too_many_are_refused() {
    let gate = Arc::new(Gate::default());
    let exporter = exporter(&gate, 5);
    let scrapes: Vec<_> = (0..9).map(|_| waiting(&exporter)).collect();
    // Each has asked when this goes on: they run on this thread, in their order, until they wait.
    tokio::task::yield_now().await;
    gate.open();
    let mut texts = Vec::new();
    for (number, scraped) in scrapes.into_iter().enumerate() {
        match scraped.await.unwrap() {
            Ok(text) => texts.push(text),
            Err(error) => {
                assert!(matches!(error, ScrapeError::Busy { waiting: 5 }), "{error}");
                assert!(number >= 5, "scrape {number} was refused");
            }
        }
    }
    assert_eq!(texts.len(), 5);
    assert!(texts.iter().all(|text| text == &texts[0] && !text.is_empty()));
    assert_eq!(gate.collections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn scraper_that_went_away_takes_no_place() {
    let gate = Arc::new(Gate::default());
    let exporter = exporter(&gate, 1);
    for _ in 0..3 {
        let gone = waiting(&exporter);
        tokio::task::yield_now().await;
        assert!(matches!(
            scrape(&exporter).await,
            Err(ScrapeError::Busy { waiting: 1 })
        ));
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
    }
    let last = waiting(&exporter);
    tokio::task::yield_now().await;
    gate.open();
    assert!(last.await.unwrap().is_ok());
    assert_eq!(
        gate.collections.load(Ordering::SeqCst),
        1,
        "one ran beside the first"
    );
}

#[tokio::test]
async fn collection_that_panics_fails_its_scrapes_and_no_later_one() {
    let gate = Gate::opened();
    let exporter = exporter(&gate, 4);
    gate.breaks.store(true, Ordering::SeqCst);
    assert!(matches!(scrape(&exporter).await, Err(ScrapeError::Failed)));
    gate.breaks.store(false, Ordering::SeqCst);
    assert!(scrape(&exporter).await.is_ok());
}

#[tokio::test]
async fn all_collections_run_on_one_thread_which_ends_with_the_exporter() {
    let gate = Gate::opened();
    let exporter = exporter(&gate, 4);
    for _ in 0..5 {
        scrape(&exporter).await.unwrap();
    }
    assert_eq!(gate.threads.lock().unwrap().len(), 1);
    drop(exporter);
    let end = Instant::now() + LONG;
    while Arc::strong_count(&gate) > 1 {
        assert!(Instant::now() < end, "the thread outlives its exporter");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[tokio::test]
async fn scraper_that_never_pauses_gets_half_of_one_cpu() {
    let exporter = exporter(&Gate::opened(), 4);
    scrape(&exporter).await.unwrap();
    let (began, before) = (Instant::now(), cpu_seconds(&exporter).await);
    for _ in 0..20 {
        scrape(&exporter).await.unwrap();
    }
    // The rest after the last collection is not over; the one before the first was not begun.
    let share = (cpu_seconds(&exporter).await - before) / began.elapsed().as_secs_f64();
    assert!(share < 0.6, "collections took {share} of a CPU");
}

/// What all collections have cost before this one.
async fn cpu_seconds(exporter: &Exporter) -> f64 {
    let text = scrape(exporter).await.unwrap();
    let text = std::str::from_utf8(&text).unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("pinnace_scrape_cpu_seconds_total "));
    line.unwrap().rsplit_once(' ').unwrap().1.parse().unwrap()
}
