//! `securityContext` of pods and containers.

use k8s_openapi::api::core::v1;

use super::within;
use crate::pod::{ContainerSecurity, PodSecurity};
use crate::report::Report;
use crate::tree::Path;

const MOST_ID: i64 = u32::MAX as i64;

/// Capabilities that Linux knows, without `CAP_`.
const CAPABILITIES: [&str; 41] = [
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
];

/// A pod's security context.
pub(super) fn pod(
    given: Option<&v1::PodSecurityContext>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> PodSecurity {
    let Some(given) = given else {
        return PodSecurity::default();
    };
    let groups_path = path.field("supplementalGroups");
    let groups = given.supplemental_groups.as_deref().unwrap_or_default();
    PodSecurity {
        run_as_user: id(given.run_as_user, &path.field("runAsUser"), report),
        run_as_group: id(given.run_as_group, &path.field("runAsGroup"), report),
        supplemental_groups: groups
            .iter()
            .enumerate()
            .filter_map(|(index, group)| id(Some(*group), &groups_path.index(index), report))
            .collect(),
        run_as_non_root: given.run_as_non_root,
        ..PodSecurity::default()
    }
}

/// A container's security context.
pub(super) fn container(
    given: Option<&v1::SecurityContext>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> ContainerSecurity {
    let Some(given) = given else {
        return ContainerSecurity::default();
    };
    let privileged = given.privileged.unwrap_or(false);
    let no_new_privileges = given.allow_privilege_escalation == Some(false);
    let capabilities_path = path.field("capabilities");
    let given_capabilities = given.capabilities.clone().unwrap_or_default();
    let capabilities_add = capabilities(
        given_capabilities.add.as_deref(),
        &capabilities_path.field("add"),
        report,
    );
    let capabilities_drop = capabilities(
        given_capabilities.drop.as_deref(),
        &capabilities_path.field("drop"),
        report,
    );
    if no_new_privileges {
        let other = if privileged {
            "`privileged` to true"
        } else if capabilities_add
            .iter()
            .any(|capability| capability == "SYS_ADMIN")
        {
            "`capabilities.Add` CAP_SYS_ADMIN"
        } else {
            ""
        };
        if !other.is_empty() {
            let detail = format!("cannot set `allowPrivilegeEscalation` to false and {other}");
            report.invalid_value(&path.field("allowPrivilegeEscalation"), false, detail);
        }
    }
    ContainerSecurity {
        run_as_user: id(given.run_as_user, &path.field("runAsUser"), report),
        run_as_group: id(given.run_as_group, &path.field("runAsGroup"), report),
        privileged,
        read_only_root_filesystem: given.read_only_root_filesystem.unwrap_or(false),
        no_new_privileges,
        capabilities_add,
        capabilities_drop,
        run_as_non_root: given.run_as_non_root,
        ..ContainerSecurity::default()
    }
}

/// `runAsNonRoot` holds where the spec itself names another user than root; what user an image names is not
/// looked at yet, so that a pod that relies on it is refused.
pub(super) fn check_non_root(spec: &v1::PodSpec, path: &Path<'_>, report: &mut Report<'_>) {
    let pod = spec.security_context.clone().unwrap_or_default();
    let containers_path = path.field("containers");
    for (index, container) in spec.containers.iter().enumerate() {
        let own = container.security_context.clone().unwrap_or_default();
        if own.run_as_non_root.or(pod.run_as_non_root) != Some(true) {
            continue;
        }
        let item = containers_path.index(index);
        let context = item.field("securityContext");
        let pod_context = path.field("securityContext");
        let own_field = context.field("runAsNonRoot");
        let pod_field = pod_context.field("runAsNonRoot");
        let field = if own.run_as_non_root.is_some() {
            own_field
        } else {
            pod_field
        };
        match own.run_as_user.or(pod.run_as_user) {
            Some(0) => report.invalid_value(&field, true, "container's runAsUser breaks non-root policy"),
            Some(_) => {}
            None => report.not_yet(&field, "runAsNonRoot without runAsUser"),
        }
    }
}

fn id(number: Option<i64>, path: &Path<'_>, report: &mut Report<'_>) -> Option<u32> {
    number.and_then(|number| within(number, 0, MOST_ID, path, report))
}

/// Names without `CAP_`, or `ALL`.
fn capabilities(given: Option<&[String]>, path: &Path<'_>, report: &mut Report<'_>) -> Vec<String> {
    let mut names = Vec::new();
    for (index, text) in given.unwrap_or_default().iter().enumerate() {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
        if name == "ALL" || CAPABILITIES.contains(&name) {
            names.push(name.to_owned());
        } else {
            report.invalid(&path.index(index), text, "unknown capability");
        }
    }
    names
}
