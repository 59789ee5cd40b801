//! `filefd`: open files of the whole machine.

use super::Collector;
use crate::encode::{Encoder, Kind};
use crate::host::CollectError;
use crate::reader::Reader;

pub(super) struct Filefd;

impl Collector for Filefd {
    fn name(&self) -> &'static str {
        "filefd"
    }

    fn collect(&mut self, host: &Reader, out: &mut Encoder) -> Result<(), CollectError> {
        let text = host.proc_text("sys/fs/file-nr")?;
        let mut words = text.split_ascii_whitespace();
        let mut number = |what| {
            let word = words.next().and_then(|word| word.parse::<u64>().ok());
            word.ok_or_else(|| host.malformed("sys/fs/file-nr", what))
        };
        let allocated = number("the number of open files")?;
        // Files allocated and not in use; always 0 since Linux 2.6.
        number("the number of unused files")?;
        let maximum = number("the highest number of open files")?;
        out.single(
            "node_filefd_allocated",
            Kind::Gauge,
            "Files open on this machine.",
            allocated,
        );
        out.single(
            "node_filefd_maximum",
            Kind::Gauge,
            "Files that may be open at most.",
            maximum,
        );
        Ok(())
    }
}
