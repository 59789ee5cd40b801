//! Services, NetworkPolicies, Namespaces.

use super::{BY_SERVER, Fields, Held, Inert, Into};

const NO_BALANCER: &str = "there is no load balancer here";

pub(super) const SERVICE: Fields = &[
    ("apiVersion", Held),
    ("kind", Held),
    ("metadata", Into("ObjectMeta")),
    ("spec", Into("ServiceSpec")),
    ("status", Inert(&["{}", "{\"loadBalancer\":{}}"], BY_SERVER)),
];

pub(super) const SERVICE_SPEC: Fields = &[
    ("allocateLoadBalancerNodePorts", Held),
    ("clusterIP", Held),
    ("clusterIPs", Held),
    ("externalIPs", Held),
    ("externalName", Held),
    // All endpoints are this node's own, and clients' addresses are kept: both policies mean the same here.
    ("externalTrafficPolicy", Held),
    ("healthCheckNodePort", Inert(&["0"], NO_BALANCER)),
    ("internalTrafficPolicy", Held),
    ("ipFamilies", Held),
    ("ipFamilyPolicy", Held),
    ("loadBalancerClass", Inert(&[], NO_BALANCER)),
    ("loadBalancerIP", Inert(&[], NO_BALANCER)),
    ("loadBalancerSourceRanges", Inert(&[], NO_BALANCER)),
    ("ports", Into("ServicePort")),
    ("publishNotReadyAddresses", Held),
    ("selector", Held),
    ("sessionAffinity", Held),
    ("sessionAffinityConfig", Into("SessionAffinityConfig")),
    // Every endpoint is as close as any other.
    ("trafficDistribution", Held),
    ("type", Held),
];

pub(super) const SERVICE_PORT: Fields = &[
    // A hint to those who read the object.
    ("appProtocol", Held),
    ("name", Held),
    ("nodePort", Held),
    ("port", Held),
    ("protocol", Held),
    ("targetPort", Held),
];

pub(super) const POLICY: Fields = &[
    ("apiVersion", Held),
    ("kind", Held),
    ("metadata", Into("ObjectMeta")),
    ("spec", Into("NetworkPolicySpec")),
];

pub(super) const POLICY_SPEC: Fields = &[
    ("egress", Into("NetworkPolicyEgressRule")),
    ("ingress", Into("NetworkPolicyIngressRule")),
    ("podSelector", Into("LabelSelector")),
    ("policyTypes", Held),
];

pub(super) const INGRESS_RULE: Fields = &[
    ("from", Into("NetworkPolicyPeer")),
    ("ports", Into("NetworkPolicyPort")),
];

pub(super) const EGRESS_RULE: Fields = &[
    ("ports", Into("NetworkPolicyPort")),
    ("to", Into("NetworkPolicyPeer")),
];

pub(super) const POLICY_PEER: Fields = &[
    ("ipBlock", Into("IPBlock")),
    ("namespaceSelector", Into("LabelSelector")),
    ("podSelector", Into("LabelSelector")),
];

pub(super) const POLICY_PORT: Fields = &[("endPort", Held), ("port", Held), ("protocol", Held)];

pub(super) const NAMESPACE: Fields = &[
    ("apiVersion", Held),
    ("kind", Held),
    ("metadata", Into("ObjectMeta")),
    (
        "spec",
        Inert(
            &["{}", "{\"finalizers\":[\"kubernetes\"]}"],
            "nothing waits for it when the object is removed",
        ),
    ),
    ("status", Inert(&["{}", "{\"phase\":\"Active\"}"], BY_SERVER)),
];
