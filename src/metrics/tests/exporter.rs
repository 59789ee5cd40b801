//! The exporter as scrapers meet it: shared, bounded, and alive after a collection that failed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::{Duration, Instant};

use pinnace_metrics::{
    AgentMetrics, BuildInfo, ContainerTarget, Exporter, ExporterConfig, ScrapeError, TargetSource,
};
use pinnace_sys::cgroup::Cgroups;

/// Targets whose listing waits for the gate, so that a test holds a collection in the air.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
    collections: AtomicUsize,
    breaks: AtomicBool,
    niceness: Mutex<Option<i32>>,
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
        *self.0.niceness.lock().unwrap() = rustix::process::nice(0).ok();
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

fn exporter(gate: &Arc<Gate>, waiting: usize, deadline: Duration) -> Arc<Exporter> {
    let agent = AgentMetrics::new(BuildInfo {
        version: "0",
        revision: "",
    })
    .unwrap();
    let config = ExporterConfig {
        waiting,
        deadline,
        ..ExporterConfig::default()
    };
    Arc::new(Exporter::new(
        config,
        Cgroups::detect().unwrap(),
        Arc::new(agent),
        Arc::new(Source(Arc::clone(gate))),
    ))
}

fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !reached() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn this_host_gives_one_well_formed_exposition() {
    let exporter = exporter(&Gate::opened(), 4, LONG);
    let text = exporter.scrape().unwrap();
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
    let next = exporter.scrape().unwrap();
    assert!(
        std::str::from_utf8(&next)
            .unwrap()
            .contains("\npinnace_scrape_duration_seconds_count 1\n")
    );
}

#[test]
fn scrapes_at_the_same_time_share_one_collection_and_those_too_many_are_refused() {
    let gate = Arc::new(Gate::default());
    let exporter = exporter(&gate, 5, LONG);
    let (sender, results) = mpsc::channel();
    for _ in 0..9 {
        let (exporter, sender) = (Arc::clone(&exporter), sender.clone());
        std::thread::spawn(move || sender.send(exporter.scrape()));
    }
    let next = || results.recv_timeout(LONG).unwrap();
    for _ in 0..4 {
        assert!(matches!(next(), Err(ScrapeError::Busy { waiting: 5 })));
    }
    gate.open();
    let texts: Vec<_> = (0..5).map(|_| next().unwrap()).collect();
    assert!(texts.iter().all(|text| text == &texts[0] && !text.is_empty()));
    assert_eq!(gate.collections.load(Ordering::SeqCst), 1);
}

#[test]
fn collection_that_panics_fails_its_scrapes_and_no_later_one() {
    let gate = Gate::opened();
    let exporter = exporter(&gate, 4, LONG);
    gate.breaks.store(true, Ordering::SeqCst);
    assert!(matches!(exporter.scrape(), Err(ScrapeError::Failed)));
    gate.breaks.store(false, Ordering::SeqCst);
    assert!(exporter.scrape().is_ok());
}

#[test]
fn scrape_waits_no_longer_than_its_deadline() {
    let gate = Arc::new(Gate::default());
    let exporter = exporter(&gate, 4, Duration::from_millis(50));
    assert!(matches!(exporter.scrape(), Err(ScrapeError::Late { .. })));
    assert!(matches!(exporter.scrape(), Err(ScrapeError::Late { .. })));
    assert_eq!(
        gate.collections.load(Ordering::SeqCst),
        1,
        "a second collection ran beside the first"
    );
    gate.open();
    until("scrapes are answered again", || exporter.scrape().is_ok());
}

#[test]
fn collections_run_at_low_priority_and_nothing_else_does() {
    let gate = Gate::opened();
    let before = rustix::process::nice(0).unwrap();
    exporter(&gate, 4, LONG).scrape().unwrap();
    assert_eq!(*gate.niceness.lock().unwrap(), Some((before + 10).min(19)));
    assert_eq!(rustix::process::nice(0).unwrap(), before);
}
