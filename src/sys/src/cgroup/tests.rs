//! Both versions against fixtures, and the kernel's own against real groups.

use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::*;
use crate::mount::parse_mount_table;

const LIMIT: Duration = Duration::from_secs(10);

fn line(mount_point: &str, fs_type: &str, options: &str) -> String {
    format!("40 30 0:40 / {mount_point} rw,relatime - {fs_type} {fs_type} {options}\n")
}

fn hybrid() -> String {
    [
        line("/proc", "proc", "rw"),
        line("/sys/fs/cgroup/unified", "cgroup2", "rw,nsdelegate"),
        line("/sys/fs/cgroup/systemd", "cgroup", "rw,xattr,name=systemd"),
        line("/sys/fs/cgroup/cpu,cpuacct", "cgroup", "rw,cpu,cpuacct"),
        line("/sys/fs/cgroup/memory", "cgroup", "rw,memory"),
        line("/sys/fs/cgroup/pids", "cgroup", "rw,pids"),
        line("/sys/fs/cgroup/blkio", "cgroup", "rw,blkio"),
        line("/sys/fs/cgroup/cpuset", "cgroup", "rw,cpuset,cpuset_v2_mode"),
        line("/mnt/again", "cgroup", "rw,memory"),
    ]
    .concat()
}

fn unified() -> String {
    line("/sys/fs/cgroup", "cgroup2", "rw,nsdelegate,memory_recursiveprot")
}

/// A directory with the mount points of a list, and files within.
fn fixture(table: &str, files: &[(&str, &str)]) -> (tempfile::TempDir, Cgroups) {
    let root = tempfile::tempdir().unwrap();
    let groups = Cgroups::from_mounts(&parse_mount_table(table.as_bytes()), root.path()).unwrap();
    for hierarchy in groups.hierarchies() {
        std::fs::create_dir_all(&hierarchy.mount_point).unwrap();
    }
    for (path, content) in files {
        let path = root.path().join("sys/fs/cgroup").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    (root, groups)
}

fn content(root: &tempfile::TempDir, path: &str) -> String {
    std::fs::read_to_string(root.path().join("sys/fs/cgroup").join(path)).unwrap()
}

#[test]
fn a_hybrid_host_is_version_1_with_every_hierarchy_once() {
    let (_, groups) = fixture(&hybrid(), &[]);
    assert_eq!(groups.version(), CgroupVersion::V1);
    assert_eq!(groups.hierarchies().len(), 7);
    let group = groups.group("/kubepods/pod1").unwrap();
    let cpu = group.directory("cpu").unwrap();
    assert!(cpu.ends_with("sys/fs/cgroup/cpu,cpuacct/kubepods/pod1"));
    assert_eq!(Some(cpu), group.directory("cpuacct"));
    assert!(
        group
            .directory("memory")
            .unwrap()
            .ends_with("sys/fs/cgroup/memory/kubepods/pod1")
    );
    assert_eq!(group.directory("hugetlb"), None);
}

#[test]
fn a_unified_host_is_version_2_and_none_is_an_error() {
    let (_, groups) = fixture(&unified(), &[]);
    assert_eq!(groups.version(), CgroupVersion::V2);
    let group = groups.group("kubepods").unwrap();
    assert!(
        group
            .directory("memory")
            .unwrap()
            .ends_with("sys/fs/cgroup/kubepods")
    );
    let with_systemd = unified() + &line("/run/systemd-cgroup", "cgroup", "rw,name=systemd");
    let (_, groups) = fixture(&with_systemd, &[]);
    assert_eq!(
        (groups.version(), groups.hierarchies().len()),
        (CgroupVersion::V2, 1)
    );
    let mounts = parse_mount_table(line("/proc", "proc", "rw").as_bytes());
    assert!(Cgroups::from_mounts(&mounts, Path::new("/")).is_err());
}

#[test]
fn no_path_leads_out_of_the_hierarchies() {
    let (_, groups) = fixture(&unified(), &[]);
    for path in ["", "/", "..", "a/../../b", "//"] {
        assert!(groups.group(path).is_err(), "{path}");
    }
    assert!(groups.group("a").unwrap().child("../b").is_err());
}

#[test]
fn limits_of_version_1_go_to_its_files() {
    let files = [
        "cpu,cpuacct/p/cpu.shares",
        "cpu,cpuacct/p/cpu.cfs_period_us",
        "cpu,cpuacct/p/cpu.cfs_quota_us",
        "memory/p/memory.limit_in_bytes",
    ];
    let (root, groups) = fixture(&hybrid(), &files.map(|file| (file, "")));
    let limits = CgroupLimits {
        cpu_shares: Some(512),
        cpu_weight: Some(20),
        cpu_quota_us: Some(50_000),
        cpu_period_us: 0,
        memory_limit_bytes: None,
        pids_limit: Some(7),
    };
    let absent = groups.group("p").unwrap().apply(&limits).unwrap();
    assert_eq!(absent, ["pids"]);
    assert_eq!(
        files.map(|file| content(&root, file)),
        ["512", "100000", "50000", "-1"]
    );
}

#[test]
fn limits_of_version_2_go_to_its_files() {
    let files = ["p/cpu.weight", "p/cpu.max", "p/memory.max", "p/pids.max"];
    let (root, groups) = fixture(&unified(), &files.map(|file| (file, "a longer text than any")));
    let group = groups.group("p").unwrap();
    let limits = CgroupLimits {
        cpu_shares: Some(512),
        cpu_weight: Some(20),
        cpu_quota_us: Some(5_000),
        cpu_period_us: 20_000,
        memory_limit_bytes: Some(1 << 30),
        pids_limit: None,
    };
    assert!(group.apply(&limits).unwrap().is_empty());
    assert_eq!(
        files.map(|file| content(&root, file)),
        ["20", "5000 20000", "1073741824", "max"]
    );
    group.apply(&CgroupLimits::default()).unwrap();
    assert_eq!(
        files.map(|file| content(&root, file)),
        ["20", "max 100000", "max", "max"]
    );
}

#[test]
fn statistics_of_version_1() {
    let (_root, groups) = fixture(
        &hybrid(),
        &[
            ("cpu,cpuacct/p/cpuacct.usage", "3000000123\n"),
            ("cpu,cpuacct/p/cpuacct.usage_user", "2000000000\n"),
            ("cpu,cpuacct/p/cpuacct.usage_sys", "1000000000\n"),
            (
                "cpu,cpuacct/p/cpu.stat",
                "nr_periods 10\nnr_throttled 3\nthrottled_time 456\n",
            ),
            ("memory/p/memory.usage_in_bytes", "1000\n"),
            ("memory/p/memory.max_usage_in_bytes", "2000\n"),
            ("memory/p/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/p/memory.failcnt", "4\n"),
            (
                "memory/p/memory.oom_control",
                "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
            ),
            (
                "memory/p/inner/memory.oom_control",
                "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
            ),
            (
                "memory/p/memory.stat",
                "cache 1\nrss 2\ntotal_cache 300\ntotal_rss 400\ntotal_mapped_file 50\ntotal_swap 60\n\
                 total_inactive_file 250\ntotal_active_file 70\ntotal_pgfault 8\ntotal_pgmajfault 9\n",
            ),
            ("pids/p/pids.current", "5\n"),
            ("pids/p/pids.max", "max\n"),
            (
                "blkio/p/blkio.throttle.io_service_bytes_recursive",
                "254:0 Read 10\n254:0 Write 20\n254:0 Sync 30\n254:0 Total 30\nTotal 30\n",
            ),
            (
                "blkio/p/blkio.throttle.io_serviced_recursive",
                "254:0 Read 1\n254:0 Write 2\nTotal 3\n",
            ),
        ],
    );
    let stats = groups.group("p").unwrap().stats().unwrap();
    let cpu = CpuStats {
        usage_ns: 3_000_000_123,
        user_ns: 2_000_000_000,
        system_ns: 1_000_000_000,
        periods: 10,
        throttled_periods: 3,
        throttled_ns: 456,
    };
    let memory = MemoryStats {
        usage_bytes: 1000,
        working_set_bytes: 750,
        max_usage_bytes: Some(2000),
        rss_bytes: 400,
        cache_bytes: 300,
        mapped_file_bytes: 50,
        swap_bytes: 60,
        inactive_file_bytes: 250,
        active_file_bytes: 70,
        limit_bytes: None,
        limit_hits: 4,
        oom_kills: 3,
        page_faults: 8,
        major_page_faults: 9,
    };
    let io = IoStats {
        major: 254,
        minor: 0,
        read_bytes: 10,
        write_bytes: 20,
        reads: 1,
        writes: 2,
    };
    assert_eq!(
        stats,
        CgroupStats {
            cpu: Some(cpu),
            memory: Some(memory),
            pids: Some(PidsStats {
                current: 5,
                limit: None
            }),
            io: vec![io],
        }
    );
}

#[test]
fn statistics_of_version_2() {
    let (_root, groups) = fixture(
        &unified(),
        &[
            (
                "p/cpu.stat",
                "usage_usec 3000\nuser_usec 2000\nsystem_usec 1000\nnr_periods 10\nnr_throttled 3\n\
                 throttled_usec 4\n",
            ),
            ("p/memory.current", "1000\n"),
            ("p/memory.peak", "2000\n"),
            ("p/memory.max", "4096\n"),
            ("p/memory.swap.current", "60\n"),
            (
                "p/memory.events",
                "low 0\nhigh 0\nmax 4\noom 2\noom_kill 3\noom_group_kill 0\n",
            ),
            (
                "p/memory.stat",
                "anon 400\nfile 300\nfile_mapped 50\ninactive_file 1250\nactive_file 70\npgfault 8\npgmajfault 9\n",
            ),
            ("p/pids.current", "5\n"),
            ("p/pids.max", "100\n"),
            (
                "p/io.stat",
                "254:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n8:0 rbytes=5 wbytes=6 rios=7 wios=8\n",
            ),
        ],
    );
    let group = groups.group("p").unwrap();
    let stats = group.stats().unwrap();
    let cpu = stats.cpu.unwrap();
    assert_eq!(
        (cpu.usage_ns, cpu.throttled_ns, cpu.throttled_periods),
        (3_000_000, 4_000, 3)
    );
    let memory = stats.memory.unwrap();
    assert_eq!((memory.working_set_bytes, memory.limit_bytes), (0, Some(4096)));
    assert_eq!(
        (memory.rss_bytes, memory.cache_bytes, memory.swap_bytes),
        (400, 300, 60)
    );
    assert_eq!((memory.limit_hits, memory.oom_kills), (4, 3));
    assert_eq!(group.oom_kills().unwrap(), Some(3));
    assert_eq!(
        stats.pids,
        Some(PidsStats {
            current: 5,
            limit: Some(100)
        })
    );
    assert_eq!(
        stats
            .io
            .iter()
            .map(|io| (io.major, io.writes))
            .collect::<Vec<_>>(),
        [(8, 8), (254, 4)]
    );
}

#[test]
fn a_group_that_is_not_there_has_no_statistics_and_is_no_error() {
    for table in [hybrid(), unified()] {
        let (_root, groups) = fixture(&table, &[]);
        let group = groups.group("absent").unwrap();
        assert_eq!(group.stats().unwrap(), CgroupStats::default());
        assert_eq!(group.oom_kills().unwrap(), None);
        assert!(group.processes().unwrap().is_empty() && group.children().unwrap().is_empty());
        group.kill(LIMIT).unwrap();
        group.remove(LIMIT).unwrap();
    }
}

#[test]
fn controllers_of_version_2_are_handed_down_on_the_way() {
    let (root, groups) = fixture(
        &unified(),
        &[
            ("cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma\n"),
            ("cgroup.subtree_control", "memory cpu cpuset io\n"),
        ],
    );
    let group = groups.group("kubepods/pod1").unwrap();
    group.create().unwrap();
    assert!(group.is_complete());
    // A plain file keeps only the last order; a controller that is on is not ordered again.
    assert_eq!(content(&root, "cgroup.subtree_control"), "+pids");
}

struct RealGroup(Cgroup, Vec<Child>);

impl RealGroup {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "pinnace-test-{}-{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        let group = Cgroups::detect().unwrap().group(name).unwrap();
        group.create().unwrap();
        Self(group, Vec::new())
    }

    fn run(&mut self, group: &Cgroup, script: &str) -> u32 {
        let directories: Vec<_> = group.directories().collect();
        let joins: Vec<String> = directories
            .iter()
            .map(|directory| format!("echo $$ > {}/cgroup.procs;", directory.display()))
            .collect();
        let script = format!("set -e; {} {script}", joins.concat());
        let child = Command::new("sh").arg("-c").arg(script).spawn().unwrap();
        let pid = child.id();
        self.1.push(child);
        pid
    }
}

impl Drop for RealGroup {
    fn drop(&mut self) {
        let _ = self.0.kill(LIMIT);
        for child in &mut self.1 {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = self.0.remove(LIMIT);
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !done() {
        assert!(begun.elapsed() < LIMIT, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_real_group_is_made_everywhere_limited_and_removed_without_a_trace() {
    let real = RealGroup::new();
    let group = real.0.child("pod/container").unwrap();
    group.create().unwrap();
    group.create().unwrap();
    assert!(group.is_complete());
    assert_eq!(real.0.children().unwrap(), ["pod"]);
    let limits = CgroupLimits {
        cpu_shares: Some(512),
        cpu_weight: Some(20),
        cpu_quota_us: Some(25_000),
        cpu_period_us: 50_000,
        memory_limit_bytes: Some(64 << 20),
        pids_limit: Some(9),
    };
    assert!(group.apply(&limits).unwrap().is_empty());
    let stats = group.stats().unwrap();
    assert_eq!(stats.memory.unwrap().limit_bytes, Some(64 << 20));
    assert_eq!(stats.pids.unwrap().limit, Some(9));
    let bounded = CgroupLimits {
        cpu_period_us: 100_000,
        cpu_quota_us: Some(200_000),
        ..limits
    };
    group.apply(&bounded).unwrap();
    group.apply(&CgroupLimits::default()).unwrap();
    assert_eq!(group.stats().unwrap().memory.unwrap().limit_bytes, None);
    real.0.remove(LIMIT).unwrap();
    real.0.remove(LIMIT).unwrap();
    assert!(!real.0.exists());
}

#[test]
fn all_processes_of_a_real_group_end_also_frozen_forking_and_nested_ones() {
    let mut real = RealGroup::new();
    // Version 2 lets no group have both processes and groups beneath.
    let (group, forking, inner) = (
        real.0.clone(),
        real.0.child("forking").unwrap(),
        real.0.child("deep/inner").unwrap(),
    );
    forking.create().unwrap();
    inner.create().unwrap();
    real.run(&forking, "while :; do sleep 0.001 & done");
    let nested = real.run(&inner, "exec sleep 1000");
    until("the processes have joined", || {
        inner.processes().unwrap() == [nested] && group.processes().unwrap().len() > 2
    });
    match group.groups.version() {
        CgroupVersion::V1 => inner.write("freezer", "freezer.state", "FROZEN").unwrap(),
        CgroupVersion::V2 => inner.write("", "cgroup.freeze", "1").unwrap(),
    }
    group.kill(LIMIT).unwrap();
    assert!(group.processes().unwrap().is_empty());
    assert!(!crate::process::stat(nested).is_ok_and(|stat| !stat.is_ended()));
}

#[test]
fn a_kill_for_want_of_memory_is_counted() {
    let mut real = RealGroup::new();
    let group = real.0.child("container").unwrap();
    group.create().unwrap();
    let limits = CgroupLimits {
        memory_limit_bytes: Some(8 << 20),
        ..CgroupLimits::default()
    };
    group.apply(&limits).unwrap();
    assert_eq!(group.oom_kills().unwrap(), Some(0));
    real.run(&group, "exec tail /dev/zero");
    until("the kernel has killed", || group.oom_kills().unwrap() > Some(0));
    assert!(real.0.oom_kills().unwrap() > Some(0));
}

#[test]
fn real_usage_is_counted() {
    let mut real = RealGroup::new();
    let group = real.0.clone();
    real.run(
        &group,
        "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exec sleep 1000",
    );
    until("CPU time, memory and processes are counted", || {
        let stats = group.stats().unwrap();
        stats.cpu.unwrap().usage_ns > 1_000_000
            && stats.memory.unwrap().usage_bytes > 0
            && stats.pids.unwrap().current == 1
    });
}

#[test]
fn a_group_held_open_tells_the_same_and_nothing_once_it_is_removed() {
    let mut real = RealGroup::new();
    let group = real.0.child("held").unwrap();
    assert!(group.hold().unwrap().is_none(), "there is no such group yet");
    group.create().unwrap();
    let held = group.hold().unwrap().unwrap();
    real.run(&group, "exec sleep 1000");
    until("the group's process is counted", || {
        held.pids_stats().unwrap().is_some_and(|pids| pids.current == 1)
    });
    let stats = group.stats().unwrap();
    assert_eq!(
        held.memory_stats(None).unwrap().map(|memory| memory.limit_bytes),
        Some(None)
    );
    assert_eq!(
        held.memory_stats(Some(7)).unwrap().is_some(),
        stats.memory.is_some()
    );
    assert!(held.cpu_stats().unwrap().unwrap().usage_ns >= stats.cpu.unwrap().usage_ns);
    assert_eq!(held.pids_stats().unwrap(), stats.pids);
    let processes = |held: &HeldCgroup| held.read_with("cpu", "cgroup.procs", |text| text.lines().count());
    assert_eq!(processes(&held).unwrap(), Some(1));
    assert_eq!(held.number("cpu", "no.such.file").unwrap(), None);
    group.kill(LIMIT).unwrap();
    group.remove(LIMIT).unwrap();
    assert_eq!(held.cpu_stats().unwrap(), None);
    group.create().unwrap();
    assert_eq!(processes(&held).unwrap(), None, "another group in its place");
}

#[test]
fn files_of_any_length_are_read_whole_from_a_group_held_open() {
    let long: String = (1..=3000).map(|pid| format!("{pid}\n")).collect();
    let (_root, groups) = fixture(&unified(), &[("p/cgroup.procs", &long), ("p/memory.stat", &long)]);
    let held = groups.group("p").unwrap().hold().unwrap().unwrap();
    for name in ["cgroup.procs", "memory.stat"] {
        let lines = held
            .read_with("memory", name, |text| text.lines().count())
            .unwrap();
        assert_eq!(lines, Some(3000), "{name}");
    }
}
