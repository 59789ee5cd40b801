//! The cgroups that are read scrape after scrape, held open from one to the next.
//!
//! Invariants: only cgroups of the last scrape are held, and no more than a share of the descriptors that this
//! process may have; one that is gone is looked for by its path once more, since a pod's next sandbox has the
//! same. How many of a cgroup's processes were killed for want of memory takes a look at all cgroups beneath it
//! (version 1), so it is asked for again only after the kernel has killed anything on this host. What the cgroup is
//! set to is read again after [`SETTINGS_KEPT`].

use std::collections::HashMap;
use std::time::{Duration, Instant};

use pinnace_sys::SysResult;
use pinnace_sys::cgroup::{Cgroups, HeldCgroup};
use rustix::process::{Resource, getrlimit};

use super::cgroup::{self, Known, Settings, Usage};

/// Cgroups held at most; those past it are opened for each scrape.
const MOST_HELD: usize = 2048;
/// One takes up to four descriptors, and all together at most a quarter of those that there may be.
const LIMIT_SHARE: u64 = 16;

/// Settings hardly ever change, and nothing tells when they do.
const SETTINGS_KEPT: Duration = Duration::from_secs(60);

/// See the module's text.
pub(super) struct HeldGroups {
    cgroups: Cgroups,
    held: HashMap<String, Held>,
    most: usize,
    scrape: u64,
    host_kills: Option<u64>,
    /// The host's kills are the same as at the scrape before. The kernel counts them for the host just before
    /// it does for the cgroup, so only what is read in the second such scrape is known to stand.
    quiet: bool,
}

struct Held {
    group: HeldCgroup,
    kills: Option<u64>,
    settings: (Instant, Settings),
    scrape: u64,
}

impl Held {
    fn known(&self) -> Known {
        let (read, settings) = self.settings;
        Known {
            kills: self.kills,
            settings: (read.elapsed() < SETTINGS_KEPT).then_some(settings),
        }
    }
}

impl HeldGroups {
    pub(super) fn new(cgroups: Cgroups) -> Self {
        let share = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) / LIMIT_SHARE;
        Self {
            cgroups,
            held: HashMap::new(),
            most: usize::try_from(share).map_or(MOST_HELD, |share| share.min(MOST_HELD)),
            scrape: 0,
            host_kills: None,
            quiet: false,
        }
    }

    /// Begins a scrape; `host_kills` was read before any cgroup is.
    pub(super) fn begin(&mut self, host_kills: Option<u64>) {
        self.scrape += 1;
        self.quiet = host_kills.is_some() && host_kills == self.host_kills;
        self.host_kills = host_kills;
        if !self.quiet {
            self.held.values_mut().for_each(|held| held.kills = None);
        }
    }

    /// Reads the cgroup of this path; `None` where it is gone.
    pub(super) fn read(&mut self, path: &str) -> SysResult<Option<Usage>> {
        let version = self.cgroups.version();
        if let Some(held) = self.held.get_mut(path) {
            let known = held.known();
            if let Some(usage) = cgroup::read(&held.group, version, known)? {
                if known.settings.is_none() {
                    held.settings = (Instant::now(), usage.settings);
                }
                held.scrape = self.scrape;
                held.kills = kills(&usage, self.quiet);
                return Ok(Some(usage));
            }
            self.held.remove(path);
        }
        let Some(group) = self.cgroups.group(path)?.hold()? else {
            return Ok(None);
        };
        let usage = cgroup::read(&group, version, Known::default())?;
        if let Some(usage) = &usage
            && self.held.len() < self.most
        {
            let held = Held {
                group,
                kills: kills(usage, self.quiet),
                settings: (Instant::now(), usage.settings),
                scrape: self.scrape,
            };
            self.held.insert(path.to_owned(), held);
        }
        Ok(usage)
    }

    /// Ends a scrape: cgroups that were not read in it are held no longer.
    pub(super) fn end(&mut self) {
        let scrape = self.scrape;
        self.held.retain(|_, held| held.scrape == scrape);
    }
}

fn kills(usage: &Usage, quiet: bool) -> Option<u64> {
    let memory = usage.memory.as_ref().filter(|_| quiet);
    memory.map(|memory| memory.oom_kills)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pinnace_sys::mount::parse_mount_table;

    use super::*;

    const TABLE: &str = "31 23 0:28 / /cg/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
        32 23 0:29 / /cg/memory rw - cgroup cgroup rw,memory\n";

    fn write(root: &Path, group: &str, kills: u32) {
        let (cpu, memory) = (
            root.join("cg/cpu").join(group),
            root.join("cg/memory").join(group),
        );
        for (directory, file, content) in [
            (&cpu, "cpuacct.usage", "5\n".to_owned()),
            (&memory, "memory.usage_in_bytes", "7\n".to_owned()),
            (
                &memory,
                "memory.oom_control",
                format!("under_oom 0\noom_kill {kills}\n"),
            ),
        ] {
            std::fs::create_dir_all(directory).unwrap();
            std::fs::write(directory.join(file), content).unwrap();
        }
    }

    fn groups(root: &Path) -> HeldGroups {
        HeldGroups::new(Cgroups::from_mounts(&parse_mount_table(TABLE.as_bytes()), root).unwrap())
    }

    /// The kills that a scrape of one cgroup shows; `None` where it is gone.
    fn scrape(groups: &mut HeldGroups, path: &str, host_kills: Option<u64>) -> Option<u64> {
        groups.begin(host_kills);
        let usage = groups.read(path).unwrap();
        groups.end();
        usage.map(|usage| usage.memory.unwrap().oom_kills)
    }

    #[test]
    fn cgroup_that_is_gone_is_let_go_and_found_again_where_another_takes_its_place() {
        let root = tempfile::tempdir().unwrap();
        let mut groups = groups(root.path());
        assert_eq!(scrape(&mut groups, "p/c", None), None);
        write(root.path(), "p/c", 1);
        assert_eq!(scrape(&mut groups, "p/c", None), Some(1));
        for hierarchy in ["cpu", "memory"] {
            std::fs::remove_dir_all(root.path().join("cg").join(hierarchy).join("p/c")).unwrap();
        }
        assert_eq!(scrape(&mut groups, "p/c", None), None);
        assert!(groups.held.is_empty());
        write(root.path(), "p/c", 2);
        assert_eq!(scrape(&mut groups, "p/c", None), Some(2));
        write(root.path(), "p/d", 0);
        assert_eq!(scrape(&mut groups, "p/d", None), Some(0));
        assert_eq!(
            groups.held.keys().collect::<Vec<_>>(),
            ["p/d"],
            "held though not asked for"
        );
    }

    #[test]
    fn settings_are_read_again_once_they_are_old_and_for_another_cgroup_at_once() {
        let root = tempfile::tempdir().unwrap();
        let mut groups = groups(root.path());
        write(root.path(), "p/c", 0);
        let shares = |shares: u64| {
            let file = root.path().join("cg/cpu/p/c/cpu.shares");
            std::fs::write(file, format!("{shares}\n")).unwrap();
        };
        let seen = |groups: &mut HeldGroups| {
            groups.begin(None);
            let usage = groups.read("p/c").unwrap().unwrap();
            groups.end();
            usage.settings.cpu_shares
        };
        shares(2);
        assert_eq!(seen(&mut groups), Some(2));
        shares(1024);
        assert_eq!(seen(&mut groups), Some(2), "they were read though they are new");
        let (read, _) = &mut groups.held.get_mut("p/c").unwrap().settings;
        *read = read.checked_sub(SETTINGS_KEPT).unwrap();
        assert_eq!(seen(&mut groups), Some(1024));
        for hierarchy in ["cpu", "memory"] {
            std::fs::remove_dir_all(root.path().join("cg").join(hierarchy).join("p/c")).unwrap();
        }
        write(root.path(), "p/c", 0);
        shares(512);
        assert_eq!(seen(&mut groups), Some(512));
    }

    #[test]
    fn cgroups_past_the_bound_are_read_and_not_held() {
        let root = tempfile::tempdir().unwrap();
        let mut groups = groups(root.path());
        groups.most = 2;
        groups.begin(None);
        for name in ["a", "b", "c", "d"] {
            write(root.path(), name, 0);
            assert!(groups.read(name).unwrap().is_some());
        }
        groups.end();
        assert_eq!(groups.held.len(), 2);
    }

    #[test]
    fn kills_are_asked_for_again_once_the_host_has_counted_one_and_until_it_was_quiet() {
        let root = tempfile::tempdir().unwrap();
        let mut groups = groups(root.path());
        let path = "p/c";
        write(root.path(), path, 1);
        // The second scrape with the same count of the host reads what stands from then on.
        for host in [10, 10, 10] {
            assert_eq!(scrape(&mut groups, path, Some(host)), Some(1));
        }
        write(root.path(), path, 2);
        assert_eq!(
            scrape(&mut groups, path, Some(10)),
            Some(1),
            "it was asked for all the same"
        );
        assert_eq!(scrape(&mut groups, path, Some(11)), Some(2));
        // The host's count came before the cgroup's.
        write(root.path(), path, 3);
        assert_eq!(scrape(&mut groups, path, Some(11)), Some(3));
        // A host that does not count is asked each time.
        write(root.path(), path, 4);
        assert_eq!(scrape(&mut groups, path, None), Some(4));
        write(root.path(), path, 5);
        assert_eq!(scrape(&mut groups, path, None), Some(5));
    }
}
