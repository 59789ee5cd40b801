//! What this process may do.

use std::fmt;
use std::path::Path;

use crate::error::{SysError, SysResult};
use crate::file;

/// The kernel's capabilities in the order of their numbers.
const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// A set of capabilities.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CapabilitySet(pub u64);

impl CapabilitySet {
    /// Whether the capability of this name (`CAP_…`) is in it; an unknown name never is.
    pub fn has(self, name: &str) -> bool {
        capability_number(name).is_some_and(|number| self.0 & (1 << number) != 0)
    }

    /// The names of all in it that are known here, by number.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let known = NAMES.iter().enumerate();
        known
            .filter(move |(number, _)| self.0 & (1 << number) != 0)
            .map(|(_, name)| *name)
    }
}

impl fmt::Debug for CapabilitySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// The sets of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// What the kernel checks.
    pub effective: CapabilitySet,
    /// What may be made effective.
    pub permitted: CapabilitySet,
    /// What an executed program may gain; a container's set cannot exceed it.
    pub bounding: CapabilitySet,
}

/// The number of a capability by its name with `CAP_`.
pub fn capability_number(name: &str) -> Option<usize> {
    NAMES.iter().position(|known| *known == name)
}

/// The name of a capability by its number.
pub fn capability_name(number: usize) -> Option<&'static str> {
    NAMES.get(number).copied()
}

/// The capabilities of the calling thread.
pub fn capabilities() -> SysResult<Capabilities> {
    let path = Path::new("/proc/thread-self/status");
    let text = file::read_text(path, super::PROC_FILE_MAX)?;
    let set = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|value| u64::from_str_radix(value.trim(), 16).ok())
            .map(CapabilitySet)
            .ok_or_else(|| {
                let why = "capabilities are not in the kernel's format";
                SysError::on("parse", path, std::io::ErrorKind::InvalidData, why)
            })
    };
    Ok(Capabilities {
        effective: set("CapEff:")?,
        permitted: set("CapPrm:")?,
        bounding: set("CapBnd:")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_kernels() {
        assert_eq!(capability_number("CAP_CHOWN"), Some(0));
        assert_eq!(capability_number("CAP_SYS_ADMIN"), Some(21));
        assert_eq!(capability_number("CAP_SYS_RESOURCE"), Some(24));
        assert_eq!(capability_name(40), Some("CAP_CHECKPOINT_RESTORE"));
        assert_eq!(capability_number("CHOWN"), None);
    }

    #[test]
    fn a_set_names_its_members() {
        let set = CapabilitySet(0b10_0001);
        assert!(set.has("CAP_CHOWN") && set.has("CAP_KILL") && !set.has("CAP_FOWNER"));
        assert_eq!(set.names().collect::<Vec<_>>(), ["CAP_CHOWN", "CAP_KILL"]);
    }

    #[test]
    fn effective_ones_are_permitted() {
        let sets = capabilities().unwrap();
        assert_eq!(sets.effective.0 & !sets.permitted.0, 0);
    }
}
