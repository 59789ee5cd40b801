//! The node's own families, under node_exporter's names, labels and types; one file per collector.
//!
//! A collector reads its few files, and writes its families only when all were read: one that fails leaves
//! nothing behind but `node_scrape_collector_success` 0. What a machine does not have (no pressure stall
//! information, no conntrack) is not worth a line in the log.

mod conntrack;
mod cpu;
mod diskstats;
mod filefd;
mod filesystem;
mod loadavg;
mod meminfo;
mod mounts;
mod netclass;
mod netdev;
mod netstat;
mod os;
mod pressure;
mod sockstat;
mod softnet;
mod stat;
mod statfs;
mod time;
mod uname;
mod vmstat;

use std::time::{Duration, Instant};

use crate::encode::{Encoder, Kind};
use crate::host::{CollectError, Host};
use crate::reader::Reader;

pub use filesystem::FilesystemFilter;

/// One collector.
trait Collector: Send {
    /// Its name in node_exporter, the label `collector`.
    fn name(&self) -> &'static str;
    /// Whether it gives out, by [`Collector::begin`], what others can do while the other collectors run. It then
    /// collects after them all, and is written where it stands among them.
    fn is_late(&self) -> bool {
        false
    }
    /// See [`Collector::is_late`].
    fn begin(&mut self, _host: &Reader) {}
    /// Reads the host and writes its families.
    fn collect(&mut self, host: &Reader, out: &mut Encoder) -> Result<(), CollectError>;
}

/// All collectors of a node.
pub struct NodeCollectors {
    host: Reader,
    collectors: Vec<Box<dyn Collector>>,
}

impl NodeCollectors {
    /// The collectors that read `host`; a mount that does not answer within `statfs_deadline` is in error.
    pub fn new(host: Host, filter: FilesystemFilter, statfs_deadline: Duration) -> Self {
        let host = Reader::new(host);
        let collectors: Vec<Box<dyn Collector>> = vec![
            Box::new(conntrack::Conntrack),
            Box::new(cpu::Cpu::default()),
            Box::new(diskstats::Diskstats),
            Box::new(filefd::Filefd),
            Box::new(filesystem::Filesystem::new(filter, statfs_deadline)),
            Box::new(loadavg::Loadavg),
            Box::new(meminfo::Meminfo),
            Box::new(netclass::Netclass::new(&host)),
            Box::new(netdev::Netdev),
            Box::new(netstat::Netstat),
            Box::new(os::Os),
            Box::new(pressure::Pressure),
            Box::new(sockstat::Sockstat),
            Box::new(softnet::Softnet),
            Box::new(stat::Stat),
            Box::new(time::Time),
            Box::new(uname::Uname),
            Box::new(vmstat::Vmstat),
        ];
        Self { host, collectors }
    }

    /// Processes that the kernel had killed for want of memory when the collectors ran; `None` where it does not count
    /// them.
    pub fn oom_kills(&self) -> Option<u64> {
        let text = self.host.proc_once("vmstat").ok()?;
        text.lines()
            .find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
    }

    /// Runs all collectors, one after the other.
    pub fn collect(&mut self, out: &mut Encoder) {
        let host = &self.host;
        host.forget();
        self.collectors
            .iter_mut()
            .for_each(|collector| collector.begin(host));
        let mut ran = Vec::with_capacity(self.collectors.len());
        let mut late = Vec::new();
        for collector in &mut self.collectors {
            if collector.is_late() {
                late.push((out.mark(), collector));
            } else {
                ran.push(run(collector.as_mut(), host, out));
            }
        }
        // The last one first: what is put in place moves what stands behind it.
        for (mark, collector) in late.iter_mut().rev() {
            let end = out.mark();
            let done = run(collector.as_mut(), host, out);
            out.move_to(*mark, end);
            ran.push(done);
        }
        // Their order, in which they are written, is the alphabet's.
        ran.sort_unstable_by_key(|(name, ..)| *name);
        let mut family = out.family(
            "node_scrape_collector_duration_seconds",
            Kind::Gauge,
            "Seconds that a collector took in this scrape.",
        );
        for (name, took, _) in &ran {
            family.sample(&[("collector", name)], took.as_secs_f64());
        }
        let mut family = out.family(
            "node_scrape_collector_success",
            Kind::Gauge,
            "1 if a collector succeeded in this scrape, 0 if not.",
        );
        for (name, _, success) in &ran {
            family.sample(&[("collector", name)], *success);
        }
    }
}

fn run(collector: &mut dyn Collector, host: &Reader, out: &mut Encoder) -> (&'static str, Duration, bool) {
    let (name, mark, began) = (collector.name(), out.mark(), Instant::now());
    let result = collector.collect(host, out);
    if let Err(error) = &result {
        out.take_back(mark);
        let cause = std::error::Error::source(error)
            .map(ToString::to_string)
            .unwrap_or_default();
        if error.is_absent() {
            tracing::debug!(collector = name, %error, cause, "collector has no data");
        } else {
            tracing::warn!(collector = name, %error, cause, "collector failed");
        }
    }
    (name, began.elapsed(), result.is_ok())
}
