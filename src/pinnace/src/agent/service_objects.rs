//! Services, and what stands behind them, as JSON in Kubernetes' shapes.
//!
//! Endpoints have one subset for each set of ports that addresses share, of the Service's first family, as
//! Kubernetes' controller packs them; EndpointSlices have both families.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use pinnace_api::service::IpFamily;
use pinnace_core::network::{Endpoint, ServiceEntry, ServiceForm};
use pinnace_core::time::WallMillis;
use pinnace_engine::board::ServiceView;
use serde_json::{Map, Value, json};

use super::objects::set_metadata;

/// The port of an endpoint: name, protocol, number.
type Port = (Option<String>, &'static str, u16);

/// The Service, with the addresses and ports that it was given.
pub fn service(view: &ServiceView, since: WallMillis) -> Value {
    let mut object = view.service.document.defaulted();
    let fields = [
        ("namespace", json!(view.service.meta.namespace)),
        ("creationTimestamp", json!(since.rfc3339())),
    ];
    set_metadata(&mut object, fields);
    let mut status = json!({"loadBalancer": {}});
    if let (Some(why), Value::Object(status)) = (&view.refused, &mut status) {
        let condition = json!({
            "type": "Allocated", "status": "False", "reason": "FailedAllocation", "message": why,
        });
        status.insert("conditions".to_owned(), json!([condition]));
    }
    if let (Some(entry), Some(Value::Object(spec))) = (&view.entry, object.get_mut("spec")) {
        dress(spec, entry);
    }
    object.insert("status".to_owned(), status);
    Value::Object(object)
}

fn dress(spec: &mut Map<String, Value>, entry: &ServiceEntry) {
    let addresses = match entry.form {
        ServiceForm::ExternalName(_) => return,
        ServiceForm::Headless => vec!["None".to_owned()],
        ServiceForm::ClusterIp | ServiceForm::NodePort => {
            entry.cluster_ips.iter().map(IpAddr::to_string).collect()
        }
    };
    if let Some(first) = addresses.first() {
        spec.insert("clusterIP".to_owned(), json!(first));
        spec.insert("clusterIPs".to_owned(), json!(addresses));
    }
    if !entry.cluster_ips.is_empty() {
        let families = entry.cluster_ips.iter().map(|ip| IpFamily::of(*ip).as_str());
        spec.insert("ipFamilies".to_owned(), families.collect());
        let policy = spec.entry("ipFamilyPolicy").or_insert(Value::Null);
        if policy.is_null() {
            *policy = json!("SingleStack");
        }
    }
    let Some(Value::Array(ports)) = spec.get_mut("ports") else {
        return;
    };
    for (port, given) in ports.iter_mut().zip(&entry.ports) {
        if let (Value::Object(port), Some(number)) = (port, given.node_port) {
            port.insert("nodePort".to_owned(), json!(number));
        }
    }
}

/// The v1 Endpoints of a Service; `None` of one that has none by its nature.
pub fn endpoints(view: &ServiceView, node: Option<&str>) -> Option<Value> {
    let entry = view.entry.as_ref()?;
    if !has_endpoints(view, entry) {
        return None;
    }
    let all = by_address(entry);
    let first = match entry.cluster_ips.first() {
        Some(ip) => Some(IpFamily::of(*ip)),
        None => all.keys().next().map(|(ip, _)| IpFamily::of(*ip)),
    };
    let mut subsets: BTreeMap<&BTreeSet<Port>, [Vec<Value>; 2]> = BTreeMap::new();
    for ((ip, serving), (endpoint, ports)) in &all {
        if first == Some(IpFamily::of(*ip)) {
            let lists = subsets.entry(ports).or_default();
            lists[usize::from(!serving)].push(address(endpoint, node));
        }
    }
    let subsets: Vec<Value> = subsets
        .into_iter()
        .map(|(ports, [ready, not_ready])| {
            let mut subset = Map::new();
            let lists = [("addresses", ready), ("notReadyAddresses", not_ready)];
            for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
                subset.insert(name.to_owned(), json!(list));
            }
            if !ports.is_empty() {
                subset.insert("ports".to_owned(), ports.iter().map(port).collect());
            }
            Value::Object(subset)
        })
        .collect();
    let meta = &view.service.meta;
    Some(json!({
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": meta.name, "namespace": meta.namespace, "labels": meta.labels},
        "subsets": subsets,
    }))
}

/// The EndpointSlices of a Service: one for each family and set of ports.
pub fn endpoint_slices(view: &ServiceView, node: Option<&str>) -> Vec<Value> {
    let Some(entry) = view.entry.as_ref().filter(|entry| has_endpoints(view, entry)) else {
        return Vec::new();
    };
    let all = by_address(entry);
    let mut slices: BTreeMap<(IpFamily, &BTreeSet<Port>), Vec<Value>> = BTreeMap::new();
    for ((ip, _), (endpoint, ports)) in &all {
        let of = slices.entry((IpFamily::of(*ip), ports)).or_default();
        of.push(slice_endpoint(endpoint, node));
    }
    let meta = &view.service.meta;
    let mut shown = Vec::new();
    for ((family, ports), endpoints) in slices {
        shown.push(json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": format!("{}-{}", meta.name, shown.len()),
                "namespace": meta.namespace,
                "labels": {"kubernetes.io/service-name": meta.name},
            },
            "addressType": family.as_str(),
            "endpoints": endpoints,
            "ports": ports.iter().map(port).collect::<Vec<Value>>(),
        }));
    }
    shown
}

/// A Service without a selector, or under another name, has no endpoints of this node's making.
fn has_endpoints(view: &ServiceView, entry: &ServiceEntry) -> bool {
    !view.service.spec.selector.is_empty() && !matches!(entry.form, ServiceForm::ExternalName(_))
}

/// Each address once, with all of its ports.
fn by_address(entry: &ServiceEntry) -> BTreeMap<(IpAddr, bool), (&Endpoint, BTreeSet<Port>)> {
    let of_ports = entry.ports.iter().flat_map(|port| {
        let own = |endpoint: &Endpoint| (port.name.clone(), port.protocol.as_str(), endpoint.port);
        port.endpoints
            .iter()
            .map(move |endpoint| (endpoint, Some(own(endpoint))))
    });
    let portless = entry.portless.iter().map(|endpoint| (endpoint, None));
    let mut all = BTreeMap::new();
    for (endpoint, port) in portless.chain(of_ports) {
        let key = (endpoint.address, endpoint.serving);
        let (_, ports) = all.entry(key).or_insert((endpoint, BTreeSet::new()));
        ports.extend(port);
    }
    all
}

fn port((name, protocol, number): &Port) -> Value {
    let mut port = json!({"port": number, "protocol": protocol});
    if let (Some(name), Value::Object(port)) = (name, &mut port) {
        port.insert("name".to_owned(), json!(name));
    }
    port
}

fn target(endpoint: &Endpoint) -> Value {
    let (namespace, name) = &endpoint.pod;
    json!({"kind": "Pod", "namespace": namespace, "name": name})
}

fn address(endpoint: &Endpoint, node: Option<&str>) -> Value {
    let mut address = json!({"ip": endpoint.address, "targetRef": target(endpoint)});
    more(&mut address, endpoint, node);
    address
}

fn slice_endpoint(endpoint: &Endpoint, node: Option<&str>) -> Value {
    let mut value = json!({
        "addresses": [endpoint.address],
        "conditions": {"ready": endpoint.serving, "serving": endpoint.serving},
        "targetRef": target(endpoint),
    });
    more(&mut value, endpoint, node);
    value
}

fn more(value: &mut Value, endpoint: &Endpoint, node: Option<&str>) {
    let Value::Object(value) = value else { return };
    if let Some(hostname) = &endpoint.hostname {
        value.insert("hostname".to_owned(), json!(hostname));
    }
    if let Some(node) = node {
        value.insert("nodeName".to_owned(), json!(node));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pinnace_api::pod::Protocol;
    use pinnace_api::read::{ReadLimits, read_documents};
    use pinnace_api::{Namespace, Object, ObjectName, Service};
    use pinnace_core::network::PortEntry;

    use super::*;

    const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n  type: NodePort\n  \
        selector: {app: web}\n  ports: [{name: http, port: 80, targetPort: 8080}]\n";

    fn read(text: &str) -> Arc<Service> {
        let reading = read_documents(text.as_bytes(), "a.yaml", &ReadLimits::default());
        match reading.objects.into_iter().next().map(|located| located.object) {
            Some(Object::Service(service)) => Arc::new(service),
            other => panic!("{other:?}: {:?}", reading.problems),
        }
    }

    fn endpoint(address: &str, serving: bool, hostname: Option<&str>) -> Endpoint {
        Endpoint {
            address: address.parse().unwrap(),
            port: 8080,
            serving,
            pod: (Namespace::default(), ObjectName::new("web-0").unwrap()),
            hostname: hostname.map(str::to_owned),
        }
    }

    fn view() -> ServiceView {
        let entry = ServiceEntry {
            form: ServiceForm::NodePort,
            cluster_ips: vec!["10.96.0.7".parse().unwrap(), "fd00::7".parse().unwrap()],
            external_ips: Vec::new(),
            client_ip_affinity: None,
            ports: vec![PortEntry {
                name: Some("http".to_owned()),
                protocol: Protocol::Tcp,
                port: 80,
                node_port: Some(30_080),
                endpoints: vec![
                    endpoint("10.244.0.5", true, Some("web-0")),
                    endpoint("10.244.0.6", false, None),
                    endpoint("fd01::5", true, None),
                ],
            }],
            portless: Vec::new(),
        };
        ServiceView {
            service: read(SERVICE),
            entry: Some(entry),
            refused: None,
        }
    }

    #[test]
    fn a_service_shows_what_it_was_given() {
        let shown = service(&view(), WallMillis(0));
        assert_eq!(shown["spec"]["clusterIP"], "10.96.0.7");
        assert_eq!(shown["spec"]["clusterIPs"], json!(["10.96.0.7", "fd00::7"]));
        assert_eq!(shown["spec"]["ipFamilies"], json!(["IPv4", "IPv6"]));
        assert_eq!(shown["spec"]["ports"][0]["nodePort"], 30_080);
        assert_eq!(shown["spec"]["sessionAffinity"], "None");
        assert_eq!(shown["metadata"]["namespace"], "default");
    }

    #[test]
    fn a_service_that_cannot_be_served_says_why() {
        let refused = ServiceView {
            entry: None,
            refused: Some("provided IP is already allocated".to_owned()),
            ..view()
        };
        let shown = service(&refused, WallMillis(0));
        assert_eq!(shown["spec"].get("clusterIP"), None);
        let condition = &shown["status"]["conditions"][0];
        assert_eq!(condition["message"], "provided IP is already allocated");
        assert_eq!(endpoints(&refused, None), None);
    }

    #[test]
    fn endpoints_are_of_the_first_family_and_told_apart_by_readiness() {
        let shown = endpoints(&view(), Some("node1")).unwrap();
        let target = json!({"kind": "Pod", "namespace": "default", "name": "web-0"});
        let expected = json!([{
            "addresses": [{"ip": "10.244.0.5", "hostname": "web-0", "nodeName": "node1", "targetRef": target}],
            "notReadyAddresses": [{"ip": "10.244.0.6", "nodeName": "node1", "targetRef": target}],
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        }]);
        assert_eq!(shown["subsets"], expected);
    }

    #[test]
    fn slices_are_of_both_families() {
        let slices = endpoint_slices(&view(), None);
        let families: Vec<&Value> = slices.iter().map(|slice| &slice["addressType"]).collect();
        assert_eq!(families, ["IPv4", "IPv6"]);
        assert_eq!(slices[0]["endpoints"].as_array().map(Vec::len), Some(2));
        assert_eq!(
            slices[1]["metadata"]["labels"]["kubernetes.io/service-name"],
            "web"
        );
    }
}
