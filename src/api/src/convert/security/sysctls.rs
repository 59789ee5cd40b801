//! `sysctls` of a pod.

use std::collections::HashSet;

use k8s_openapi::api::core::v1;

use crate::convert::required;
use crate::names;
use crate::report::Report;
use crate::tree::Path;

/// Kernel parameters of the IPC namespace, beside those of `fs.mqueue.`.
const OF_IPC: [&str; 3] = ["kernel.shm", "kernel.msg", "kernel.sem"];

/// Names and values in order, the parts of a name between dots.
pub(super) fn sysctls(
    spec: &v1::PodSpec,
    given: Option<&[v1::Sysctl]>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Vec<(String, String)> {
    let mut seen = HashSet::new();
    let mut sysctls = Vec::new();
    for (index, given) in given.unwrap_or_default().iter().enumerate() {
        let item_path = path.index(index);
        let path = item_path.field("name");
        let Some(name) = required(&given.name, names::sysctl, &path, report) else {
            continue;
        };
        let dotted = dotted(name);
        if !seen.insert(dotted.clone()) {
            report.duplicate(&path, name);
        }
        if spec.host_network == Some(true) && dotted.starts_with("net.") {
            report.invalid(&path, name, "may not be specified when 'hostNetwork' is true");
        }
        if spec.host_ipc == Some(true) && is_of_ipc(&dotted) {
            report.invalid(&path, name, "may not be specified when 'hostIPC' is true");
        }
        sysctls.push((dotted, given.value.clone()));
    }
    sysctls
}

/// The name with dots between its parts. Where a slash comes first, slashes part it, and a dot is a part's own:
/// it is written as a slash then, as sysctl(8) does.
fn dotted(name: &str) -> String {
    match name.find(['.', '/']) {
        Some(at) if name.as_bytes()[at] == b'/' => name
            .chars()
            .map(|letter| match letter {
                '/' => '.',
                '.' => '/',
                other => other,
            })
            .collect(),
        _ => name.to_owned(),
    }
}

fn is_of_ipc(name: &str) -> bool {
    name.starts_with("fs.mqueue.") || OF_IPC.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::{dotted, is_of_ipc};

    #[test]
    fn parts_of_a_name_stand_between_dots() {
        assert_eq!(dotted("kernel.shm_rmid_forced"), "kernel.shm_rmid_forced");
        assert_eq!(
            dotted("net/ipv4/conf/eth0.1/forwarding"),
            "net.ipv4.conf.eth0/1.forwarding"
        );
        assert!(is_of_ipc("kernel.shmmax") && is_of_ipc("fs.mqueue.msg_max"));
        assert!(!is_of_ipc("kernel.hostname"));
    }
}
