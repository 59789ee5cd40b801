//! `process_*`: what the agent itself takes, under the names that Prometheus' clients share.

use std::io;
use std::path::Path;

use procfs::process::{Process, Stat};
use procfs::{CurrentSI, FromRead, KernelStats, ProcError};
use rustix::process::{Resource, getrlimit};

use crate::encode::{Encoder, Kind, Value};
use crate::host::Host;
use crate::reader::Reader;

const STAT: &str = "self/stat";
const FDS: &str = "/proc/self/fd";

/// Reads this process; its start is worked out once.
pub(crate) struct OwnProcess {
    /// Of this process' own `/proc`, wherever the host's is.
    reader: Reader,
    start_seconds: Option<f64>,
}

impl OwnProcess {
    pub(crate) fn new() -> Self {
        Self {
            reader: Reader::new(Host::default()),
            start_seconds: start().ok(),
        }
    }

    /// Writes the families; where `/proc` hides something, the rest is still told.
    pub(crate) fn collect(&self, out: &mut Encoder) {
        match self.reader.proc_text(STAT) {
            Ok(text) => {
                if let Err(error) = collect_stat(&text, out) {
                    tracing::debug!(%error, "read the agent's own process");
                }
            }
            Err(error) => tracing::debug!(%error, "read the agent's own process"),
        }
        match open_fds() {
            Ok(fds) => out.single(
                "process_open_fds",
                Kind::Gauge,
                "Descriptors that the agent has open.",
                fds,
            ),
            Err(error) => tracing::debug!(%error, "count the agent's own descriptors"),
        }
        if let Some(most) = getrlimit(Resource::Nofile).current {
            out.single(
                "process_max_fds",
                Kind::Gauge,
                "Descriptors that the agent may have open.",
                most,
            );
        }
        if let Some(start) = self.start_seconds {
            out.single(
                "process_start_time_seconds",
                Kind::Gauge,
                "When the agent was started, in seconds since 1970.",
                start,
            );
        }
    }
}

fn collect_stat(text: &str, out: &mut Encoder) -> Result<(), ProcError> {
    let stat = Stat::from_read(text.as_bytes())?;
    let cpu = (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
    let threads = u64::try_from(stat.num_threads).unwrap_or_default();
    let families: [(&str, Kind, &str, Value); 4] = [
        (
            "process_cpu_seconds_total",
            Kind::Counter,
            "Seconds of CPU that the agent took.",
            cpu.into(),
        ),
        (
            "process_resident_memory_bytes",
            Kind::Gauge,
            "Bytes of memory that the agent holds.",
            (stat.rss * procfs::page_size()).into(),
        ),
        (
            "process_threads",
            Kind::Gauge,
            "Threads of the agent.",
            threads.into(),
        ),
        (
            "process_virtual_memory_bytes",
            Kind::Gauge,
            "Bytes of address space of the agent.",
            stat.vsize.into(),
        ),
    ];
    for (name, kind, help, value) in families {
        out.single(name, kind, help, value);
    }
    Ok(())
}

/// Since Linux 6.2 the folder's size is their number; before, it is 0 and they must be counted.
fn open_fds() -> io::Result<u64> {
    let folder = Path::new(FDS);
    match folder.metadata()?.len() {
        0 => Ok(folder.read_dir()?.count() as u64),
        count => Ok(count),
    }
}

fn start() -> Result<f64, ProcError> {
    let ticks = Process::myself()?.stat()?.starttime;
    let boot = KernelStats::current()?.btime;
    Ok(boot as f64 + ticks as f64 / procfs::ticks_per_second() as f64)
}
