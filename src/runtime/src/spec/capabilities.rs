//! Capabilities: the defaults of Kubernetes' container daemons, what a pod adds and drops, and what this
//! process may hand on at all.

use std::collections::BTreeSet;

use pinnace_sys::process::CapabilitySet;

use super::oci;

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

/// What the container gets, and the names it asked for that this process cannot hand on.
pub fn resolve(
    privileged: bool,
    add: &[String],
    drop: &[String],
    own: CapabilitySet,
) -> (oci::Capabilities, Vec<String>) {
    let full = |name: &String| format!("CAP_{}", name.to_ascii_uppercase().trim_start_matches("CAP_"));
    let is_all = |name: &String| name.eq_ignore_ascii_case("ALL");
    let mut wanted: BTreeSet<String> = if privileged {
        own.names().map(str::to_owned).collect()
    } else if drop.iter().any(is_all) {
        BTreeSet::new()
    } else if add.iter().any(is_all) {
        own.names().map(str::to_owned).collect()
    } else {
        DEFAULTS.iter().map(|name| format!("CAP_{name}")).collect()
    };
    let mut refused = Vec::new();
    if !privileged {
        for name in add.iter().filter(|name| !is_all(name)).map(full) {
            if !own.has(&name) {
                refused.push(name.clone());
            }
            wanted.insert(name);
        }
        for name in drop.iter().filter(|name| !is_all(name)).map(full) {
            wanted.remove(&name);
        }
    }
    let names: Vec<String> = wanted.into_iter().filter(|name| own.has(name)).collect();
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
    fn drop_all_outweighs_add_all() {
        let (sets, _) = resolve(false, &names(&["ALL", "KILL"]), &names(&["ALL"]), EVERY);
        assert_eq!(sets.bounding, names(&["CAP_KILL"]));
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
        assert_eq!(refused, names(&["CAP_SYS_RESOURCE"]));
        assert_eq!(resolve(true, &[], &[], lacking).0.bounding.len(), 40);
    }
}
