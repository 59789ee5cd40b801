//! `conntrack`: how full the table of tracked connections is.

use super::Collector;
use crate::encode::{Encoder, Kind};
use crate::host::{CollectError, Host};

pub(super) struct Conntrack;

impl Collector for Conntrack {
    fn name(&self) -> &'static str {
        "conntrack"
    }

    fn collect(&self, host: &Host, out: &mut Encoder) -> Result<(), CollectError> {
        let number = |file: &str| {
            let path = format!("sys/net/netfilter/{file}");
            let text = host.proc_text(&path)?;
            text.trim()
                .parse::<u64>()
                .map_err(|_| CollectError::malformed(host.proc.join(path), "a number"))
        };
        let (entries, limit) = (number("nf_conntrack_count")?, number("nf_conntrack_max")?);
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
