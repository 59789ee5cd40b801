//! `diskstats`: what the block devices did.

use std::collections::HashMap;

use procfs::DiskStat;

use super::Collector;
use crate::encode::{Encoder, Kind, Labels, Value};
use crate::host::CollectError;
use crate::reader::{Reader, attribute, read};

/// The kernel's unit, whatever the device's own sectors are.
const SECTOR_BYTES: u64 = 512;

pub(super) struct Diskstats;

type Read = fn(&DiskStat) -> Option<Value>;

fn seconds(milliseconds: u64) -> Value {
    Value::Float(milliseconds as f64 / 1000.0)
}

/// Families in the order of the kernel's columns; later kernels add columns.
const FAMILIES: [(&str, Kind, &str, Read); 17] = [
    (
        "node_disk_reads_completed_total",
        Kind::Counter,
        "Reads completed.",
        |d| Some(d.reads.into()),
    ),
    (
        "node_disk_reads_merged_total",
        Kind::Counter,
        "Reads merged with others.",
        |d| Some(d.merged.into()),
    ),
    ("node_disk_read_bytes_total", Kind::Counter, "Bytes read.", |d| {
        Some(Value::Unsigned(d.sectors_read.saturating_mul(SECTOR_BYTES)))
    }),
    (
        "node_disk_read_time_seconds_total",
        Kind::Counter,
        "Seconds that all reads took together.",
        |d| Some(seconds(d.time_reading)),
    ),
    (
        "node_disk_writes_completed_total",
        Kind::Counter,
        "Writes completed.",
        |d| Some(d.writes.into()),
    ),
    (
        "node_disk_writes_merged_total",
        Kind::Counter,
        "Writes merged with others.",
        |d| Some(d.writes_merged.into()),
    ),
    (
        "node_disk_written_bytes_total",
        Kind::Counter,
        "Bytes written.",
        |d| Some(Value::Unsigned(d.sectors_written.saturating_mul(SECTOR_BYTES))),
    ),
    (
        "node_disk_write_time_seconds_total",
        Kind::Counter,
        "Seconds that all writes took together.",
        |d| Some(seconds(d.time_writing)),
    ),
    ("node_disk_io_now", Kind::Gauge, "Requests under way.", |d| {
        Some(d.in_progress.into())
    }),
    (
        "node_disk_io_time_seconds_total",
        Kind::Counter,
        "Seconds with at least one request under way.",
        |d| Some(seconds(d.time_in_progress)),
    ),
    (
        "node_disk_io_time_weighted_seconds_total",
        Kind::Counter,
        "Seconds with requests under way, times their number.",
        |d| Some(seconds(d.weighted_time_in_progress)),
    ),
    (
        "node_disk_discards_completed_total",
        Kind::Counter,
        "Discards completed.",
        |d| d.discards.map(Into::into),
    ),
    (
        "node_disk_discards_merged_total",
        Kind::Counter,
        "Discards merged with others.",
        |d| d.discards_merged.map(Into::into),
    ),
    (
        "node_disk_discarded_sectors_total",
        Kind::Counter,
        "Sectors discarded.",
        |d| d.sectors_discarded.map(Into::into),
    ),
    (
        "node_disk_discard_time_seconds_total",
        Kind::Counter,
        "Seconds that all discards took together.",
        |d| d.time_discarding.map(seconds),
    ),
    (
        "node_disk_flush_requests_total",
        Kind::Counter,
        "Flush requests completed.",
        |d| d.flushes.map(Into::into),
    ),
    (
        "node_disk_flush_requests_time_seconds_total",
        Kind::Counter,
        "Seconds that all flush requests took together.",
        |d| d.time_flushing.map(seconds),
    ),
];

impl Collector for Diskstats {
    fn name(&self) -> &'static str {
        "diskstats"
    }

    fn collect(&mut self, host: &Reader, out: &mut Encoder) -> Result<(), CollectError> {
        let failed = |source| CollectError::Parse {
            path: host.proc("diskstats"),
            source,
        };
        let mut disks = Vec::new();
        for line in host.proc_text("diskstats")?.lines() {
            // Most lines are of devices that are left out: they are not worth a parse.
            if line.split_ascii_whitespace().nth(2).is_some_and(is_ignored) {
                continue;
            }
            let disk = DiskStat::from_line(line).map_err(failed)?;
            disks.push((Labels::new(&[("device", &disk.name)]), disk));
        }
        let found = disks.iter().map(|(_, disk)| (identity(host, disk), 1_u64));
        out.samples(
            "node_disk_info",
            Kind::Gauge,
            "What a block device is; always 1.",
            found,
        );
        for (name, kind, help, read) in FAMILIES {
            let found = disks
                .iter()
                .filter_map(|(labels, disk)| Some((labels, read(disk)?)));
            out.samples(name, kind, help, found);
        }
        Ok(())
    }
}

/// What udev knows of the device.
fn identity(host: &Reader, disk: &DiskStat) -> Labels {
    let path = host.rooted(&format!("run/udev/data/b{}:{}", disk.major, disk.minor));
    let text = read(&path).unwrap_or_default();
    let known: HashMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("E:")?.split_once('='))
        .collect();
    let get = |name: &str| known.get(name).copied().unwrap_or_default();
    let serial = ["SCSI_IDENT_SERIAL", "ID_SERIAL_SHORT", "ID_SERIAL"].map(get);
    let queue = host.sys("block").join(&disk.name).join("queue/rotational");
    Labels::new(&[
        ("device", &disk.name),
        ("major", &disk.major.to_string()),
        ("minor", &disk.minor.to_string()),
        ("model", get("ID_MODEL")),
        ("path", get("ID_PATH")),
        ("revision", get("ID_REVISION")),
        ("rotational", &attribute(&queue).unwrap_or_else(|| "0".to_owned())),
        (
            "serial",
            serial
                .into_iter()
                .find(|serial| !serial.is_empty())
                .unwrap_or_default(),
        ),
        ("wwn", get("ID_WWN")),
    ])
}

/// Memory disks, loop devices, floppies, and partitions (their disk is counted).
fn is_ignored(name: &str) -> bool {
    let numbered = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
    let whole = ["ram", "zram", "loop", "fd"];
    if whole
        .iter()
        .any(|prefix| name.strip_prefix(prefix).is_some_and(numbered))
    {
        return true;
    }
    let lettered = |rest: &str| {
        rest.starts_with(|letter: char| letter.is_ascii_lowercase()) && rest.get(1..).is_some_and(numbered)
    };
    if ["hd", "sd", "vd", "xvd"]
        .iter()
        .any(|prefix| name.strip_prefix(prefix).is_some_and(lettered))
    {
        return true;
    }
    // nvme0n1p2
    name.strip_prefix("nvme")
        .and_then(|rest| rest.split_once('n'))
        .and_then(|(controller, rest)| Some((controller, rest.split_once('p')?)))
        .is_some_and(|(controller, (disk, part))| numbered(controller) && numbered(disk) && numbered(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_counted_and_their_parts_are_not() {
        for name in [
            "sda",
            "vda",
            "xvdb",
            "nvme0n1",
            "dm-0",
            "md127",
            "sr0",
            "mmcblk0p1",
            "sdaa1",
            "nvme0c0n1",
        ] {
            assert!(!is_ignored(name), "{name}");
        }
        for name in [
            "sda1",
            "vda15",
            "xvdb2",
            "hdc3",
            "nvme0n1p1",
            "nvme10n2p13",
            "loop7",
            "ram0",
            "zram0",
            "fd0",
        ] {
            assert!(is_ignored(name), "{name}");
        }
    }
}
