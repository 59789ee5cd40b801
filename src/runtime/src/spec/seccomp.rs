//! The default seccomp profile: an allow-list, as Kubernetes' `RuntimeDefault` promises it.
//!
//! The list itself is data (`seccomp.json`): calls that are always allowed, those that come with a
//! capability, those of one architecture. What needs arguments to be looked at is here: `clone` without new
//! namespaces, `personality` with harmless values, `socket` but for `AF_VSOCK` (the machine's own hypervisor)
//! and `AF_ALG` (the kernel's cryptography). `clone3` hides its flags behind a pointer, so it answers ENOSYS
//! and the C library falls back to `clone`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::local_seccomp::LocalProfile;

/// `CLONE_NEWNS`, `…CGROUP`, `…UTS`, `…IPC`, `…USER`, `…PID`, `…NET`.
const CLONE_NAMESPACES: u64 = 0x7e02_0000;
/// Linux, UNAME26, PER_LINUX32, both, and "only ask".
const PERSONALITIES: [u64; 5] = [0x0, 0x2_0000, 0x8, 0x2_0008, 0xffff_ffff];
/// `AF_ALG`: all families before it are allowed.
const FIRST_FORBIDDEN_FAMILY: u64 = 38;
/// After it: `AF_NFC`, then past `AF_VSOCK` (40) `AF_KCM` to `AF_MCTP`. One family for each rule: of several
/// comparisons of one argument in a rule, OCI runtimes let any single one do.
const ALLOWED_AFTER: [u64; 6] = [39, 41, 42, 43, 44, 45];
const ENOSYS: u32 = 38;

/// `linux.seccomp` of the OCI specification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    default_action: &'static str,
    architectures: &'static [&'static str],
    syscalls: Vec<Rule>,
}

/// Which filter a container gets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Filter {
    /// None.
    #[default]
    None,
    /// The default profile, by the container's capabilities.
    Default,
    /// One of the node's own, see [`super::local_seccomp`].
    Local(Box<LocalProfile>),
}

/// `linux.seccomp`, ours or the node's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Seccomp {
    /// The default profile.
    Default(Profile),
    /// One of the node's own.
    Local(Box<LocalProfile>),
}

impl Filter {
    /// The filter for a container with these capabilities (`CAP_…`).
    pub fn resolve(self, architecture: &str, bounding: &[String]) -> Option<Seccomp> {
        match self {
            Filter::None => None,
            Filter::Default => profile(architecture, bounding).map(Seccomp::Default),
            Filter::Local(profile) => Some(Seccomp::Local(profile)),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    names: Vec<String>,
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    errno_ret: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    args: Vec<Argument>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Argument {
    index: u32,
    value: u64,
    value_two: u64,
    op: &'static str,
}

#[derive(Deserialize)]
struct List {
    always: BTreeSet<String>,
    with_capability: BTreeMap<String, Vec<String>>,
    on_architecture: BTreeMap<String, Vec<String>>,
}

/// The list is part of the program and parsed once; a test holds that it parses.
fn list() -> &'static List {
    static LIST: OnceLock<List> = OnceLock::new();
    LIST.get_or_init(|| {
        serde_json::from_str(include_str!("seccomp.json")).unwrap_or(List {
            always: BTreeSet::new(),
            with_capability: BTreeMap::new(),
            on_architecture: BTreeMap::new(),
        })
    })
}

fn architectures(architecture: &str) -> &'static [&'static str] {
    match architecture {
        "x86_64" => &["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "aarch64" => &["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
        _ => &[],
    }
}

fn allow(names: Vec<String>, args: Vec<Argument>) -> Rule {
    Rule {
        names,
        action: "SCMP_ACT_ALLOW",
        errno_ret: None,
        args,
    }
}

/// The profile for a container with these capabilities (`CAP_…`); `None` on an architecture without a list.
pub fn profile(architecture: &str, bounding: &[String]) -> Option<Profile> {
    let architectures = architectures(architecture);
    if architectures.is_empty() {
        return None;
    }
    let list = list();
    let mut names = list.always.clone();
    names.extend(
        list.on_architecture
            .get(architecture)
            .into_iter()
            .flatten()
            .cloned(),
    );
    for (_, calls) in list
        .with_capability
        .iter()
        .filter(|(cap, _)| bounding.contains(&format!("CAP_{cap}")))
    {
        names.extend(calls.iter().cloned());
    }
    let admin = names.contains("clone3");
    let mut syscalls = vec![allow(names.into_iter().collect(), Vec::new())];
    for value in PERSONALITIES {
        let argument = Argument {
            index: 0,
            value,
            value_two: 0,
            op: "SCMP_CMP_EQ",
        };
        syscalls.push(allow(vec!["personality".to_owned()], vec![argument]));
    }
    let family = |value, op| Argument {
        index: 0,
        value,
        value_two: 0,
        op,
    };
    let before = family(FIRST_FORBIDDEN_FAMILY, "SCMP_CMP_LT");
    let after = ALLOWED_AFTER.map(|value| family(value, "SCMP_CMP_EQ"));
    for argument in std::iter::once(before).chain(after) {
        syscalls.push(allow(vec!["socket".to_owned()], vec![argument]));
    }
    if !admin {
        let no_namespace = Argument {
            index: 0,
            value: CLONE_NAMESPACES,
            value_two: 0,
            op: "SCMP_CMP_MASKED_EQ",
        };
        syscalls.push(allow(vec!["clone".to_owned()], vec![no_namespace]));
        syscalls.push(Rule {
            names: vec!["clone3".to_owned()],
            action: "SCMP_ACT_ERRNO",
            errno_ret: Some(ENOSYS),
            args: Vec::new(),
        });
    }
    Some(Profile {
        default_action: "SCMP_ACT_ERRNO",
        architectures,
        syscalls,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(profile: &Profile, name: &str) -> bool {
        profile
            .syscalls
            .iter()
            .any(|rule| rule.action == "SCMP_ACT_ALLOW" && rule.names.iter().any(|known| known == name))
    }

    #[test]
    fn the_list_is_whole_and_names_each_call_once() {
        let list = list();
        assert!(list.always.len() > 300);
        for call in list.with_capability.values().flatten() {
            assert!(!list.always.contains(call), "{call} needs no capability then");
        }
    }

    #[test]
    fn what_needs_a_capability_is_allowed_with_it_only() {
        let plain = profile("x86_64", &[]).expect("a profile");
        let admin = profile("x86_64", &["CAP_SYS_ADMIN".to_owned()]).expect("a profile");
        assert!(!allowed(&plain, "mount") && allowed(&admin, "mount"));
        assert!(!allowed(&plain, "clone3") && allowed(&admin, "clone3"));
        assert!(!allowed(&plain, "io_uring_setup") && !allowed(&plain, "keyctl"));
    }

    #[test]
    fn both_architectures_have_a_list_and_others_none() {
        assert!(allowed(&profile("x86_64", &[]).expect("a profile"), "arch_prctl"));
        assert!(!allowed(
            &profile("aarch64", &[]).expect("a profile"),
            "arch_prctl"
        ));
        assert!(profile("vax", &[]).is_none());
    }
}
