//! `loadavg`: processes that run or wait, averaged.

use super::Collector;
use crate::encode::{Encoder, Kind};
use crate::host::CollectError;
use crate::reader::Reader;

pub(super) struct Loadavg;

const FAMILIES: [(&str, &str); 3] = [
    ("node_load1", "Load, averaged over 1 minute."),
    ("node_load5", "Load, averaged over 5 minutes."),
    ("node_load15", "Load, averaged over 15 minutes."),
];

impl Collector for Loadavg {
    fn name(&self) -> &'static str {
        "loadavg"
    }

    fn collect(&mut self, host: &Reader, out: &mut Encoder) -> Result<(), CollectError> {
        let text = host.proc_text("loadavg")?;
        let mut words = text.split_ascii_whitespace();
        for (name, help) in FAMILIES {
            let load: f64 = words
                .next()
                .and_then(|word| word.parse().ok())
                .ok_or_else(|| host.malformed("loadavg", "an average"))?;
            out.single(name, Kind::Gauge, help, load);
        }
        Ok(())
    }
}
