//! What containers hold of the node's disk, under cAdvisor's names. It is measured elsewhere, and seldom.

use std::collections::HashMap;
use std::sync::Arc;

use super::Row;
use crate::encode::{Encoder, Kind};

/// What one container holds: its writable layer and its logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerDisk {
    /// The device that it lies on, such as `/dev/vda1`.
    pub device: Arc<str>,
    /// Bytes of its blocks.
    pub usage_bytes: u64,
    /// What the file system there can hold.
    pub limit_bytes: u64,
    /// Files and directories.
    pub inodes: u64,
}

type Read = fn(&ContainerDisk) -> u64;

const FAMILIES: [(&str, &str, Read); 3] = [
    (
        "container_fs_inodes_total",
        "Files and directories of the container's writable layer and logs.",
        |disk| disk.inodes,
    ),
    (
        "container_fs_limit_bytes",
        "Bytes that the file system of the container's writable layer can hold.",
        |disk| disk.limit_bytes,
    ),
    (
        "container_fs_usage_bytes",
        "Bytes of the container's writable layer and logs.",
        |disk| disk.usage_bytes,
    ),
];

/// Writes the families of those rows whose containers were measured.
pub(super) fn write(rows: &[Row], disks: &HashMap<String, ContainerDisk>, out: &mut Encoder) {
    let measured: Vec<_> = rows
        .iter()
        .filter_map(|row| {
            let disk = disks.get(&row.target.name)?;
            Some((row.labels.with("device", &disk.device), disk))
        })
        .collect();
    for (name, help, read) in FAMILIES {
        let mut family = out.family(name, Kind::Gauge, help);
        for (labels, disk) in &measured {
            family.labelled(labels, read(disk));
        }
    }
}
