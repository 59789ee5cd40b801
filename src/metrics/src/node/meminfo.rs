//! `meminfo`: every field of `/proc/meminfo`, whichever this kernel has.

use super::Collector;
use crate::encode::{Encoder, Kind, name_part};
use crate::host::CollectError;
use crate::reader::Reader;

pub(super) struct Meminfo;

impl Collector for Meminfo {
    fn name(&self) -> &'static str {
        "meminfo"
    }

    fn collect(&mut self, host: &Reader, out: &mut Encoder) -> Result<(), CollectError> {
        let text = host.proc_text("meminfo")?;
        let fields: Option<Vec<_>> = text.lines().map(field).collect();
        let fields = fields
            .filter(|fields| !fields.is_empty())
            .ok_or_else(|| host.malformed("meminfo", "a field"))?;
        for (field, value, unit) in fields {
            let name = name_part(&field.replace(')', "").replace('(', "_"));
            let help = format!("Field {field} of /proc/meminfo.");
            match unit {
                Some(_) => out.single(
                    &format!("node_memory_{name}_bytes"),
                    Kind::Gauge,
                    &help,
                    value.saturating_mul(1024),
                ),
                None => out.single(&format!("node_memory_{name}"), Kind::Gauge, &help, value),
            }
        }
        Ok(())
    }
}

/// Name, number and unit (always kB) of a line such as `Active(anon):  9800 kB`.
fn field(line: &str) -> Option<(&str, u64, Option<&str>)> {
    let (name, rest) = line.split_once(':')?;
    let mut words = rest.split_ascii_whitespace();
    let value = words.next()?.parse().ok()?;
    Some((name, value, words.next()))
}
