//! What pod and container say together of whom a container runs as, and of what holds it back.

use pinnace_api::pod::{ContainerSecurity, PodSecurity, SeccompProfile};

use crate::spec::seccomp::Filter;
use crate::spec::user::Asked;
use crate::spec::{Host, SpecError, local_seccomp};

/// User and groups; the container's word before the pod's.
pub fn asked(of_pod: &PodSecurity, own: &ContainerSecurity) -> Asked {
    // The group that owns the pod's volumes is every container's too.
    let mut supplemental_groups: Vec<u32> = of_pod.fs_group.into_iter().collect();
    supplemental_groups.extend(&of_pod.supplemental_groups);
    Asked {
        run_as_user: own.run_as_user.or(of_pod.run_as_user),
        run_as_group: own.run_as_group.or(of_pod.run_as_group),
        supplemental_groups,
        only_named_groups: of_pod.only_named_groups,
    }
}

/// The filter of system calls. One that is asked for and cannot be had is an error; the default of who says
/// nothing is left out where the host has none.
pub fn filter(host: &Host, of_pod: &PodSecurity, own: &ContainerSecurity) -> Result<Filter, SpecError> {
    if own.privileged {
        return Ok(Filter::None);
    }
    let seccomp = &host.seccomp;
    match own.seccomp.as_ref().or(of_pod.seccomp.as_ref()) {
        Some(SeccompProfile::Unconfined) => Ok(Filter::None),
        Some(_) if !seccomp.works => Err(SpecError::NoSeccomp),
        Some(SeccompProfile::RuntimeDefault) => Ok(Filter::Default),
        Some(SeccompProfile::Localhost(name)) => {
            let profile = local_seccomp::load(&seccomp.folder, name)?;
            Ok(Filter::Local(Box::new(profile)))
        }
        None if seccomp.works && seccomp.by_default => Ok(Filter::Default),
        None => Ok(Filter::None),
    }
}

#[cfg(test)]
mod tests {
    use pinnace_sys::process::CapabilitySet;

    use super::*;
    use crate::spec::SeccompHost;

    fn host(works: bool, by_default: bool) -> Host {
        Host {
            domain: String::new(),
            capabilities: CapabilitySet(0),
            oom_score_adj: 0,
            unified_cgroups: false,
            swap_accounting: false,
            group_oom_kill: false,
            seccomp: SeccompHost {
                works,
                by_default,
                folder: "/nowhere".into(),
            },
            masked_paths: Vec::new(),
            architecture: "x86_64",
            hostname: String::new(),
        }
    }

    fn asked_for(profile: Option<SeccompProfile>) -> ContainerSecurity {
        ContainerSecurity {
            seccomp: profile,
            ..ContainerSecurity::default()
        }
    }

    #[test]
    fn who_says_nothing_gets_the_nodes_default() {
        let filter = |works, by_default| {
            filter(
                &host(works, by_default),
                &PodSecurity::default(),
                &ContainerSecurity::default(),
            )
        };
        assert_eq!(filter(true, true).ok(), Some(Filter::Default));
        assert_eq!(filter(true, false).ok(), Some(Filter::None));
        assert_eq!(filter(false, true).ok(), Some(Filter::None));
    }

    #[test]
    fn the_containers_word_comes_before_the_pods_and_privileges_before_both() {
        let of_pod = PodSecurity {
            seccomp: Some(SeccompProfile::Localhost("absent".to_owned())),
            ..PodSecurity::default()
        };
        let host = host(true, true);
        let unconfined = asked_for(Some(SeccompProfile::Unconfined));
        assert_eq!(filter(&host, &of_pod, &unconfined).ok(), Some(Filter::None));
        assert!(matches!(
            filter(&host, &of_pod, &ContainerSecurity::default()),
            Err(SpecError::Profile(_))
        ));
        let privileged = ContainerSecurity {
            privileged: true,
            ..asked_for(Some(SeccompProfile::RuntimeDefault))
        };
        assert_eq!(filter(&host, &of_pod, &privileged).ok(), Some(Filter::None));
    }

    #[test]
    fn a_filter_that_cannot_be_had_is_refused_where_it_was_asked_for() {
        let asked = asked_for(Some(SeccompProfile::RuntimeDefault));
        let refused = filter(&host(false, true), &PodSecurity::default(), &asked);
        assert!(matches!(refused, Err(SpecError::NoSeccomp)));
    }
}
