//! Whole expositions of fixture hosts, compared with golden ones.
//!
//! `PINNACE_UPDATE_GOLDEN=1 cargo test -p pinnace-metrics --test golden` writes them anew; read the difference.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pinnace_core::time::WallMillis;
use pinnace_metrics::encode::Encoder;
use pinnace_metrics::{ContainerCollector, ContainerTarget, FilesystemFilter, Host, NodeCollectors};
use pinnace_sys::cgroup::Cgroups;
use pinnace_sys::mount::parse_mount_table;

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// Values that no two runs share.
const VOLATILE: [&str; 8] = [
    "container_last_seen",
    "node_filesystem_avail_bytes",
    "node_filesystem_files",
    "node_filesystem_files_free",
    "node_filesystem_free_bytes",
    "node_filesystem_size_bytes",
    "node_scrape_collector_duration_seconds",
    "node_time_seconds",
];

fn steady(text: Vec<u8>) -> String {
    let mut steady = String::new();
    for line in String::from_utf8(text).unwrap().lines() {
        let name = line.split(['{', ' ']).next().unwrap();
        match VOLATILE.contains(&name) {
            true => steady.push_str(&format!("{} *\n", line.rsplit_once(' ').unwrap().0)),
            false => steady.push_str(&format!("{line}\n")),
        }
    }
    steady
}

fn compare(name: &str, found: &str) {
    let path = tests().join("golden").join(name);
    if std::env::var_os("PINNACE_UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, found).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    for (number, (found, golden)) in found.lines().zip(golden.lines()).enumerate() {
        assert_eq!(found, golden, "{}, line {}", path.display(), number + 1);
    }
    assert_eq!(
        found.lines().count(),
        golden.lines().count(),
        "{}",
        path.display()
    );
    assert_well_formed(found);
}

/// A family has one header and one block of samples, and no series comes twice.
fn assert_well_formed(text: &str) {
    let (mut headers, mut series, mut blocks) = (HashSet::new(), HashSet::new(), Vec::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert!(
                headers.insert(rest.split(' ').next().unwrap().to_owned()),
                "two headers: {line}"
            );
        } else if !line.starts_with('#') {
            assert!(
                series.insert(line.rsplit_once(' ').unwrap().0.to_owned()),
                "twice: {line}"
            );
            let name = line.split(['{', ' ']).next().unwrap().to_owned();
            assert!(headers.contains(&name), "no header before: {line}");
            if blocks.last() != Some(&name) {
                assert!(!blocks.contains(&name), "two blocks: {line}");
                blocks.push(name);
            }
        }
    }
}

fn node(host: Host) -> String {
    let filter = FilesystemFilter {
        insides: vec!["/run/credentials".into(), "/run/pinnace".into()],
        ..Default::default()
    };
    let mut collectors = NodeCollectors::new(host, filter, Duration::from_secs(20));
    let mut out = Encoder::default();
    collectors.collect(&mut out);
    steady(out.finish())
}

#[test]
fn node_families_are_golden() {
    compare("node.txt", &node(Host::beneath(&tests().join("fixtures/host"))));
}

#[test]
fn host_without_anything_fails_each_collector_and_no_more() {
    let empty = tempfile::tempdir().unwrap();
    let text = node(Host::beneath(empty.path()));
    compare("node-empty.txt", &text);
    // The clock needs no file.
    let working: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("node_scrape_collector_success") && line.ends_with(" 1"))
        .collect();
    assert_eq!(working, ["node_scrape_collector_success{collector=\"time\"} 1"]);
}

#[test]
fn broken_file_fails_its_collector_alone() {
    let dir = tempfile::tempdir().unwrap();
    let host = Host {
        proc: dir.path().to_owned(),
        ..Host::beneath(&tests().join("fixtures/host"))
    };
    std::fs::write(dir.path().join("loadavg"), "0.21 0.37 0.39 1/719 19737\n").unwrap();
    std::fs::write(dir.path().join("meminfo"), "MemTotal: 1 kB\nMemFree: many kB\n").unwrap();
    let text = node(host);
    assert!(text.contains("node_load1 0.21\n") && text.contains("success{collector=\"loadavg\"} 1\n"));
    assert!(!text.contains("node_memory_") && text.contains("success{collector=\"meminfo\"} 0\n"));
}

fn targets() -> Vec<ContainerTarget> {
    let pod = "kubepods/burstable/pod8a7f3c0e-0001-4c4b-9d6e-1f2e3d4c5b6a";
    let target = |pod: &str, container: &str, image: &str, name: &str, cgroup: String| ContainerTarget {
        namespace: "default".into(),
        pod: pod.into(),
        container: container.into(),
        image: image.into(),
        name: name.into(),
        cgroup,
        started_at: (!container.is_empty()).then_some(WallMillis(1_700_000_000_250)),
        earlier_oom_kills: u64::from(container == "nginx") * 2,
    };
    vec![
        target(
            "web",
            "nginx",
            "docker.io/library/nginx:1.27",
            "3f1c0b7d9a52",
            format!("{pod}/3f1c0b7d9a52"),
        ),
        target("web", "", "", "", pod.into()),
        target("gone", "main", "x", "dead", "kubepods/podgone/dead".into()),
        target(
            "free",
            "main",
            "docker.io/library/busybox:1.36",
            "77aa",
            "/kubepods/besteffort/podb0000000-0002-4c4b-9d6e-1f2e3d4c5b6a/77aa".into(),
        ),
    ]
}

fn containers(fixture: &str) -> String {
    let root = tests().join("fixtures").join(fixture);
    let table = std::fs::read(root.join("proc/self/mountinfo")).unwrap();
    let cgroups = Cgroups::from_mounts(&parse_mount_table(&table), &root).unwrap();
    let mut out = Encoder::default();
    let counts = ContainerCollector::new(cgroups, Arc::new(targets)).collect(None, &mut out);
    assert_eq!(counts, (3, 1), "read, gone");
    steady(out.finish())
}

#[test]
fn container_families_of_cgroup_v1_are_golden() {
    compare("containers-v1.txt", &containers("cgroup-v1"));
}

#[test]
fn container_families_of_cgroup_v2_are_golden() {
    compare("containers-v2.txt", &containers("cgroup-v2"));
}

#[test]
fn both_versions_tell_the_same_where_they_can() {
    let (v1, v2) = (containers("cgroup-v1"), containers("cgroup-v2"));
    for family in [
        "container_cpu_cfs_throttled_seconds_total",
        "container_memory_working_set_bytes",
        "container_memory_rss",
        "container_memory_cache",
        "container_oom_events_total",
        "container_spec_memory_limit_bytes",
        "container_spec_cpu_quota",
    ] {
        let of = |text: &str| -> Vec<String> {
            let start = format!("{family}{{");
            let lines = text
                .lines()
                .filter(|line| line.starts_with(&start) && line.contains("\"nginx\""));
            lines.map(str::to_owned).collect()
        };
        assert_eq!(of(&v1).len(), 1, "{family}");
        assert_eq!(of(&v1), of(&v2));
    }
}
