//! `vmstat`: paging, swapping, faults and kills for memory; the fields that node_exporter shows.

use super::Collector;
use crate::encode::{Encoder, Kind, name_part};
use crate::host::CollectError;
use crate::reader::Reader;

pub(super) struct Vmstat;

impl Collector for Vmstat {
    fn name(&self) -> &'static str {
        "vmstat"
    }

    fn collect(&mut self, host: &Reader, out: &mut Encoder) -> Result<(), CollectError> {
        let text = host.proc_once("vmstat")?;
        for line in text.lines() {
            let Some((field, value)) = line.split_once(' ') else {
                continue;
            };
            if !is_shown(field) {
                continue;
            }
            let value: u64 = value
                .trim()
                .parse()
                .map_err(|_| host.malformed("vmstat", "a field's number"))?;
            let help = format!("Field {field} of /proc/vmstat.");
            out.single(
                &format!("node_vmstat_{}", name_part(field)),
                Kind::Untyped,
                &help,
                value,
            );
        }
        Ok(())
    }
}

fn is_shown(field: &str) -> bool {
    ["oom_kill", "pgpg", "pswp"]
        .iter()
        .any(|start| field.starts_with(start))
        || field
            .strip_prefix("pg")
            .is_some_and(|rest| rest.contains("fault"))
}
