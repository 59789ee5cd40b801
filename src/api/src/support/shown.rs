//! The test that shows each field's enforcement: it fails where the node does not do what the field says.

use super::Effect;
use super::table::TYPES;

/// A type, fields of it, and the test that shows them: its file and its function.
type Shown = (&'static str, &'static [&'static str], &'static str);

pub(super) const OF_CONFIG_MAPS: &str = "tests/tests/config_maps.rs::keys_are_variables_and_files";
const OF_SECRETS: &str = "tests/tests/secrets.rs::secrets_in_variables_are_in_no_file_that_others_may_read";
const SECRET_FILES: &str = "tests/tests/secrets.rs::mounted_secrets_are_in_memory_only_and_nowhere_told";
const DOWNWARD_FILES: &str =
    "tests/tests/projected.rs::the_downward_api_writes_fields_and_amounts_into_files";
const PROJECTED_FILES: &str = "tests/tests/projected.rs::a_projected_volume_holds_all_its_sources_and_the_later_of_two_files_at_one_path";
const IMAGE_FILES: &str = "tests/tests/projected.rs::an_image_is_a_volume_that_is_read_only_and_runs_nothing";
const SHOWN: &[Shown] = &[
    ("Pod", &["apiVersion", "kind"], KINDS),
    ("PodTemplate", &["apiVersion", "kind"], KINDS),
    ("DaemonSet", &["apiVersion", "kind"], KINDS),
    ("Service", &["apiVersion", "kind"], KINDS),
    ("NetworkPolicy", &["apiVersion", "kind"], KINDS),
    ("Namespace", &["apiVersion", "kind"], KINDS),
    ("PersistentVolumeClaim", &["apiVersion", "kind"], KINDS),
    ("StorageClass", &["apiVersion", "kind"], KINDS),
    ("ConfigMap", &["apiVersion", "kind"], KINDS),
    ("Secret", &["apiVersion", "kind"], KINDS),
    (
        "Lifecycle",
        &["stopSignal"],
        "tests/tests/hooks.rs::a_container_is_told_to_end_by_the_signal_that_it_asks_for",
    ),
    ("ConfigMap", &["binaryData", "data", "immutable"], CONFIG_MAP),
    ("Secret", &["data", "immutable", "stringData"], SECRET),
    (
        "Secret",
        &["type"],
        "src/api/src/convert/tests/objects.rs::secrets_of_a_type_have_its_keys",
    ),
    (
        "ObjectMeta",
        &["annotations", "labels", "name", "namespace"],
        FIELDS_OF_POD,
    ),
    ("TemplateMeta", &["annotations", "labels"], TEMPLATE),
    (
        "DaemonSetUpdateStrategy",
        &["type"],
        "tests/tests/admission.rs::an_edited_daemonset_is_replaced_by_its_strategy",
    ),
    // A pod.
    ("PodSpec", &["dnsPolicy"], RESOLV_CONF),
    ("PodDNSConfig", &["nameservers", "searches"], RESOLV_CONF),
    ("PodDNSConfigOption", &["name", "value"], RESOLV_CONF),
    ("PodSpec", &["enableServiceLinks"], SERVICE_LINKS),
    ("HostAlias", &["hostnames", "ip"], HOSTS),
    (
        "PodSpec",
        &["overhead"],
        "tests/tests/limits.rs::a_pods_overhead_is_added_to_what_its_containers_ask_for_and_may_use",
    ),
    (
        "PodSchedulingGate",
        &["name"],
        "tests/tests/admission.rs::a_pod_with_scheduling_gates_waits_until_they_are_gone",
    ),
    (
        "PodSpec",
        &["hostnameOverride"],
        "tests/tests/environment.rs::a_pod_is_called_as_it_says_in_place_of_its_name",
    ),
    ("PodSpec", &["hostname", "subdomain"], HOSTS),
    (
        "PodSpec",
        &["setHostnameAsFQDN"],
        "src/core/src/network/files.rs::the_kernel_is_told_the_full_name_where_the_pod_asks_for_it",
    ),
    (
        "PodSpec",
        &["hostIPC", "hostNetwork", "hostPID"],
        "tests/tests/security.rs::the_hosts_namespaces_are_shared_where_a_pod_asks_for_them",
    ),
    (
        "PodSpec",
        &["nodeName", "nodeSelector"],
        "tests/tests/admission.rs::what_does_not_fit_waits_for_room_and_what_names_the_node_is_refused",
    ),
    (
        "PodSpec",
        &["restartPolicy"],
        "tests/tests/lifecycle.rs::on_failure_restarts_until_it_succeeds",
    ),
    (
        "PodSpec",
        &["terminationGracePeriodSeconds"],
        "tests/tests/lifecycle.rs::a_removed_pod_is_asked_to_end_and_killed_after_its_grace_period",
    ),
    (
        "PodOS",
        &["name"],
        "src/core/src/admission/tests/verdicts.rs::another_operating_system_is_refused_after_scheduling",
    ),
    (
        "NodeSelectorRequirement",
        &["key", "operator", "values"],
        "src/core/src/admission/tests/affinity.rs::every_operator_compares_as_kubernetes_does",
    ),
    ("LabelSelector", &["matchLabels"], SELECTOR),
    (
        "LabelSelectorRequirement",
        &["key", "operator", "values"],
        SELECTOR,
    ),
    (
        "Toleration",
        &["effect", "key", "operator", "value"],
        "src/core/src/node/tests.rs::tolerations_of_all_forms_bear_the_taints_that_they_name",
    ),
    (
        "Toleration",
        &["tolerationSeconds"],
        "src/core/src/admission/tests/eviction.rs::toleration_seconds_count_from_when_taint_and_pod_were_both_there",
    ),
    (
        "PodSecurityContext",
        &["runAsGroup", "runAsUser", "supplementalGroups"],
        USERS,
    ),
    ("PodSecurityContext", &["runAsNonRoot"], NON_ROOT),
    // What comes out of objects, of the pod and of images.
    (
        "PodSecurityContext",
        &["fsGroup"],
        "tests/tests/projected.rs::the_pods_group_reads_what_the_node_writes_and_writes_its_own_directories",
    ),
    (
        "ConfigMapKeySelector",
        &["key", "name", "optional"],
        OF_CONFIG_MAPS,
    ),
    ("SecretKeySelector", &["key", "name", "optional"], OF_SECRETS),
    ("EnvFromSource", &["prefix"], OF_CONFIG_MAPS),
    ("ConfigMapEnvSource", &["name", "optional"], OF_CONFIG_MAPS),
    ("SecretEnvSource", &["name", "optional"], OF_SECRETS),
    (
        "ConfigMapVolumeSource",
        &["defaultMode", "name", "optional"],
        OF_CONFIG_MAPS,
    ),
    ("KeyToPath", &["key", "mode", "path"], OF_CONFIG_MAPS),
    (
        "SecretVolumeSource",
        &["defaultMode", "optional", "secretName"],
        SECRET_FILES,
    ),
    ("DownwardAPIVolumeSource", &["defaultMode"], DOWNWARD_FILES),
    ("DownwardAPIVolumeFile", &["mode", "path"], DOWNWARD_FILES),
    ("ProjectedVolumeSource", &["defaultMode"], PROJECTED_FILES),
    ("ConfigMapProjection", &["name", "optional"], PROJECTED_FILES),
    ("SecretProjection", &["name", "optional"], PROJECTED_FILES),
    ("ImageVolumeSource", &["pullPolicy", "reference"], IMAGE_FILES),
    (
        "VolumeMount",
        &["subPathExpr"],
        "tests/tests/projected.rs::a_sub_path_is_made_of_variables_and_never_leads_out",
    ),
    (
        "VolumeMount",
        &["recursiveReadOnly"],
        "tests/tests/projected.rs::read_only_with_all_beneath_holds_for_mounts_of_the_host",
    ),
    // A container.
    ("Container", &["args", "command", "workingDir"], LITERALS),
    ("EnvVar", &["name", "value"], LITERALS),
    (
        "Container",
        &["image", "imagePullPolicy"],
        "tests/tests/missing_images.rs::a_pod_whose_image_may_not_be_pulled_starts_at_once_when_its_archive_is_laid_down",
    ),
    (
        "Container",
        &["name"],
        "tests/tests/lifecycle.rs::one_container_restarts_and_its_neighbour_goes_on",
    ),
    (
        "Container",
        &["stdin", "tty"],
        "tests/tests/environment.rs::a_container_has_an_open_stdin_or_a_terminal_where_it_asks_for_one",
    ),
    ("ObjectFieldSelector", &["fieldPath"], FIELDS_OF_POD),
    (
        "ObjectFieldSelector",
        &["apiVersion"],
        "src/api/src/convert/tests/variables.rs::other_fields_are_refused_in_kubernetes_words",
    ),
    (
        "ResourceFieldSelector",
        &["containerName", "divisor", "resource"],
        "tests/tests/environment.rs::a_container_is_told_its_own_requests_and_limits_and_anothers",
    ),
    ("ContainerPort", &["containerPort", "hostPort"], HOST_PORT),
    (
        "ContainerPort",
        &["hostIP"],
        "tests/tests/network_ports.rs::a_host_port_with_an_address_is_there_on_that_address_only",
    ),
    (
        "ContainerPort",
        &["protocol"],
        "tests/tests/network_ports.rs::the_same_number_serves_two_pods_by_different_protocols",
    ),
    ("ContainerPort", &["name"], NAMED_TARGET),
    (
        "ResourceRequirements",
        &["limits", "requests"],
        "tests/tests/limits.rs::the_kernel_has_the_limits_of_a_container_and_of_its_pod",
    ),
    (
        "VolumeMount",
        &["mountPath", "name"],
        "tests/tests/volumes.rs::containers_share_an_empty_dir_that_outlives_their_restarts_and_ends_with_the_pod",
    ),
    (
        "VolumeMount",
        &["mountPropagation"],
        "tests/tests/volumes.rs::mounts_travel_as_the_propagation_says",
    ),
    (
        "VolumeMount",
        &["readOnly"],
        "tests/tests/volumes.rs::a_read_only_mount_refuses_writes",
    ),
    (
        "VolumeMount",
        &["subPath"],
        "tests/tests/volumes.rs::a_sub_path_shows_one_folder_or_file_of_a_volume",
    ),
    (
        "SecurityContext",
        &["allowPrivilegeEscalation", "readOnlyRootFilesystem"],
        "tests/tests/security.rs::no_new_privileges_and_a_read_only_root",
    ),
    (
        "SecurityContext",
        &["privileged"],
        "tests/tests/security.rs::a_privileged_container_has_all_that_the_agent_has",
    ),
    ("SecurityContext", &["runAsGroup", "runAsUser"], USERS),
    (
        "PodSecurityContext",
        &["supplementalGroupsPolicy"],
        "tests/tests/security_context.rs::with_the_strict_policy_the_images_groups_do_not_count",
    ),
    (
        "Sysctl",
        &["name", "value"],
        "tests/tests/security_context.rs::safe_kernel_parameters_are_set_in_the_pods_own_namespaces",
    ),
    (
        "SeccompProfile",
        &["localhostProfile", "type"],
        "tests/tests/security_context.rs::a_profile_of_the_nodes_own_filters_what_it_says",
    ),
    (
        "Container",
        &["terminationMessagePath", "terminationMessagePolicy"],
        "tests/tests/security_context.rs::a_container_says_why_it_ended",
    ),
    (
        "PodSpec",
        &["shareProcessNamespace"],
        "tests/tests/shared_processes.rs::containers_see_each_others_processes_and_nothing_of_the_first_one",
    ),
    ("SecurityContext", &["runAsNonRoot"], NON_ROOT),
    (
        "Capabilities",
        &["add", "drop"],
        "tests/tests/security.rs::capabilities_are_added_and_dropped",
    ),
    // Volumes.
    (
        "Volume",
        &["name"],
        "tests/tests/volumes.rs::host_paths_of_every_type_are_mounted",
    ),
    (
        "HostPathVolumeSource",
        &["path", "type"],
        "tests/tests/volumes.rs::host_paths_of_every_type_are_mounted",
    ),
    (
        "EmptyDirVolumeSource",
        &["medium", "sizeLimit"],
        "tests/tests/volumes.rs::an_empty_dir_in_memory_is_a_tmpfs_of_its_limits_size",
    ),
    // Services and policies.
    (
        "ServiceSpec",
        &["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"],
        "src/core/src/network/allocate/tests.rs::wishes_are_granted_or_refused_in_kubernetes_words",
    ),
    (
        "ServiceSpec",
        &["allocateLoadBalancerNodePorts"],
        "src/api/tests/network.rs::a_load_balancer_is_a_node_port_unless_it_wants_no_ports_of_the_node",
    ),
    (
        "ServiceSpec",
        &["externalIPs"],
        "src/core/src/network/services/tests.rs::both_families_where_the_service_has_both",
    ),
    (
        "ServiceSpec",
        &["externalName"],
        "tests/tests/network_names.rs::an_external_name_leads_to_the_world",
    ),
    (
        "ServiceSpec",
        &[
            "externalTrafficPolicy",
            "internalTrafficPolicy",
            "trafficDistribution",
        ],
        ONE_NODE,
    ),
    (
        "ServiceSpec",
        &["publishNotReadyAddresses"],
        "src/core/src/network/services/tests.rs::only_ready_pods_get_traffic_unless_the_service_publishes_all",
    ),
    (
        "ServiceSpec",
        &["selector"],
        "src/core/src/network/services/tests.rs::pods_of_the_namespace_with_all_labels_are_behind_it",
    ),
    ("ServiceSpec", &["sessionAffinity"], AFFINITY),
    ("ClientIPConfig", &["timeoutSeconds"], AFFINITY),
    ("ServiceSpec", &["type"], NODE_PORT),
    ("ServicePort", &["nodePort", "port", "protocol"], NODE_PORT),
    ("ServicePort", &["targetPort", "name"], NAMED_TARGET),
    ("ServicePort", &["appProtocol"], ONE_NODE),
    (
        "NetworkPolicySpec",
        &["policyTypes"],
        "src/core/src/network/policies/tests.rs::a_policy_of_one_direction_leaves_the_other_alone",
    ),
    (
        "NetworkPolicyPort",
        &["endPort", "port", "protocol"],
        "tests/tests/network_policies.rs::only_the_selected_pods_come_in_and_only_to_the_ports_that_are_named",
    ),
    (
        "IPBlock",
        &["cidr", "except"],
        "tests/tests/network_policies.rs::addresses_outside_are_let_in_by_their_block_alone",
    ),
    ("PodSpec", &["activeDeadlineSeconds"], DEADLINE),
    (
        "Container",
        &["restartPolicy"],
        "tests/tests/init_containers.rs::a_sidecar_starts_first_and_ends_last_and_keeps_no_pod_alive",
    ),
    (
        "PodReadinessGate",
        &["conditionType"],
        "src/core/src/pod/model/sequence.rs::a_pod_with_a_gate_that_nobody_opens_is_not_ready_though_its_containers_are",
    ),
    (
        "Probe",
        &["failureThreshold", "successThreshold"],
        "src/core/src/probe/tests.rs::a_verdict_changes_only_after_as_many_answers_in_a_row_as_its_threshold_says",
    ),
    (
        "Probe",
        &["initialDelaySeconds", "periodSeconds"],
        "src/core/src/probe/tests.rs::the_first_question_waits_for_the_initial_delay_and_the_others_keep_their_period",
    ),
    (
        "Probe",
        &["timeoutSeconds"],
        "tests/tests/probes.rs::a_probe_that_hangs_or_floods_fails_and_harms_nothing_else",
    ),
    (
        "Probe",
        &["terminationGracePeriodSeconds"],
        "src/core/src/pod/model/sequence.rs::a_container_whose_liveness_fails_ends_within_its_probes_grace_and_starts_again",
    ),
    (
        "ExecAction",
        &["command"],
        "tests/tests/probes.rs::readiness_follows_its_probe",
    ),
    ("HTTPGetAction", &["host", "path", "port", "scheme"], OVER_NETWORK),
    ("HTTPHeader", &["name", "value"], OVER_NETWORK),
    ("TCPSocketAction", &["host", "port"], OVER_NETWORK),
    (
        "GRPCAction",
        &["port", "service"],
        "src/pinnace/src/agent/checks/tests.rs::a_service_is_asked_for_its_health",
    ),
    (
        "SleepAction",
        &["seconds"],
        "tests/tests/hooks.rs::a_pause_before_the_end_is_kept",
    ),
];

const DEADLINE: &str = "tests/tests/lifecycle.rs::a_pod_past_its_deadline_has_failed";
const OVER_NETWORK: &str = "tests/tests/probes.rs::probes_over_the_network_reach_the_pod_from_its_node";
const KINDS: &str = "src/api/src/support/shown.rs::a_kind_is_read_in_its_own_version_only";
const CONFIG_MAP: &str = "src/api/src/convert/tests/objects.rs::a_config_map_holds_texts_and_bytes";
const SECRET: &str = "src/api/src/convert/tests/objects.rs::a_secrets_texts_take_the_place_of_its_bytes";
const FIELDS_OF_POD: &str = "tests/tests/environment.rs::a_container_is_told_the_fields_of_its_pod";
const TEMPLATE: &str =
    "src/api/tests/meaning.rs::a_daemon_sets_pod_carries_labels_owner_and_the_controllers_tolerations";
const RESOLV_CONF: &str = "tests/tests/network_names.rs::resolv_conf_is_what_each_dns_policy_says";
const SERVICE_LINKS: &str = "tests/tests/network_services.rs::listings_show_services_and_their_endpoints_and_containers_know_them_by_their_environment";
const HOSTS: &str =
    "src/core/src/network/files.rs::hosts_has_every_address_the_full_name_first_and_the_aliases_last";
const SELECTOR: &str = "src/api/src/label_selector.rs::each_operator_as_kubernetes_has_it";
const USERS: &str = "tests/tests/security.rs::users_and_groups_are_those_asked_for";
const NON_ROOT: &str = "tests/tests/security_context.rs::who_may_not_be_root_is_not_started_as_root";
const LITERALS: &str =
    "tests/tests/environment.rs::a_container_has_its_literal_variables_directory_command_and_arguments";
const HOST_PORT: &str = "tests/tests/network_ports.rs::a_host_port_is_reached_from_outside_from_pods_and_from_the_host_and_goes_with_its_pod";
const NAMED_TARGET: &str = "src/core/src/network/services/tests.rs::a_named_target_is_looked_up_in_each_pod";
const AFFINITY: &str =
    "tests/tests/network_services.rs::a_client_stays_with_its_endpoint_where_the_service_says_so";
const NODE_PORT: &str =
    "tests/tests/network_services.rs::a_node_port_is_reached_from_outside_from_pods_and_from_the_host";
const ONE_NODE: &str = "src/api/tests/network.rs::a_service_has_its_addresses_ports_and_affinity";

/// The test that shows a field.
pub(super) fn shown_by(kind: &str, field: &str) -> Option<&'static str> {
    let of = SHOWN
        .iter()
        .find(|(known, fields, _)| *known == kind && fields.contains(&field));
    of.map(|(_, _, test)| *test)
}

#[test]
fn every_enforced_field_of_a_document_is_shown_by_a_test_that_exists() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut lacking = Vec::new();
    for (kind, fields) in super::page::reached_types() {
        for (field, effect) in *fields {
            match (effect, shown_by(kind, field)) {
                (Effect::Held, None) => lacking.push(format!("{kind}.{field} names no test in shown.rs")),
                (Effect::Held, Some(test)) if !exists(&root, test) => {
                    lacking.push(format!("{kind}.{field}: there is no test {test}"));
                }
                _ => {}
            }
        }
    }
    assert!(lacking.is_empty(), "{lacking:#?}");
}

/// Whether the file has a test of that name.
fn exists(root: &std::path::Path, test: &str) -> bool {
    let Some((file, function)) = test.split_once("::") else {
        return false;
    };
    let text = std::fs::read_to_string(root.join(file)).unwrap_or_default();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let at = lines.iter().position(|line| {
        let name = line.split_once("fn ").map(|(_, rest)| rest);
        name.is_some_and(|name| name.starts_with(&format!("{function}(")))
    });
    // Its attributes stand before it.
    at.is_some_and(|at| {
        let mut before = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
        before.any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
    })
}

#[test]
fn every_field_that_names_a_test_is_in_the_table_and_named_once() {
    let mut seen = std::collections::BTreeSet::new();
    for (kind, fields, _) in SHOWN {
        for field in *fields {
            let of = TYPES.iter().find(|(known, _)| known == kind);
            let effect = of.and_then(|(_, fields)| fields.iter().find(|(known, _)| known == field));
            assert!(
                matches!(effect, Some((_, Effect::Held))),
                "{kind}.{field} is not enforced by the table"
            );
            assert!(seen.insert((kind, field)), "{kind}.{field} names two tests");
        }
    }
}

#[test]
fn a_kind_is_read_in_its_own_version_only() {
    use crate::read::{ReadLimits, read_documents};
    for kind in super::page::KINDS {
        let version = crate::kinds::version_of(kind).unwrap();
        let found = |version: &str| {
            let text = format!("{{apiVersion: {version}, kind: {kind}, metadata: {{name: A}}}}");
            let reading = read_documents(text.as_bytes(), "a.yaml", &ReadLimits::default());
            let problems = reading.problems.into_iter();
            problems
                .map(|problem| problem.message)
                .collect::<Vec<_>>()
                .join("\n")
        };
        let other = found("example.com/v9");
        assert!(
            other.contains("no matches for kind") && other.contains(version),
            "{other}"
        );
        let own = found(version);
        assert!(
            !own.contains("no matches for kind") && own.contains("Invalid value: \"A\""),
            "{kind}: {own}"
        );
    }
}
