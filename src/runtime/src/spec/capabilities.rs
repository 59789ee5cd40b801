//! Capabilities: the defaults of Kubernetes' container daemons, what a pod adds and drops, and what this
//! process may hand on at all.

use std::collections::BTreeSet;

use super::oci;

/// All capabilities by number, as `linux/capability.h` counts them.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// What a container has when its pod says nothing.
const DEFAULTS: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

/// A set of capabilities, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapabilitySet(pub u64);

impl CapabilitySet {
    /// The set that a line such as `CapPrm:` of `/proc/PID/status` shows; `None` where there is no such line.
    pub fn from_status(status: &str, line: &str) -> Option<Self> {
        let hex = status.lines().find_map(|text| text.strip_prefix(line))?.trim();
        u64::from_str_radix(hex, 16).ok().map(Self)
    }

    fn holds(self, name: &str) -> bool {
        NAMES
            .iter()
            .position(|known| *known == name)
            .is_some_and(|bit| self.0 >> bit & 1 == 1)
    }

    /// Whether `CAP_SYS_RESOURCE` is in it.
    pub fn sys_resource(self) -> bool {
        self.holds("SYS_RESOURCE")
    }
}

/// What the container gets, and the names it asked for that this process cannot hand on.
pub fn resolve(
    privileged: bool,
    add: &[String],
    drop: &[String],
    own: CapabilitySet,
) -> (oci::Capabilities, Vec<String>) {
    let plain = |name: &String| name.trim_start_matches("CAP_").to_ascii_uppercase();
    let all = || {
        NAMES
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<BTreeSet<_>>()
    };
    let is_all = |name: &String| name.eq_ignore_ascii_case("ALL");
    let mut wanted: BTreeSet<String> = match privileged || add.iter().any(is_all) {
        true => all(),
        false if drop.iter().any(is_all) => BTreeSet::new(),
        false => DEFAULTS.iter().map(|name| (*name).to_owned()).collect(),
    };
    let mut refused = Vec::new();
    if !privileged {
        for name in add.iter().filter(|name| !is_all(name)).map(plain) {
            if !own.holds(&name) {
                refused.push(name.clone());
            }
            wanted.insert(name);
        }
        for name in drop.iter().filter(|name| !is_all(name)).map(plain) {
            wanted.remove(&name);
        }
    }
    let names: Vec<String> = wanted
        .into_iter()
        .filter(|name| own.holds(name))
        .map(|name| format!("CAP_{name}"))
        .collect();
    let sets = oci::Capabilities {
        bounding: names.clone(),
        effective: names.clone(),
        permitted: names,
    };
    (sets, refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: CapabilitySet = CapabilitySet((1 << 41) - 1);

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn without_a_word_a_container_gets_the_fourteen_defaults() {
        let (sets, refused) = resolve(false, &[], &[], EVERY);
        assert_eq!(sets.bounding.len(), 14);
        assert!(sets.bounding.contains(&"CAP_NET_RAW".to_owned()));
        assert!(!sets.bounding.contains(&"CAP_SYS_ADMIN".to_owned()));
        assert!(refused.is_empty());
    }

    #[test]
    fn drop_all_leaves_only_what_is_added() {
        let (sets, _) = resolve(
            false,
            &names(&["NET_BIND_SERVICE", "CAP_SYS_TIME"]),
            &names(&["ALL"]),
            EVERY,
        );
        assert_eq!(sets.effective, names(&["CAP_NET_BIND_SERVICE", "CAP_SYS_TIME"]));
    }

    #[test]
    fn add_all_with_a_drop_leaves_that_one_out() {
        let (sets, _) = resolve(false, &names(&["ALL"]), &names(&["SYS_ADMIN"]), EVERY);
        assert_eq!(sets.bounding.len(), 40);
        assert!(!sets.bounding.contains(&"CAP_SYS_ADMIN".to_owned()));
    }

    #[test]
    fn what_this_process_lacks_is_left_out_and_named() {
        let lacking = CapabilitySet(EVERY.0 & !(1 << 24));
        let (sets, refused) = resolve(false, &names(&["SYS_RESOURCE"]), &[], lacking);
        assert!(!sets.bounding.contains(&"CAP_SYS_RESOURCE".to_owned()));
        assert_eq!(refused, names(&["SYS_RESOURCE"]));
        assert_eq!(resolve(true, &[], &[], lacking).0.bounding.len(), 40);
    }

    #[test]
    fn the_kernels_line_is_read() {
        let status = "Name:\tx\nCapPrm:\t000001fffeffffff\n";
        let set = CapabilitySet::from_status(status, "CapPrm:").expect("a set");
        assert!(!set.sys_resource());
        assert!(set.holds("BPF"));
    }
}
