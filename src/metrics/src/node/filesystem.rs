//! `filesystem`: size and state of mounted file systems.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Collector;
use super::mounts::{self, Mount};
use super::statfs::{Asker, NoSize, Size};
use crate::encode::{Encoder, Kind, Labels};
use crate::host::CollectError;
use crate::reader::Reader;

/// Which mounts are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilesystemFilter {
    /// Mount points left out together with all beneath them.
    pub subtrees: Vec<PathBuf>,
    /// Directories whose inside is left out, though not they themselves.
    pub insides: Vec<PathBuf>,
    /// Types left out.
    pub fs_types: Vec<String>,
}

impl Default for FilesystemFilter {
    /// node_exporter's defaults.
    fn default() -> Self {
        let types = "autofs binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts devtmpfs erofs fusectl \
            hugetlbfs iso9660 mqueue nsfs overlay proc procfs pstore rpc_pipefs securityfs selinuxfs squashfs \
            sysfs tracefs";
        Self {
            subtrees: ["/dev", "/proc", "/sys"].map(PathBuf::from).into(),
            insides: [
                "/run/credentials",
                "/var/lib/docker",
                "/var/lib/containers/storage",
            ]
            .map(PathBuf::from)
            .into(),
            fs_types: types.split_ascii_whitespace().map(str::to_owned).collect(),
        }
    }
}

impl FilesystemFilter {
    fn keeps(&self, mount: &Mount) -> bool {
        let point = Path::new(&mount.point);
        !self.fs_types.contains(&mount.fs_type)
            && !self.subtrees.iter().any(|dir| point.starts_with(dir))
            && !self
                .insides
                .iter()
                .any(|dir| point != dir && point.starts_with(dir))
    }
}

pub(super) struct Filesystem {
    filter: FilesystemFilter,
    table: mounts::Table,
    rows: Vec<Row>,
    begun: Result<(), CollectError>,
    asker: Asker,
}

/// A mount that is shown.
struct Row {
    labels: Labels,
    path: PathBuf,
    read_only: bool,
}

impl Row {
    fn new(mount: &Mount, path: PathBuf) -> Self {
        let labels = Labels::new(&[
            ("device", &mount.device),
            ("fstype", &mount.fs_type),
            ("mountpoint", &mount.point),
        ]);
        Self {
            labels,
            path,
            read_only: mount.read_only,
        }
    }
}

impl Filesystem {
    pub(super) fn new(filter: FilesystemFilter, deadline: Duration) -> Self {
        Self {
            filter,
            table: mounts::Table::default(),
            rows: Vec::new(),
            begun: Ok(()),
            asker: Asker::new(deadline),
        }
    }

    fn look(&mut self, host: &Reader) -> Result<(), CollectError> {
        if let Some(table) = self.table.changed(host)? {
            let mut seen = HashSet::new();
            self.rows = mounts::parse(&table)
                .filter(|mount| self.filter.keeps(mount))
                // A point that is mounted over shows its upper mount only, whichever line it is asked for.
                .filter(|mount| {
                    seen.insert((mount.device.clone(), mount.point.clone(), mount.fs_type.clone()))
                })
                .map(|mount| Row::new(&mount, host.rooted(&mount.point)))
                .collect();
        }
        Ok(())
    }
}

impl Collector for Filesystem {
    fn name(&self) -> &'static str {
        "filesystem"
    }

    /// A thread asks the mounts meanwhile, and has nearly always done so by then: nobody waits for the other.
    fn is_late(&self) -> bool {
        true
    }

    fn begin(&mut self, host: &Reader) {
        self.begun = self.look(host);
        if self.begun.is_ok() {
            self.asker
                .begin(self.rows.iter().map(|row| row.path.clone()).collect());
        }
    }

    fn collect(&mut self, _host: &Reader, out: &mut Encoder) -> Result<(), CollectError> {
        std::mem::replace(&mut self.begun, Ok(()))?;
        write(&self.rows, &self.asker.finish(), out);
        Ok(())
    }
}

type Read = fn(&Size) -> u64;

const FAMILIES: [(&str, &str, Read); 5] = [
    (
        "node_filesystem_avail_bytes",
        "Bytes that users other than root may still take.",
        |s| s.avail_bytes,
    ),
    (
        "node_filesystem_files",
        "Files that the file system can hold.",
        |s| s.files,
    ),
    (
        "node_filesystem_files_free",
        "Files that it can still take.",
        |s| s.files_free,
    ),
    ("node_filesystem_free_bytes", "Bytes that are not taken.", |s| {
        s.free_bytes
    }),
    (
        "node_filesystem_size_bytes",
        "Bytes of the whole file system.",
        |s| s.size_bytes,
    ),
];

fn write(rows: &[Row], answers: &[Result<Size, NoSize>], out: &mut Encoder) {
    let mut family = out.family(
        "node_filesystem_device_error",
        Kind::Gauge,
        "1 if the file system could not be asked, with the cause as a label.",
    );
    for (row, answer) in rows.iter().zip(answers) {
        match answer {
            Ok(_) => family.labelled(&row.labels, 0_u64),
            Err(why) => family.labelled(&row.labels.with("device_error", &cause(*why)), 1_u64),
        }
    }
    let known: Vec<(&Row, &Size)> = rows
        .iter()
        .zip(answers)
        .filter_map(|(row, answer)| Some((row, answer.as_ref().ok()?)))
        .collect();
    let read_only = known
        .iter()
        .map(|(row, size)| (&row.labels, row.read_only || size.read_only));
    out.samples(
        "node_filesystem_readonly",
        Kind::Gauge,
        "1 if mounted read-only.",
        read_only,
    );
    for (name, help, read) in FAMILIES {
        let found = known.iter().map(|(row, size)| (&row.labels, read(size)));
        out.samples(name, Kind::Gauge, help, found);
    }
}

fn cause(why: NoSize) -> String {
    match why {
        NoSize::Failed(kind) => kind.to_string(),
        NoSize::Stuck => "mountpoint timeout".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(point: &str, fs_type: &str) -> Mount {
        Mount {
            device: "d".into(),
            point: point.into(),
            fs_type: fs_type.into(),
            read_only: false,
        }
    }

    #[test]
    fn defaults_leave_out_what_is_no_store_of_the_hosts() {
        let filter = FilesystemFilter::default();
        for point in [
            "/",
            "/devices",
            "/run",
            "/var/lib/docker",
            "/run/credentials",
            "/home/dev",
        ] {
            assert!(filter.keeps(&mount(point, "ext4")), "{point}");
        }
        for point in [
            "/dev",
            "/dev/shm",
            "/proc/x",
            "/sys/fs",
            "/var/lib/docker/a",
            "/run/credentials/x.service",
        ] {
            assert!(!filter.keeps(&mount(point, "tmpfs")), "{point}");
        }
        assert!(!filter.keeps(&mount("/", "overlay")));
    }

    #[test]
    fn mount_in_error_tells_only_that() {
        let rows = [mount("/", "ext4"), mount("/nfs", "nfs")].map(|mount| Row::new(&mount, PathBuf::new()));
        let size = Size {
            size_bytes: 5,
            free_bytes: 4,
            avail_bytes: 3,
            files: 2,
            files_free: 1,
            read_only: true,
        };
        let mut out = Encoder::default();
        write(&rows, &[Ok(size), Err(NoSize::Stuck)], &mut out);
        let text = String::from_utf8(out.finish()).unwrap();
        assert_eq!(
            text.lines()
                .filter(|line| line.contains("\"/nfs\""))
                .collect::<Vec<_>>(),
            [
                "node_filesystem_device_error{device=\"d\",fstype=\"nfs\",mountpoint=\"/nfs\",\
             device_error=\"mountpoint timeout\"} 1"
            ]
        );
        assert!(
            text.contains("node_filesystem_size_bytes{device=\"d\",fstype=\"ext4\",mountpoint=\"/\"} 5\n")
        );
        // The file system went read-only by itself, which no line of the table tells.
        assert!(text.contains("node_filesystem_readonly{device=\"d\",fstype=\"ext4\",mountpoint=\"/\"} 1\n"));
    }
}
