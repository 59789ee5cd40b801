//! What plugins are told of a pod: `CNI_ARGS` and the arguments of capabilities, as container daemons word them.

use std::net::IpAddr;

use pinnace_api::pod::{ContainerPort, Protocol};
use pinnace_api::{Pod, PodUid};
use serde_json::{Map, Value, json};

use crate::error::NetError;
use crate::links::Shape;

/// Host ports.
pub(crate) const PORT_MAPPINGS: &str = "portMappings";
/// Limits of how fast a pod may receive and send.
pub(crate) const BANDWIDTH: &str = "bandwidth";
/// The pod's annotations, under the name that containerd gives them.
const ANNOTATIONS: &str = "io.kubernetes.cri.pod-annotations";
/// How many bits may pass at once: the most that the bandwidth plugin takes, and what container daemons give.
const BURST_BITS: u32 = u32::MAX;

/// `CNI_ARGS`; of a pod of which only the UID is left, without its names.
pub(crate) fn cni_args(uid: &PodUid, pod: Option<&Pod>) -> String {
    let mut args = "IgnoreUnknown=1".to_owned();
    if let Some(pod) = pod {
        let (namespace, name) = (&pod.meta.namespace, &pod.meta.name);
        args.push_str(&format!(";K8S_POD_NAMESPACE={namespace};K8S_POD_NAME={name}"));
    }
    args.push_str(&format!(";K8S_POD_INFRA_CONTAINER_ID={uid};K8S_POD_UID={uid}"));
    args
}

/// Arguments by capability; each plugin gets those that it declares.
pub(crate) fn capabilities(pod: &Pod) -> Result<Map<String, Value>, NetError> {
    let mut capabilities = Map::new();
    let ports = pod.spec.containers.iter().flat_map(|container| &container.ports);
    let ports: Vec<Value> = ports.filter_map(port).collect();
    if !ports.is_empty() {
        capabilities.insert(PORT_MAPPINGS.to_owned(), ports.into());
    }
    let bandwidth = bandwidth(&Shape::of(pod)?);
    if !bandwidth.is_empty() {
        capabilities.insert(BANDWIDTH.to_owned(), bandwidth.into());
    }
    if !pod.meta.annotations.is_empty() {
        capabilities.insert(ANNOTATIONS.to_owned(), json!(pod.meta.annotations));
    }
    Ok(capabilities)
}

fn port(port: &ContainerPort) -> Option<Value> {
    let protocol = match port.protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    };
    Some(json!({
        "hostPort": port.host_port?,
        "containerPort": port.container_port,
        "protocol": protocol,
        "hostIP": port.host_ip.as_ref().map(IpAddr::to_string).unwrap_or_default(),
    }))
}

fn bandwidth(shape: &Shape) -> Map<String, Value> {
    let mut limits = Map::new();
    for (direction, bits) in [("ingress", shape.ingress_bits), ("egress", shape.egress_bits)] {
        if let Some(bits) = bits {
            limits.insert(format!("{direction}Rate"), bits.into());
            limits.insert(format!("{direction}Burst"), BURST_BITS.into());
        }
    }
    limits
}

#[cfg(test)]
mod tests {
    use pinnace_api::testing::{self, uid};

    use super::*;

    #[test]
    fn names_and_uid_are_told_and_unknown_ones_may_be_ignored() {
        let pod = testing::pod("web", json!({}));
        assert_eq!(
            cni_args(&uid(1), Some(&pod)),
            format!(
                "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID={0};K8S_POD_UID={0}",
                uid(1)
            )
        );
        assert!(!cni_args(&uid(1), None).contains("NAME"));
    }

    #[test]
    fn host_ports_bandwidth_and_annotations_are_arguments() {
        let mut pod = testing::pod(
            "web",
            json!({"containers": [{"name": "c", "image": "i", "ports": [
                {"containerPort": 80, "hostPort": 8080},
                {"containerPort": 53, "hostPort": 53, "protocol": "UDP", "hostIP": "127.0.0.1"},
                {"containerPort": 81},
            ]}]}),
        );
        let key = "kubernetes.io/ingress-bandwidth";
        pod.meta.annotations.insert(key.to_owned(), "1M".to_owned());
        assert_eq!(
            Value::from(capabilities(&pod).unwrap()),
            json!({
                "portMappings": [
                    {"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": ""},
                    {"hostPort": 53, "containerPort": 53, "protocol": "udp", "hostIP": "127.0.0.1"},
                ],
                "bandwidth": {"ingressRate": 1_000_000, "ingressBurst": 4_294_967_295_u32},
                "io.kubernetes.cri.pod-annotations": {key: "1M"},
            })
        );
        pod.meta.annotations.insert(key.to_owned(), "1".to_owned());
        assert!(capabilities(&pod).is_err());
        assert!(
            capabilities(&testing::pod("plain", json!({})))
                .unwrap()
                .is_empty()
        );
    }
}
