//! What this node does with each field of Kubernetes' types: the one place that says so.
//!
//! A field that would make a pod behave wrongly if it were passed over is refused; one that the pod runs well
//! without is taken with a warning that gives the reason.

mod config;
mod lifecycle;
mod network;
mod sources;

use super::Effect::{self, Choice, Forbidden, Held, Inert, Into, Refused};

/// The fields of one type.
pub(super) type Fields = &'static [(&'static str, Effect)];

const BY_SERVER: &str = "it is set by an API server, and has no effect in a manifest";
const IN_TEMPLATE: &str = "a template's own has no effect";
const OWN_PROFILE: &str = "every container has the profile of the node's runtime, whatever a pod asks for";
const ONE_NODE: &str = "a preference weighs nothing on one node";
const NO_TOKEN: &str = "no token is mounted: there is no API server to use it with";
const NO_ACCOUNT: &str = "no API server knows the account here";

const NO_FILE: &str = "no cluster gives the token: the volume has no such file";

const TOKEN_FILE: Effect = Inert(&[], NO_FILE);
const NO: Effect = Refused(&[]);
const SECCOMP: Effect = Into("SeccompProfile");
const APP_ARMOR: Effect = Into("AppArmorProfile");

/// All types that fields are looked up in.
pub(super) const TYPES: &[(&str, Fields)] = &[
    ("Pod", POD),
    ("PodTemplate", POD_TEMPLATE),
    ("DaemonSet", DAEMON_SET),
    ("ObjectMeta", OBJECT_META),
    ("TemplateMeta", TEMPLATE_META),
    ("DaemonSetSpec", DAEMON_SET_SPEC),
    ("DaemonSetUpdateStrategy", UPDATE_STRATEGY),
    ("RollingUpdateDaemonSet", ROLLING_UPDATE),
    ("PodTemplateSpec", TEMPLATE),
    ("PodSpec", POD_SPEC),
    ("PodSecurityContext", POD_SECURITY),
    ("PodOS", &[("name", Held)]),
    ("Affinity", AFFINITY),
    ("NodeAffinity", NODE_AFFINITY),
    ("PodAffinity", POD_AFFINITY),
    ("PodAntiAffinity", POD_AFFINITY),
    ("NodeSelector", &[("nodeSelectorTerms", Into("NodeSelectorTerm"))]),
    ("NodeSelectorTerm", NODE_SELECTOR_TERM),
    ("NodeSelectorRequirement", REQUIREMENT),
    ("LabelSelector", LABEL_SELECTOR),
    ("LabelSelectorRequirement", REQUIREMENT),
    ("Toleration", TOLERATION),
    ("Container", CONTAINER),
    ("EnvVar", sources::ENV_VAR),
    ("EnvVarSource", sources::ENV_VAR_SOURCE),
    ("ConfigMapKeySelector", sources::KEY_SELECTOR),
    ("SecretKeySelector", sources::KEY_SELECTOR),
    ("ObjectFieldSelector", sources::FIELD_SELECTOR),
    ("ResourceFieldSelector", sources::RESOURCE_SELECTOR),
    ("EnvFromSource", sources::ENV_FROM),
    ("ConfigMapEnvSource", sources::ENV_OBJECT),
    ("SecretEnvSource", sources::ENV_OBJECT),
    ("Probe", lifecycle::PROBE),
    ("Lifecycle", lifecycle::LIFECYCLE),
    ("LifecycleHandler", lifecycle::HANDLER),
    ("ExecAction", &[("command", Held)]),
    ("HTTPGetAction", lifecycle::HTTP_GET),
    ("HTTPHeader", &[("name", Held), ("value", Held)]),
    ("TCPSocketAction", &[("host", Held), ("port", Held)]),
    ("GRPCAction", lifecycle::GRPC),
    ("SleepAction", &[("seconds", Held)]),
    ("ContainerRestartRule", lifecycle::RESTART_RULE),
    (
        "ContainerRestartRuleOnExitCodes",
        &[("operator", Held), ("values", Held)],
    ),
    ("ContainerResizePolicy", lifecycle::RESIZE_POLICY),
    ("ContainerPort", CONTAINER_PORT),
    ("ResourceRequirements", RESOURCES),
    ("VolumeMount", VOLUME_MOUNT),
    ("SecurityContext", SECURITY),
    ("SELinuxOptions", SE_LINUX),
    ("Sysctl", &[("name", Held), ("value", Held)]),
    ("PodSchedulingGate", &[("name", Held)]),
    ("PodReadinessGate", &[("conditionType", Held)]),
    ("Capabilities", &[("add", Held), ("drop", Held)]),
    ("SeccompProfile", &[("localhostProfile", Held), ("type", Held)]),
    ("AppArmorProfile", PROFILE),
    ("Volume", VOLUME),
    ("HostPathVolumeSource", &[("path", Held), ("type", Held)]),
    ("EmptyDirVolumeSource", EMPTY_DIR),
    ("ConfigMapVolumeSource", sources::CONFIG_MAP_VOLUME),
    ("SecretVolumeSource", sources::SECRET_VOLUME),
    ("KeyToPath", sources::KEY_TO_PATH),
    ("DownwardAPIVolumeSource", sources::DOWNWARD_VOLUME),
    ("DownwardAPIVolumeFile", sources::DOWNWARD_FILE),
    ("ProjectedVolumeSource", sources::PROJECTED),
    ("VolumeProjection", sources::PROJECTION),
    ("ConfigMapProjection", sources::OBJECT_PROJECTION),
    ("SecretProjection", sources::OBJECT_PROJECTION),
    (
        "DownwardAPIProjection",
        &[("items", Into("DownwardAPIVolumeFile"))],
    ),
    ("ServiceAccountTokenProjection", sources::TOKEN_PROJECTION),
    ("ImageVolumeSource", sources::IMAGE_VOLUME),
    ("PersistentVolumeClaimVolumeSource", sources::CLAIM_VOLUME),
    (
        "EphemeralVolumeSource",
        &[("volumeClaimTemplate", Into("PersistentVolumeClaimTemplate"))],
    ),
    ("PersistentVolumeClaimTemplate", config::CLAIM_TEMPLATE),
    ("HostAlias", &[("hostnames", Held), ("ip", Held)]),
    ("PodDNSConfig", DNS_CONFIG),
    ("PodDNSConfigOption", &[("name", Held), ("value", Held)]),
    ("Service", network::SERVICE),
    ("ServiceSpec", network::SERVICE_SPEC),
    ("ServicePort", network::SERVICE_PORT),
    ("SessionAffinityConfig", &[("clientIP", Into("ClientIPConfig"))]),
    ("ClientIPConfig", &[("timeoutSeconds", Held)]),
    ("NetworkPolicy", network::POLICY),
    ("NetworkPolicySpec", network::POLICY_SPEC),
    ("NetworkPolicyIngressRule", network::INGRESS_RULE),
    ("NetworkPolicyEgressRule", network::EGRESS_RULE),
    ("NetworkPolicyPeer", network::POLICY_PEER),
    ("NetworkPolicyPort", network::POLICY_PORT),
    ("IPBlock", &[("cidr", Held), ("except", Held)]),
    ("Namespace", network::NAMESPACE),
    ("ConfigMap", config::CONFIG_MAP),
    ("Secret", config::SECRET),
    ("PersistentVolumeClaim", config::CLAIM),
    ("PersistentVolumeClaimSpec", config::CLAIM_SPEC),
    (
        "VolumeResourceRequirements",
        &[("limits", NO), ("requests", Held)],
    ),
    ("StorageClass", config::STORAGE_CLASS),
];

const POD: Fields = &[
    ("apiVersion", Held),
    ("kind", Held),
    ("metadata", Into("ObjectMeta")),
    ("spec", Into("PodSpec")),
    ("status", Inert(&["{}"], BY_SERVER)),
];

const POD_TEMPLATE: Fields = &[
    ("apiVersion", Held),
    ("kind", Held),
    ("metadata", Into("ObjectMeta")),
    ("template", Into("PodTemplateSpec")),
];

const DAEMON_SET: Fields = &[
    ("apiVersion", Held),
    ("kind", Held),
    ("metadata", Into("ObjectMeta")),
    ("spec", Into("DaemonSetSpec")),
    ("status", Inert(&["{}"], BY_SERVER)),
];

const OBJECT_META: Fields = &[
    ("annotations", Held),
    ("creationTimestamp", Inert(&[], BY_SERVER)),
    ("deletionGracePeriodSeconds", Inert(&[], BY_SERVER)),
    ("deletionTimestamp", Inert(&[], BY_SERVER)),
    (
        "finalizers",
        Inert(&[], "nothing waits for it when the object is removed"),
    ),
    ("generateName", NO),
    ("generation", Inert(&[], BY_SERVER)),
    ("labels", Held),
    ("managedFields", Inert(&[], BY_SERVER)),
    ("name", Held),
    ("namespace", Held),
    (
        "ownerReferences",
        Inert(&[], "objects of the directory have no owner but their file"),
    ),
    ("resourceVersion", Inert(&[], BY_SERVER)),
    ("selfLink", Inert(&[], BY_SERVER)),
    ("uid", Inert(&[], "the node gives each pod a UID of its own")),
];

const TEMPLATE_META: Fields = &[
    ("annotations", Held),
    ("creationTimestamp", Inert(&[], BY_SERVER)),
    ("deletionGracePeriodSeconds", Inert(&[], BY_SERVER)),
    ("deletionTimestamp", Inert(&[], BY_SERVER)),
    ("finalizers", Inert(&[], IN_TEMPLATE)),
    ("generateName", Inert(&[], IN_TEMPLATE)),
    ("generation", Inert(&[], BY_SERVER)),
    ("labels", Held),
    ("managedFields", Inert(&[], BY_SERVER)),
    ("name", Inert(&[], IN_TEMPLATE)),
    ("namespace", Inert(&[], IN_TEMPLATE)),
    ("ownerReferences", Inert(&[], IN_TEMPLATE)),
    ("resourceVersion", Inert(&[], BY_SERVER)),
    ("selfLink", Inert(&[], BY_SERVER)),
    ("uid", Inert(&[], IN_TEMPLATE)),
];

const DAEMON_SET_SPEC: Fields = &[
    (
        "minReadySeconds",
        Inert(&["0"], "one node's rollout has no next pod to wait with"),
    ),
    (
        "revisionHistoryLimit",
        Inert(&["10"], "old revisions are not kept yet"),
    ),
    ("selector", Into("LabelSelector")),
    ("template", Into("PodTemplateSpec")),
    ("updateStrategy", Into("DaemonSetUpdateStrategy")),
];

const UPDATE_STRATEGY: Fields = &[("rollingUpdate", Into("RollingUpdateDaemonSet")), ("type", Held)];

const ROLLING_UPDATE: Fields = &[
    ("maxSurge", Refused(&["0", "\"0\"", "\"0%\""])),
    (
        "maxUnavailable",
        Inert(&["1"], "on one node the one pod is replaced, whatever the number"),
    ),
];

const TEMPLATE: Fields = &[("metadata", Into("TemplateMeta")), ("spec", Into("PodSpec"))];

const POD_SPEC: Fields = &[
    ("activeDeadlineSeconds", Held),
    ("affinity", Into("Affinity")),
    ("automountServiceAccountToken", Inert(&["false"], NO_TOKEN)),
    ("containers", Into("Container")),
    ("dnsConfig", Into("PodDNSConfig")),
    ("dnsPolicy", Held),
    ("enableServiceLinks", Held),
    ("ephemeralContainers", Forbidden("cannot be set on create")),
    ("evictionResponders", NO),
    ("hostAliases", Into("HostAlias")),
    ("hostIPC", Held),
    ("hostNetwork", Held),
    ("hostPID", Held),
    ("hostUsers", Refused(&["true"])),
    ("hostname", Held),
    ("hostnameOverride", Held),
    (
        "imagePullSecrets",
        Inert(&[], "no registry is asked: images come from archives"),
    ),
    ("initContainers", Into("Container")),
    ("nodeName", Held),
    ("nodeSelector", Held),
    ("os", Into("PodOS")),
    ("overhead", Held),
    (
        "preemptionPolicy",
        Inert(&["\"PreemptLowerPriority\""], "no pod is preempted here"),
    ),
    ("priority", Inert(&["0"], "pods have no order of priority here")),
    (
        "priorityClassName",
        Inert(&[], "pods have no order of priority here"),
    ),
    ("readinessGates", Into("PodReadinessGate")),
    ("resourceClaims", NO),
    ("resources", Refused(&["{}"])),
    ("restartPolicy", Held),
    ("runtimeClassName", NO),
    (
        "schedulerName",
        Inert(
            &["\"default-scheduler\""],
            "the node itself decides which pods it runs",
        ),
    ),
    ("schedulingGates", Into("PodSchedulingGate")),
    ("schedulingGroup", NO),
    ("securityContext", Into("PodSecurityContext")),
    ("serviceAccount", Inert(&["\"default\""], NO_ACCOUNT)),
    ("serviceAccountName", Inert(&["\"default\""], NO_ACCOUNT)),
    ("setHostnameAsFQDN", Held),
    ("shareProcessNamespace", Held),
    ("subdomain", Held),
    ("terminationGracePeriodSeconds", Held),
    ("tolerations", Into("Toleration")),
    (
        "topologySpreadConstraints",
        Inert(&[], "there is nothing to spread over on one node"),
    ),
    ("volumes", Into("Volume")),
];

const POD_SECURITY: Fields = &[
    ("appArmorProfile", APP_ARMOR),
    ("fsGroup", Held),
    (
        "fsGroupChangePolicy",
        Inert(
            &[],
            "volumes of these kinds are made with their group, as on a cluster",
        ),
    ),
    ("runAsGroup", Held),
    ("runAsNonRoot", Held),
    ("runAsUser", Held),
    (
        "seLinuxChangePolicy",
        Inert(&[], "it says how seLinuxOptions are applied, which are not given"),
    ),
    ("seLinuxOptions", Refused(&["{}"])),
    ("seccompProfile", SECCOMP),
    ("supplementalGroups", Held),
    ("supplementalGroupsPolicy", Held),
    ("sysctls", Into("Sysctl")),
    ("windowsOptions", Inert(&["{}"], "it concerns nodes with Windows")),
];

const AFFINITY: Fields = &[
    ("nodeAffinity", Into("NodeAffinity")),
    ("podAffinity", Into("PodAffinity")),
    ("podAntiAffinity", Into("PodAntiAffinity")),
];

const NODE_AFFINITY: Fields = &[
    (
        "preferredDuringSchedulingIgnoredDuringExecution",
        Inert(&[], ONE_NODE),
    ),
    (
        "requiredDuringSchedulingIgnoredDuringExecution",
        Into("NodeSelector"),
    ),
];

const POD_AFFINITY: Fields = &[
    (
        "preferredDuringSchedulingIgnoredDuringExecution",
        Inert(&[], ONE_NODE),
    ),
    ("requiredDuringSchedulingIgnoredDuringExecution", NO),
];

const NODE_SELECTOR_TERM: Fields = &[
    ("matchExpressions", Into("NodeSelectorRequirement")),
    ("matchFields", Into("NodeSelectorRequirement")),
];

const LABEL_SELECTOR: Fields = &[
    ("matchExpressions", Into("LabelSelectorRequirement")),
    ("matchLabels", Held),
];

const REQUIREMENT: Fields = &[("key", Held), ("operator", Held), ("values", Held)];

const TOLERATION: Fields = &[
    ("effect", Held),
    ("key", Held),
    ("operator", Held),
    ("tolerationSeconds", Held),
    ("value", Held),
];

const CONTAINER: Fields = &[
    ("args", Held),
    ("command", Held),
    ("env", Into("EnvVar")),
    ("envFrom", Into("EnvFromSource")),
    ("image", Held),
    ("imagePullPolicy", Held),
    ("lifecycle", Into("Lifecycle")),
    ("livenessProbe", Into("Probe")),
    ("name", Held),
    ("ports", Into("ContainerPort")),
    ("readinessProbe", Into("Probe")),
    (
        "resizePolicy",
        Inert(&[], "resources of a running container are not changed yet"),
    ),
    ("resources", Into("ResourceRequirements")),
    ("restartPolicy", Held),
    ("restartPolicyRules", NO),
    ("securityContext", Into("SecurityContext")),
    ("startupProbe", Into("Probe")),
    ("stdin", Held),
    (
        "stdinOnce",
        Inert(&["false"], "nothing attaches to a container's stdin yet"),
    ),
    ("terminationMessagePath", Held),
    ("terminationMessagePolicy", Held),
    ("tty", Held),
    ("volumeDevices", NO),
    ("volumeMounts", Into("VolumeMount")),
    ("workingDir", Held),
];

const CONTAINER_PORT: Fields = &[
    ("containerPort", Held),
    ("hostIP", Held),
    ("hostPort", Held),
    ("name", Held),
    ("protocol", Held),
];

const RESOURCES: Fields = &[("claims", NO), ("limits", Held), ("requests", Held)];

const VOLUME_MOUNT: Fields = &[
    ("bindMountOptions", Refused(&["{}"])),
    ("mountPath", Held),
    ("mountPropagation", Held),
    ("name", Held),
    ("readOnly", Held),
    ("recursiveReadOnly", Held),
    ("subPath", Held),
    ("subPathExpr", Held),
];

const SECURITY: Fields = &[
    ("allowPrivilegeEscalation", Held),
    ("appArmorProfile", APP_ARMOR),
    ("capabilities", Into("Capabilities")),
    ("privileged", Held),
    ("procMount", Refused(&["\"Default\""])),
    ("readOnlyRootFilesystem", Held),
    ("runAsGroup", Held),
    ("runAsNonRoot", Held),
    ("runAsUser", Held),
    ("seLinuxOptions", Refused(&["{}"])),
    ("seccompProfile", SECCOMP),
    ("windowsOptions", Inert(&["{}"], "it concerns nodes with Windows")),
];

const SE_LINUX: Fields = &[("level", Held), ("role", Held), ("type", Held), ("user", Held)];

const PROFILE: Fields = &[
    ("localhostProfile", NO),
    (
        "type",
        Choice {
            silent: &[],
            inert: &["\"RuntimeDefault\"", "\"Unconfined\""],
            reason: OWN_PROFILE,
        },
    ),
];

const VOLUME: Fields = &[
    ("awsElasticBlockStore", NO),
    ("azureDisk", NO),
    ("azureFile", NO),
    ("cephfs", NO),
    ("cinder", NO),
    ("configMap", Into("ConfigMapVolumeSource")),
    ("csi", NO),
    ("downwardAPI", Into("DownwardAPIVolumeSource")),
    ("emptyDir", Into("EmptyDirVolumeSource")),
    ("ephemeral", NO),
    ("fc", NO),
    ("flexVolume", NO),
    ("flocker", NO),
    ("gcePersistentDisk", NO),
    ("gitRepo", NO),
    ("glusterfs", NO),
    ("hostPath", Into("HostPathVolumeSource")),
    ("image", Into("ImageVolumeSource")),
    ("iscsi", NO),
    ("name", Held),
    ("nfs", NO),
    ("persistentVolumeClaim", NO),
    ("photonPersistentDisk", NO),
    ("portworxVolume", NO),
    ("projected", Into("ProjectedVolumeSource")),
    ("quobyte", NO),
    ("rbd", NO),
    ("scaleIO", NO),
    ("secret", Into("SecretVolumeSource")),
    ("storageos", NO),
    ("vsphereVolume", NO),
];

const DNS_CONFIG: Fields = &[
    ("nameservers", Held),
    ("options", Into("PodDNSConfigOption")),
    ("searches", Held),
];

const EMPTY_DIR: Fields = &[("medium", Held), ("mode", NO), ("sizeLimit", Held)];
