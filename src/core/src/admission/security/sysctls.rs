//! Which kernel parameters a pod may set, as the kubelet decides it.
//!
//! Safe are those that belong to a namespace of the pod and touch no other pod; every kernel that this node
//! runs on has all of them. Others are allowed by `allowedUnsafeSysctls`, and must be namespaced too.

use std::borrow::Cow;

use pinnace_api::pod::PodSpec;

/// The kubelet's reason.
pub const FORBIDDEN: &str = "SysctlForbidden";

/// Kubernetes' safe sysctls; those that the baseline standard allows are the same.
pub(super) const SAFE: [&str; 14] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    "net.ipv4.tcp_slow_start_after_idle",
    "net.ipv4.tcp_notsent_lowat",
];

/// The namespace that a parameter belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SysctlNamespace {
    /// IPC.
    Ipc,
    /// Network.
    Network,
}

impl SysctlNamespace {
    /// The namespace of a parameter, or of a pattern's beginning; `None` where none is known.
    pub fn of(name: &str) -> Option<Self> {
        let begins = |prefix: &&str| name.starts_with(prefix);
        if name == "kernel.sem" || ["kernel.shm", "kernel.msg", "fs.mqueue."].iter().any(begins) {
            return Some(SysctlNamespace::Ipc);
        }
        name.starts_with("net.").then_some(SysctlNamespace::Network)
    }

    /// Kubernetes' word.
    fn word(self) -> &'static str {
        match self {
            SysctlNamespace::Ipc => "IPC",
            SysctlNamespace::Network => "Net",
        }
    }
}

/// The name with dots between its parts, as the kernel's own tools read it: where the first separator is a
/// slash, slashes and dots change places.
pub fn dotted(name: &str) -> Cow<'_, str> {
    match name.find(['.', '/']) {
        Some(at) if name.as_bytes().get(at) == Some(&b'/') => {
            let swap = |letter| match letter {
                '.' => '/',
                '/' => '.',
                other => other,
            };
            Cow::Owned(name.chars().map(swap).collect())
        }
        _ => Cow::Borrowed(name),
    }
}

/// What is wrong with an entry of `allowedUnsafeSysctls`, in the kubelet's words.
pub fn wrong_pattern(pattern: &str) -> Option<String> {
    let name = dotted(pattern);
    let beginning = name.strip_suffix('*').unwrap_or(&name);
    let is_part =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-_./".contains(letter);
    if name.len() > 253 || beginning.is_empty() || !beginning.chars().all(is_part) {
        return Some(format!(
            "sysctl {pattern:?} must be a name, or the beginning of names and a *"
        ));
    }
    match (SysctlNamespace::of(beginning), name.ends_with('*')) {
        (Some(_), _) => None,
        (None, true) => Some(format!("the sysctls {name:?} are not known to be namespaced")),
        (None, false) => Some(format!("the sysctl {name:?} are not known to be namespaced")),
    }
}

/// The kubelet's message about the first parameter that the pod may not set.
pub fn forbidden(spec: &PodSpec, unsafe_allowed: &[String]) -> Option<String> {
    let mut wrong = spec
        .security
        .sysctls
        .iter()
        .filter_map(|(name, _)| wrong(&dotted(name), spec, unsafe_allowed));
    wrong.next().map(|why| format!("forbidden sysctl: {why}"))
}

fn wrong(name: &str, spec: &PodSpec, unsafe_allowed: &[String]) -> Option<String> {
    let matches = |pattern: &String| match dotted(pattern).strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == dotted(pattern),
    };
    let namespace = SysctlNamespace::of(name);
    let Some(namespace) = namespace.filter(|_| SAFE.contains(&name) || unsafe_allowed.iter().any(matches))
    else {
        return Some(format!("{name:?} not allowlisted"));
    };
    let of_host = match namespace {
        SysctlNamespace::Ipc => spec.host_ipc,
        SysctlNamespace::Network => spec.host_network,
    };
    of_host.then(|| format!("{name:?} not allowed with host {} enabled", namespace.word()))
}

#[cfg(test)]
mod tests {
    use pinnace_api::testing;
    use serde_json::json;

    use super::*;

    fn asked(name: &str, allowed: &[&str], change: impl FnOnce(&mut PodSpec)) -> Option<String> {
        let mut spec = testing::pod("web", json!({})).spec;
        spec.security.sysctls = vec![(name.to_owned(), "1".to_owned())];
        change(&mut spec);
        let allowed: Vec<String> = allowed.iter().map(|one| (*one).to_owned()).collect();
        forbidden(&spec, &allowed)
    }

    #[test]
    fn safe_ones_are_allowed_and_others_where_the_node_says_so() {
        assert_eq!(asked("net.ipv4.tcp_syncookies", &[], |_| {}), None);
        let words = "forbidden sysctl: \"kernel.msgmax\" not allowlisted";
        assert_eq!(asked("kernel.msgmax", &[], |_| {}).as_deref(), Some(words));
        assert_eq!(asked("kernel.msgmax", &["kernel.msg*"], |_| {}), None);
        assert_eq!(asked("kernel/msgmax", &["kernel.msgmax"], |_| {}), None);
        assert!(asked("kernel.msgmax", &["kernel.msgmni"], |_| {}).is_some());
        assert!(
            asked("vm.swappiness", &["vm.*"], |_| {}).is_some(),
            "it is the host's"
        );
    }

    #[test]
    fn a_pod_in_the_hosts_namespace_may_not_change_it() {
        let words = "forbidden sysctl: \"net.ipv4.tcp_syncookies\" not allowed with host Net enabled";
        let network = asked("net.ipv4.tcp_syncookies", &[], |spec| spec.host_network = true);
        assert_eq!(network.as_deref(), Some(words));
        let words = "forbidden sysctl: \"kernel.shm_rmid_forced\" not allowed with host IPC enabled";
        let ipc = asked("kernel.shm_rmid_forced", &[], |spec| spec.host_ipc = true);
        assert_eq!(ipc.as_deref(), Some(words));
        assert_eq!(
            asked("kernel.shm_rmid_forced", &[], |spec| spec.host_network = true),
            None
        );
    }

    #[test]
    fn slashes_and_dots_change_places_where_a_slash_comes_first() {
        assert_eq!(
            dotted("net/ipv4/conf/eno2.100/rp_filter"),
            "net.ipv4.conf.eno2/100.rp_filter"
        );
        assert_eq!(
            dotted("net.ipv4.conf.eno2/100.rp_filter"),
            "net.ipv4.conf.eno2/100.rp_filter"
        );
        assert_eq!(dotted("x"), "x");
    }

    #[test]
    fn only_namespaced_parameters_can_be_allowed() {
        for good in [
            "kernel.msg*",
            "net.core.somaxconn",
            "net.*",
            "fs/mqueue/msg_max",
            "kernel.sem",
        ] {
            assert_eq!(wrong_pattern(good), None, "{good}");
        }
        let words = "the sysctls \"kernel.*\" are not known to be namespaced";
        assert_eq!(wrong_pattern("kernel.*").as_deref(), Some(words));
        for bad in ["", "*", "vm.swappiness", "net.ipv4.*x", "net.../..*/"] {
            assert!(wrong_pattern(bad).is_some(), "{bad}");
        }
    }
}
