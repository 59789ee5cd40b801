//! Services as variables of containers, as the kubelet writes them (`enableServiceLinks`).

use std::net::{IpAddr, SocketAddr};

use pinnace_api::{Namespace, Pod};

use super::tables::{PortEntry, ServiceEntry, ServiceTable};

/// The Service whose variables every pod has, whatever it asks for, where there is one in `default`.
const KUBERNETES: &str = "kubernetes";

/// The variables that tell a pod of the Services of its namespace, each name once; those of containers' own come
/// before them.
pub fn service_variables(pod: &Pod, table: &ServiceTable) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    let own = &pod.meta.namespace;
    let services = table.services.iter();
    // A Service `kubernetes` of the pod's namespace gives way to the one of `default`: it comes first, and the
    // first of a name stays.
    let is_meant = |namespace: &Namespace| namespace == own && pod.spec.enable_service_links;
    let is_root =
        |namespace: &Namespace, name: &str| *namespace == Namespace::default() && name == KUBERNETES;
    let roots = services
        .clone()
        .filter(|((namespace, name), _)| is_root(namespace, name.as_str()));
    let others =
        services.filter(|((namespace, name), _)| is_meant(namespace) && !is_root(namespace, name.as_str()));
    for ((_, name), entry) in roots.chain(others) {
        if let (Some(address), false) = (entry.cluster_ips.first(), entry.ports.is_empty()) {
            add(&mut variables, &variable_name(name.as_str()), *address, entry);
        }
    }
    let mut seen = std::collections::HashSet::new();
    variables.retain(|(name, _)| seen.insert(name.clone()));
    variables
}

fn add(variables: &mut Vec<(String, String)>, service: &str, address: IpAddr, entry: &ServiceEntry) {
    let Some(first) = entry.ports.first() else { return };
    let mut push = |name: String, value: String| variables.push((name, value));
    push(format!("{service}_SERVICE_HOST"), address.to_string());
    push(format!("{service}_SERVICE_PORT"), first.port.to_string());
    for port in &entry.ports {
        if let Some(name) = &port.name {
            let name = variable_name(name);
            push(format!("{service}_SERVICE_PORT_{name}"), port.port.to_string());
        }
    }
    // As Docker's links had them.
    push(format!("{service}_PORT"), url(address, first));
    for port in &entry.ports {
        let protocol = port.protocol.as_str();
        let prefix = format!("{service}_PORT_{}_{protocol}", port.port);
        push(prefix.clone(), url(address, port));
        push(format!("{prefix}_PROTO"), protocol.to_ascii_lowercase());
        push(format!("{prefix}_PORT"), port.port.to_string());
        push(format!("{prefix}_ADDR"), address.to_string());
    }
}

/// `tcp://10.96.0.1:443`.
fn url(address: IpAddr, port: &PortEntry) -> String {
    let socket = SocketAddr::new(address, port.port);
    format!("{}://{socket}", port.protocol.as_str().to_ascii_lowercase())
}

fn variable_name(name: &str) -> String {
    name.replace('-', "_").to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use pinnace_api::testing::service;
    use serde_json::{Value, json};

    use super::*;
    use crate::network::testing::{pod, ranges};
    use crate::network::{ServiceAllocations, allocate, service_table};

    fn table() -> ServiceTable {
        let redis = json!({
            "clusterIP": "10.96.0.11",
            "ports": [{"name": "redis-main", "port": 6379}, {"name": "m", "port": 53, "protocol": "UDP"}],
        });
        let plain = |address: &str| json!({"clusterIP": address, "ports": [{"port": 443}]});
        let services = [
            service("shop", "redis-master", &redis),
            service("shop", "headless", &json!({"clusterIP": "None"})),
            service(
                "shop",
                "alias",
                &json!({"type": "ExternalName", "externalName": "example.org"}),
            ),
            service("shop", "kubernetes", &plain("10.96.0.12")),
            service("default", "kubernetes", &plain("10.96.0.1")),
            service("default", "web", &plain("10.96.0.13")),
            service("six", "web", &plain("fd00:96::7")),
        ];
        let given = allocate(&services, &ServiceAllocations::new(), &ranges());
        assert_eq!(given.problems, []);
        service_table(&services, &given.allocations, &[], &ranges())
    }

    fn of(place: &str, spec: Value) -> Vec<(String, String)> {
        service_variables(&pod(place, "a", &[], spec).pod, &table())
    }

    #[test]
    fn services_of_the_namespace_are_told_as_the_kubelet_tells_them() {
        let variables = of("shop/a", json!({}));
        let told = |name: &str| {
            let mut found = variables.iter().filter(|(given, _)| given == name);
            let value = found.next().map(|(_, value)| value.as_str());
            assert_eq!(found.next(), None, "{name} is there once");
            value
        };
        for (name, value) in [
            ("REDIS_MASTER_SERVICE_HOST", "10.96.0.11"),
            ("REDIS_MASTER_SERVICE_PORT", "6379"),
            ("REDIS_MASTER_SERVICE_PORT_REDIS_MAIN", "6379"),
            ("REDIS_MASTER_SERVICE_PORT_M", "53"),
            ("REDIS_MASTER_PORT", "tcp://10.96.0.11:6379"),
            ("REDIS_MASTER_PORT_6379_TCP", "tcp://10.96.0.11:6379"),
            ("REDIS_MASTER_PORT_6379_TCP_PROTO", "tcp"),
            ("REDIS_MASTER_PORT_6379_TCP_PORT", "6379"),
            ("REDIS_MASTER_PORT_6379_TCP_ADDR", "10.96.0.11"),
            ("REDIS_MASTER_PORT_53_UDP", "udp://10.96.0.11:53"),
            ("KUBERNETES_SERVICE_HOST", "10.96.0.1"),
            ("KUBERNETES_PORT", "tcp://10.96.0.1:443"),
        ] {
            assert_eq!(told(name), Some(value), "{name}");
        }
        for absent in ["HEADLESS_SERVICE_HOST", "ALIAS_SERVICE_HOST", "WEB_SERVICE_HOST"] {
            assert_eq!(told(absent), None, "{absent}");
        }
    }

    #[test]
    fn without_links_only_the_kubernetes_service_is_told() {
        let variables = of("shop/a", json!({"enableServiceLinks": false}));
        assert!(!variables.is_empty());
        assert!(variables.iter().all(|(name, _)| name.starts_with("KUBERNETES_")));
        let nowhere = pod("empty/a", "a", &[], json!({"enableServiceLinks": true}));
        assert_eq!(service_variables(&nowhere.pod, &ServiceTable::default()), []);
    }

    #[test]
    fn an_ipv6_address_stands_in_brackets_in_a_url() {
        let variables = of("six/a", json!({}));
        let url = ("WEB_PORT".to_owned(), "tcp://[fd00:96::7]:443".to_owned());
        assert!(variables.contains(&url), "{variables:?}");
    }
}
