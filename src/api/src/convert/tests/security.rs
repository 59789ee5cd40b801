use serde_json::{Value, json};

use super::{container, faults, faults_of_container, spec};
use crate::pod::{AppArmorProfile, PodSecurity, SeLinuxOptions, SeccompProfile};

fn pod(context: Value) -> PodSecurity {
    spec(json!({"securityContext": context})).security
}

fn faults_of_pod(context: Value) -> Vec<String> {
    let found = faults(json!({"securityContext": context})).into_iter();
    found
        .map(|fault| fault.replace("spec.securityContext.", ""))
        .collect()
}

#[test]
fn a_pods_context_is_read_in_full() {
    let security = pod(json!({
        "fsGroup": 2000, "fsGroupChangePolicy": "OnRootMismatch", "supplementalGroupsPolicy": "Strict",
        "supplementalGroups": [3000], "sysctls": [{"name": "net/ipv4/ip_local_port_range", "value": "1024 65535"}],
        "seccompProfile": {"type": "Localhost", "localhostProfile": "profiles/audit.json"},
        "appArmorProfile": {"type": "Localhost", "localhostProfile": "own"},
        "seLinuxOptions": {"type": "container_t", "level": "s0:c1,c2"},
    }));
    let expected = PodSecurity {
        supplemental_groups: vec![3000],
        only_named_groups: true,
        fs_group: Some(2000),
        fs_group_on_root_mismatch: true,
        sysctls: vec![("net.ipv4.ip_local_port_range".to_owned(), "1024 65535".to_owned())],
        seccomp: Some(SeccompProfile::Localhost("profiles/audit.json".to_owned())),
        app_armor: Some(AppArmorProfile::Localhost("own".to_owned())),
        se_linux: Some(SeLinuxOptions {
            kind: "container_t".to_owned(),
            level: "s0:c1,c2".to_owned(),
            ..SeLinuxOptions::default()
        }),
        ..PodSecurity::default()
    };
    assert_eq!(security, expected);
    let defaults =
        json!({"fsGroupChangePolicy": "Always", "supplementalGroupsPolicy": "Merge", "seLinuxOptions": {}});
    assert_eq!(pod(defaults), PodSecurity::default());
}

#[test]
fn a_wrong_context_of_a_pod_is_refused_in_kubernetes_words() {
    assert_eq!(
        faults_of_pod(
            json!({"runAsUser": 2147483648u64, "fsGroup": -1, "fsGroupChangePolicy": "Never",
            "supplementalGroupsPolicy": "Lax"})
        ),
        [
            "runAsUser: Invalid value: 2147483648: must be between 0 and 2147483647, inclusive",
            r#"supplementalGroupsPolicy: Unsupported value: "Lax": supported values: "Merge", "Strict""#,
            "fsGroup: Invalid value: -1: must be between 0 and 2147483647, inclusive",
            r#"fsGroupChangePolicy: Unsupported value: "Never": supported values: "Always", "OnRootMismatch""#,
        ]
    );
}

#[test]
fn kernel_parameters_are_checked_by_name_and_namespace() {
    let context = json!({"sysctls": [
        {"name": "", "value": ""}, {"name": "Net.x", "value": ""}, {"name": "net.a", "value": "1"},
        {"name": "net/a", "value": "2"}, {"name": "kernel.shmmax", "value": "1"},
    ]});
    let found = faults_of_pod(context);
    assert_eq!(found[0], "sysctls[0].name: Required value");
    assert!(
        found[1].starts_with(r#"sysctls[1].name: Invalid value: "Net.x": must have at most 253"#),
        "{found:?}"
    );
    assert_eq!(found[2..], [r#"sysctls[3].name: Duplicate value: "net/a""#]);
    let found = faults(
        json!({"hostNetwork": true, "hostIPC": true, "securityContext": {"sysctls": [
            {"name": "net.a", "value": "1"}, {"name": "kernel.shmmax", "value": "1"},
        ]}}),
    );
    let at = "spec.securityContext.sysctls";
    assert_eq!(
        found,
        [
            format!(
                r#"{at}[0].name: Invalid value: "net.a": may not be specified when 'hostNetwork' is true"#
            ),
            format!(
                r#"{at}[1].name: Invalid value: "kernel.shmmax": may not be specified when 'hostIPC' is true"#
            ),
        ]
    );
}

#[test]
fn profiles_of_containers_are_read() {
    let security = container(json!({"securityContext": {
        "seccompProfile": {"type": "Unconfined"}, "appArmorProfile": {"type": "RuntimeDefault"},
    }}))
    .security;
    assert_eq!(security.seccomp, Some(SeccompProfile::Unconfined));
    assert_eq!(security.app_armor, Some(AppArmorProfile::RuntimeDefault));
}

#[test]
fn wrong_profiles_are_refused_in_kubernetes_words() {
    let cases = [
        (
            json!({"type": ""}),
            "seccompProfile.type: Required value: type is required when seccompProfile is set",
        ),
        (
            json!({"type": "Docker"}),
            r#"seccompProfile.type: Unsupported value: "Docker": supported values: "Localhost", "RuntimeDefault", "Unconfined""#,
        ),
        (
            json!({"type": "Localhost"}),
            "seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost",
        ),
        (
            json!({"type": "Localhost", "localhostProfile": "../a"}),
            r#"seccompProfile.localhostProfile: Invalid value: "../a": must not contain '..'"#,
        ),
        (
            json!({"type": "Unconfined", "localhostProfile": "a"}),
            r#"seccompProfile.localhostProfile: Invalid value: "a": can only be set when seccomp type is Localhost"#,
        ),
    ];
    for (profile, expected) in cases {
        assert_eq!(faults_of_pod(json!({"seccompProfile": profile})), [expected]);
    }
    let cases = [
        (
            json!({"type": "Localhost", "localhostProfile": " a"}),
            r#"appArmorProfile.localhostProfile: Invalid value: " a": must not be padded with whitespace"#,
        ),
        (
            json!({"type": "Localhost"}),
            "appArmorProfile.localhostProfile: Required value: must be set when AppArmor type is Localhost",
        ),
        (
            json!({"type": "RuntimeDefault", "localhostProfile": "a"}),
            r#"appArmorProfile.localhostProfile: Invalid value: "a": can only be set when AppArmor type is Localhost"#,
        ),
    ];
    for (profile, expected) in cases {
        assert_eq!(faults_of_pod(json!({"appArmorProfile": profile})), [expected]);
    }
}

#[test]
fn proc_is_unmasked_in_a_user_namespace_only() {
    let unmasked = json!({"securityContext": {"procMount": "Unmasked"}});
    let spec = spec(json!({"hostUsers": false, "containers": [unmasked]}));
    assert!(spec.containers[0].security.unmasked_proc);
    assert_eq!(
        faults_of_container(unmasked),
        [
            "securityContext.procMount: Invalid value: \"Unmasked\": `hostUsers` must be false to use `Unmasked`"
        ]
    );
    assert_eq!(
        faults_of_container(json!({"securityContext": {"procMount": "Bare"}})),
        [r#"securityContext.procMount: Unsupported value: "Bare": supported values: "Default", "Unmasked""#]
    );
}

#[test]
fn gaining_privileges_is_not_forbidden_to_the_privileged() {
    let why = "securityContext.allowPrivilegeEscalation: Invalid value: false: cannot set `allowPrivilegeEscalation` to false and";
    let cases = [
        (json!({"privileged": true}), "`privileged` to true"),
        (
            json!({"capabilities": {"add": ["SYS_ADMIN"]}}),
            "`capabilities.Add` CAP_SYS_ADMIN",
        ),
    ];
    for (mut context, other) in cases {
        context["allowPrivilegeEscalation"] = json!(false);
        let found = faults_of_container(json!({"securityContext": context}));
        assert_eq!(found, [format!("{why} {other}")]);
    }
}
