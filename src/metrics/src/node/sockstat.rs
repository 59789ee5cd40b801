//! `sockstat`: sockets in use, and the memory that they hold.

use super::Collector;
use crate::encode::{Encoder, Kind, name_part};
use crate::host::CollectError;
use crate::reader::Reader;

pub(super) struct Sockstat;

impl Collector for Sockstat {
    fn name(&self) -> &'static str {
        "sockstat"
    }

    fn collect(&mut self, host: &Reader, out: &mut Encoder) -> Result<(), CollectError> {
        write(&host.proc_text("net/sockstat")?, out)
            .ok_or_else(|| host.malformed("net/sockstat", "a protocol's line"))?;
        // Not there where IPv6 is switched off.
        if let Ok(text) = host.proc_text("net/sockstat6") {
            write(&text, out).ok_or_else(|| host.malformed("net/sockstat6", "a protocol's line"))?;
        }
        Ok(())
    }
}

/// Lines such as `TCP: inuse 4 orphan 0 tw 4 alloc 17 mem 1`.
fn write(text: &str, out: &mut Encoder) -> Option<()> {
    for line in text.lines() {
        let (protocol, rest) = line.split_once(':')?;
        let mut words = rest.split_ascii_whitespace();
        while let (Some(field), Some(value)) = (words.next(), words.next()) {
            let value: u64 = value.parse().ok()?;
            let name = name_part(&format!("node_sockstat_{protocol}_{field}"));
            let help = format!("Sockets of {protocol}: {field}.");
            out.single(&name, Kind::Gauge, &help, value);
            if field == "mem" {
                let help = format!("Memory that sockets of {protocol} hold, in bytes.");
                out.single(
                    &format!("{name}_bytes"),
                    Kind::Gauge,
                    &help,
                    value.saturating_mul(procfs::page_size()),
                );
            }
        }
    }
    Some(())
}
