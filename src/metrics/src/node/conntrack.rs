//! `conntrack`: how full the table of tracked connections is.

use super::Collector;
use crate::encode::{Encoder, Kind};
use crate::host::CollectError;
use crate::reader::Reader;

pub(super) struct Conntrack;

impl Collector for Conntrack {
    fn name(&self) -> &'static str {
        "conntrack"
    }

    fn collect(&mut self, host: &Reader, out: &mut Encoder) -> Result<(), CollectError> {
        let number = |file: &'static str| {
            let text = host.proc_text(file)?;
            text.trim()
                .parse::<u64>()
                .map_err(|_| host.malformed(file, "a number"))
        };
        let entries = number("sys/net/netfilter/nf_conntrack_count")?;
        let limit = number("sys/net/netfilter/nf_conntrack_max")?;
        out.single(
            "node_nf_conntrack_entries",
            Kind::Gauge,
            "Connections tracked now.",
            entries,
        );
        out.single(
            "node_nf_conntrack_entries_limit",
            Kind::Gauge,
            "Connections that can be tracked at most.",
            limit,
        );
        Ok(())
    }
}
