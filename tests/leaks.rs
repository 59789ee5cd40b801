//! What a node has on the host, found by its root alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::network::Place;

/// Folders of the node in every cgroup hierarchy, those of its own included, which are there as long as a pod is.
pub fn cgroup_folders(root: &Path) -> Vec<PathBuf> {
    let mut hierarchies = entries(Path::new("/sys/fs/cgroup"));
    hierarchies.push(PathBuf::from("/sys/fs/cgroup"));
    let name = cgroup_folder(root);
    let folders = hierarchies.iter().map(|hierarchy| hierarchy.join(&name));
    folders.filter(|path| path.exists()).collect()
}

/// Everything of a node that outlives processes, and the processes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Traces {
    /// Mount points below the root.
    pub mounts: BTreeSet<String>,
    /// Pods' cgroups in every hierarchy.
    pub cgroups: BTreeSet<PathBuf>,
    /// Command lines of processes that name the root, or that run in one of the cgroups.
    pub processes: BTreeSet<String>,
    /// Files and folders of pods, leases of their addresses among them.
    pub files: BTreeSet<PathBuf>,
    /// Interfaces of pods, those that are about to go among them.
    pub links: BTreeSet<String>,
    /// Elements of the node's rules that are of a pod: its UID with how many there are.
    pub elements: BTreeMap<String, usize>,
    /// The node's rule table, or what is left on the loopback interface without one.
    pub own: BTreeSet<String>,
}

impl Traces {
    /// Looks at the host.
    pub fn of(root: &Path) -> Self {
        let root_text = root.to_str().unwrap();
        let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mounts = mountinfo.lines().filter_map(|line| line.split(' ').nth(4));
        let mounts = mounts
            .filter(|point| point.starts_with(root_text))
            .map(str::to_owned)
            .collect();
        let files = [
            "run/pinnace/pods",
            "var/log/pods",
            "var/log/containers",
            "var/lib/pinnace/volumes",
            "var/lib/pinnace/writable",
            "var/lib/pinnace/pods",
            "run/pinnace/network/leases",
        ];
        let files = files
            .iter()
            .flat_map(|folder| entries(&root.join(folder)))
            .collect();
        Self {
            mounts,
            cgroups: cgroups(root),
            processes: processes(root_text),
            files,
            ..Self::default()
        }
    }

    /// Looks at a host's network too.
    pub fn add_network(&mut self, root: &Path, place: &Place) {
        let tag = pinnace_sys::Layout::new(root).tag();
        let alias = format!("alias pinnace {tag} ");
        let links = place.run("ip -o link show");
        self.links = links
            .lines()
            .filter(|line| line.contains(&alias))
            .map(str::to_owned)
            .collect();
        let table = rule_table(root);
        self.elements = elements(place, &table);
        let tables = place.run("nft list tables");
        let is_own = |line: &&str| *line == format!("table inet {table}");
        self.own = tables.lines().filter(is_own).map(str::to_owned).collect();
        let loopback = place.run("ip -o address show dev lo");
        let words = loopback.split_whitespace();
        let given = words.filter(|word| word.contains('/') && !OF_EVERY_LOOPBACK.contains(word));
        // Nothing tells of which node they are; where no node is, they are nobody's.
        if !tables.contains("pinnace-") {
            self.own.extend(given.map(str::to_owned));
        }
    }

    /// Nothing at all.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Addresses that every loopback interface has.
const OF_EVERY_LOOPBACK: [&str; 2] = ["127.0.0.1/8", "::1/128"];

/// The name of the node's rule table, of family `inet`.
pub fn rule_table(root: &Path) -> String {
    format!("pinnace-{}", pinnace_sys::Layout::new(root).tag())
}

/// The commented elements of all sets and maps, counted by comment.
fn elements(place: &Place, table: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    if !place
        .run("nft list tables")
        .lines()
        .any(|line| line == format!("table inet {table}"))
    {
        return found;
    }
    let listed = place.run(&format!("nft -j list table inet {table}"));
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let sets = listed["nftables"].as_array().unwrap().iter();
    let sets = sets.filter_map(|item| item.get("set").or_else(|| item.get("map")));
    for element in sets.flat_map(|set| set["elem"].as_array().into_iter().flatten()) {
        // Of a map, an element is a pair of key and value.
        let element = element.as_array().map_or(element, |pair| &pair[0]);
        if let Some(comment) = element["elem"]["comment"].as_str() {
            *found.entry(comment.to_owned()).or_default() += 1;
        }
    }
    found
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder)
        .map(|all| all.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default()
}

/// The folder that all cgroups of a node with this root lie in, as `Layout::tag` names it.
pub fn cgroup_folder(root: &Path) -> String {
    format!("pinnace-{}", pinnace_sys::Layout::new(root).tag())
}

fn cgroups(root: &Path) -> BTreeSet<PathBuf> {
    let name = cgroup_folder(root);
    let mut hierarchies = entries(Path::new("/sys/fs/cgroup"));
    hierarchies.push(PathBuf::from("/sys/fs/cgroup"));
    let mut found = BTreeSet::new();
    for hierarchy in hierarchies {
        let kubepods = hierarchy.join(&name).join("kubepods");
        for folder in entries(&kubepods).into_iter().filter(|path| path.is_dir()) {
            let pods = std::iter::once(folder.clone()).chain(entries(&folder));
            found.extend(pods.filter(|path| {
                path.is_dir()
                    && path
                        .file_name()
                        .is_some_and(|name| name.to_string_lossy().starts_with("pod"))
            }));
        }
    }
    found
}

fn processes(root: &str) -> BTreeSet<String> {
    let own = std::process::id().to_string();
    let mut found = BTreeSet::new();
    for process in entries(Path::new("/proc")) {
        let Some(pid) = process.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if pid == own || !pid.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let line = std::fs::read(process.join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let cgroup = std::fs::read_to_string(process.join("cgroup")).unwrap_or_default();
        if line.contains(root) || cgroup.contains(&cgroup_folder(Path::new(root))) {
            found.insert(format!("{pid} {line}"));
        }
    }
    found
}
