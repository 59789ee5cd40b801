//! `securityContext` of pods and containers.

mod capabilities;
mod profile;
mod sysctls;

use k8s_openapi::api::core::v1;

use super::{filled, within};
use crate::pod::{ContainerSecurity, PodSecurity};
use crate::report::Report;
use crate::tree::Path;

const MOST_ID: i64 = i32::MAX as i64;

/// A pod's security context.
pub(super) fn pod(spec: &v1::PodSpec, path: &Path<'_>, report: &mut Report<'_>) -> PodSecurity {
    let Some(given) = &spec.security_context else {
        return PodSecurity::default();
    };
    let groups_path = path.field("supplementalGroups");
    let groups = given.supplemental_groups.as_deref().unwrap_or_default();
    PodSecurity {
        run_as_user: id(given.run_as_user, &path.field("runAsUser"), report),
        run_as_group: id(given.run_as_group, &path.field("runAsGroup"), report),
        run_as_non_root: given.run_as_non_root,
        supplemental_groups: groups
            .iter()
            .enumerate()
            .filter_map(|(index, group)| id(Some(*group), &groups_path.index(index), report))
            .collect(),
        only_named_groups: is_second(
            filled(&given.supplemental_groups_policy),
            ["Merge", "Strict"],
            &path.field("supplementalGroupsPolicy"),
            report,
        ),
        fs_group: id(given.fs_group, &path.field("fsGroup"), report),
        fs_group_on_root_mismatch: is_second(
            filled(&given.fs_group_change_policy),
            ["Always", "OnRootMismatch"],
            &path.field("fsGroupChangePolicy"),
            report,
        ),
        sysctls: sysctls::sysctls(spec, given.sysctls.as_deref(), &path.field("sysctls"), report),
        seccomp: profile::seccomp(
            given.seccomp_profile.as_ref(),
            &path.field("seccompProfile"),
            report,
        ),
        app_armor: profile::app_armor(
            given.app_armor_profile.as_ref(),
            &path.field("appArmorProfile"),
            report,
        ),
        se_linux: profile::se_linux(given.se_linux_options.as_ref()),
    }
}

/// A container's security context.
pub(super) fn container(
    given: Option<&v1::SecurityContext>,
    host_users: bool,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> ContainerSecurity {
    let Some(given) = given else {
        return ContainerSecurity::default();
    };
    let capabilities_path = path.field("capabilities");
    let listed = given.capabilities.clone().unwrap_or_default();
    let add_path = capabilities_path.field("add");
    let capabilities_add = capabilities::capabilities(listed.add.as_deref(), &add_path, report);
    let drop_path = capabilities_path.field("drop");
    let capabilities_drop = capabilities::capabilities(listed.drop.as_deref(), &drop_path, report);
    check_escalation(given, &capabilities_add, path, report);
    ContainerSecurity {
        run_as_user: id(given.run_as_user, &path.field("runAsUser"), report),
        run_as_group: id(given.run_as_group, &path.field("runAsGroup"), report),
        run_as_non_root: given.run_as_non_root,
        privileged: given.privileged.unwrap_or(false),
        read_only_root_filesystem: given.read_only_root_filesystem.unwrap_or(false),
        no_new_privileges: given.allow_privilege_escalation == Some(false),
        capabilities_add,
        capabilities_drop,
        unmasked_proc: unmasked_proc(given, host_users, &path.field("procMount"), report),
        seccomp: profile::seccomp(
            given.seccomp_profile.as_ref(),
            &path.field("seccompProfile"),
            report,
        ),
        app_armor: profile::app_armor(
            given.app_armor_profile.as_ref(),
            &path.field("appArmorProfile"),
            report,
        ),
        se_linux: profile::se_linux(given.se_linux_options.as_ref()),
    }
}

/// A container that has all privileges cannot be kept from gaining some.
fn check_escalation(given: &v1::SecurityContext, added: &[String], path: &Path<'_>, report: &mut Report<'_>) {
    if given.allow_privilege_escalation != Some(false) {
        return;
    }
    let other = if given.privileged == Some(true) {
        "`privileged` to true"
    } else if added.iter().any(|capability| capability == "SYS_ADMIN") {
        "`capabilities.Add` CAP_SYS_ADMIN"
    } else {
        return;
    };
    let detail = format!("cannot set `allowPrivilegeEscalation` to false and {other}");
    report.invalid_value(&path.field("allowPrivilegeEscalation"), false, detail);
}

fn unmasked_proc(
    given: &v1::SecurityContext,
    host_users: bool,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> bool {
    let text = filled(&given.proc_mount);
    let is_unmasked = is_second(text, ["Default", "Unmasked"], path, report);
    if is_unmasked && host_users {
        report.invalid(path, "Unmasked", "`hostUsers` must be false to use `Unmasked`");
    }
    is_unmasked
}

/// Whether the second of two words is given; the first is the default.
fn is_second(text: Option<&str>, words: [&str; 2], path: &Path<'_>, report: &mut Report<'_>) -> bool {
    let word = text.unwrap_or(words[0]);
    if !words.contains(&word) {
        report.unsupported(path, word, &words);
    }
    word == words[1]
}

fn id(number: Option<i64>, path: &Path<'_>, report: &mut Report<'_>) -> Option<u32> {
    number.and_then(|number| within(number, 0, MOST_ID, path, report))
}
