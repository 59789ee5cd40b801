use pinnace_api::pod::{AppArmorProfile, HttpGet, PortRef, Probe, SeLinuxOptions};
use pinnace_api::testing;
use serde_json::json;

use super::*;

fn spec(value: serde_json::Value) -> PodSpec {
    testing::pod("web", value).spec
}

fn two() -> PodSpec {
    spec(json!({"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "x"}]}))
}

fn judged(level: Level, change: impl FnOnce(&mut PodSpec)) -> Option<String> {
    let mut spec = two();
    change(&mut spec);
    violation(level, &spec, &BTreeMap::new())
}

fn baseline(change: impl FnOnce(&mut PodSpec)) -> String {
    judged(Level::Baseline, change).unwrap_or_default()
}

/// Two containers that do all that the strictest level asks for.
fn harmless(spec: &mut PodSpec) {
    spec.security.run_as_non_root = Some(true);
    spec.security.seccomp = Some(pinnace_api::pod::SeccompProfile::RuntimeDefault);
    for container in &mut spec.containers {
        container.security.no_new_privileges = true;
        container.security.capabilities_drop = vec!["ALL".to_owned()];
    }
}

#[test]
fn a_pod_that_says_nothing_passes_the_baseline_and_not_the_restricted_level() {
    assert_eq!(judged(Level::Privileged, |spec| spec.host_pid = true), None);
    assert_eq!(judged(Level::Baseline, |_| {}), None);
    let words = "allowPrivilegeEscalation != false (containers \"a\", \"b\" must set \
        securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (containers \"a\", \"b\" must set \
        securityContext.capabilities.drop=[\"ALL\"]), runAsNonRoot != true (pod or containers \"a\", \"b\" must set \
        securityContext.runAsNonRoot=true), seccompProfile (pod or containers \"a\", \"b\" must set \
        securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")";
    assert_eq!(judged(Level::Restricted, |_| {}).as_deref(), Some(words));
    assert_eq!(judged(Level::Restricted, harmless), None);
}

#[test]
fn the_baseline_forbids_what_leads_out_of_a_container() {
    let words = baseline(|spec| {
        spec.host_network = true;
        spec.host_ipc = true;
        spec.containers[0].security.privileged = true;
        spec.containers[1].security.capabilities_add = vec!["SYS_ADMIN".to_owned(), "CHOWN".to_owned()];
        spec.security.sysctls = vec![("kernel.msgmax".to_owned(), "1".to_owned())];
    });
    assert_eq!(
        words,
        "non-default capabilities (container \"b\" must not include \"SYS_ADMIN\" in \
         securityContext.capabilities.add), host namespaces (hostNetwork=true, hostIPC=true), privileged \
         (container \"a\" must not set securityContext.privileged=true), forbidden sysctls (kernel.msgmax)"
    );
}

#[test]
fn volumes_and_ports_of_the_host_are_named() {
    let spec = spec(json!({
        "volumes": [{"name": "one", "hostPath": {"path": "/"}}, {"name": "two", "hostPath": {"path": "/"}},
            {"name": "own", "emptyDir": {}}],
        "containers": [{"name": "a", "image": "x", "ports": [
            {"containerPort": 80, "hostPort": 80}, {"containerPort": 90, "hostPort": 9090}]}],
    }));
    assert_eq!(
        violation(Level::Baseline, &spec, &BTreeMap::new()).as_deref(),
        Some(
            "hostPath volumes (volumes \"one\", \"two\"), hostPort (container \"a\" uses hostPorts 80, 9090)"
        )
    );
    let restricted = violation(Level::Restricted, &spec, &BTreeMap::new()).unwrap_or_default();
    assert!(
        restricted.contains(
            "restricted volume types (volumes \"one\", \"two\" use restricted volume type \"hostPath\")"
        ),
        "{restricted}"
    );
    assert!(!restricted.contains("hostPath volumes"), "{restricted}");
}

#[test]
fn profiles_and_labels_that_take_protection_away_are_forbidden() {
    let unconfined = Some(pinnace_api::pod::SeccompProfile::Unconfined);
    let words = baseline(|spec| {
        spec.security.seccomp = unconfined.clone();
        spec.containers[0].security.seccomp = unconfined.clone();
    });
    let seccomp = "seccompProfile (pod and container \"a\" must not set securityContext.seccompProfile.type to \
        \"Unconfined\")";
    assert_eq!(words, seccomp);
    let words = baseline(|spec| spec.containers[0].security.app_armor = Some(AppArmorProfile::Unconfined));
    let app_armor =
        "forbidden AppArmor profile (container \"a\" must not set AppArmor profile type to \"Unconfined\")";
    assert_eq!(words, app_armor);
    let words = baseline(|spec| {
        spec.security.se_linux = Some(SeLinuxOptions {
            user: "u".to_owned(),
            kind: "spc_t".to_owned(),
            ..SeLinuxOptions::default()
        });
    });
    let se_linux = "seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type \"spc_t\"; user may not be set)";
    assert_eq!(words, se_linux);
}

#[test]
fn annotations_of_old_manifests_count_too() {
    let name = "container.apparmor.security.beta.kubernetes.io/a";
    let judged = |value: &str| {
        let annotations = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        violation(Level::Baseline, &two(), &annotations)
    };
    assert_eq!(judged("runtime/default"), None);
    assert_eq!(judged("localhost/own"), None);
    let words = "forbidden AppArmor profile (annotation must not set AppArmor profile type to \
        \"container.apparmor.security.beta.kubernetes.io/a=\"unconfined\"\")";
    assert_eq!(judged("unconfined").as_deref(), Some(words));
}

#[test]
fn a_user_namespace_relaxes_what_it_makes_harmless() {
    let own = |spec: &mut PodSpec| {
        harmless(spec);
        spec.host_users = false;
        spec.security.run_as_non_root = None;
        spec.security.run_as_user = Some(0);
    };
    assert_eq!(judged(Level::Restricted, own), None);
    let unmasked = |spec: &mut PodSpec| {
        own(spec);
        spec.containers[0].security.unmasked_proc = true;
    };
    assert_eq!(judged(Level::Baseline, unmasked), None);
    let words = "procMount (container \"a\" must not set securityContext.procMount to \"Unmasked\")";
    assert_eq!(judged(Level::Restricted, unmasked).as_deref(), Some(words));
    assert_eq!(
        baseline(|spec| spec.containers[0].security.unmasked_proc = true),
        words
    );
}

#[test]
fn root_is_forbidden_whoever_asks_for_it() {
    let words = judged(Level::Restricted, |spec| {
        harmless(spec);
        spec.security.run_as_user = Some(0);
        spec.containers[1].security.run_as_non_root = Some(false);
    });
    assert_eq!(
        words.as_deref(),
        Some(
            "runAsNonRoot != true (container \"b\" must not set securityContext.runAsNonRoot=false), runAsUser=0 \
             (pod must not set runAsUser=0)"
        )
    );
}

#[test]
fn probes_may_not_ask_other_hosts() {
    let words = baseline(|spec| {
        spec.containers[0].probes.liveness = Some(Probe {
            action: pinnace_api::pod::ProbeAction::HttpGet(HttpGet {
                host: Some("10.0.0.1".to_owned()),
                port: PortRef::Number(80),
                path: "/".to_owned(),
                https: false,
                headers: Vec::new(),
            }),
            initial_delay_seconds: 0,
            timeout_seconds: 1,
            period_seconds: 10,
            success_threshold: 1,
            failure_threshold: 3,
            termination_grace_period_seconds: None,
        });
    });
    let expected = "probe or lifecycle host (container \"a\" uses probe or lifecycle host \"10.0.0.1\")";
    assert_eq!(words, expected);
}

#[test]
fn a_namespaces_labels_outweigh_the_defaults() {
    let labels = |pairs: &[(&str, &str)]| {
        let pair = |(name, value): &(&str, &str)| {
            (format!("pod-security.kubernetes.io/{name}"), (*value).to_owned())
        };
        pairs.iter().map(pair).collect::<BTreeMap<_, _>>()
    };
    let defaults = Levels {
        enforce: Level::Baseline,
        warn: Level::Baseline,
    };
    let of = |pairs: &[(&str, &str)]| defaults.with_labels(&labels(pairs));
    assert_eq!(of(&[]), (defaults, Vec::new()));
    let (levels, _) = of(&[("enforce", "restricted")]);
    assert_eq!(
        (levels.enforce, levels.warn),
        (Level::Restricted, Level::Restricted)
    );
    let (levels, _) = of(&[("enforce", "privileged"), ("warn", "restricted")]);
    assert_eq!(
        (levels.enforce, levels.warn),
        (Level::Privileged, Level::Restricted)
    );
    let (levels, wrong) = of(&[("enforce", "strict"), ("warn", "much")]);
    assert_eq!(
        (levels.enforce, levels.warn),
        (Level::Restricted, Level::Privileged)
    );
    assert_eq!(wrong.len(), 2);
    assert_eq!(of(&[("enforce-version", "v1.30")]).1.len(), 1);
}
