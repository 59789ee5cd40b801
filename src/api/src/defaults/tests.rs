use serde_json::json;

use super::*;
use crate::read::{ReadLimits, read_documents};

fn document(text: &str) -> Document {
    let reading = read_documents(text.as_bytes(), "m.yaml", &ReadLimits::default());
    match reading.objects.first().map(|one| &one.object) {
        Some(one) => match one.document() {
            Some(document) => document.clone(),
            None => panic!("{one:?} keeps no document"),
        },
        None => panic!("{:?}", reading.problems),
    }
}

fn shown(text: &str) -> Value {
    Value::Object(document(text).defaulted())
}

#[test]
fn a_pod_shows_the_defaults_that_a_cluster_shows() {
    let pod = shown(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  containers:\n  - name: app\n    image: nginx\n\
         \x20   ports: [{containerPort: 80}]\n    resources: {limits: {cpu: 500m, memory: 64Mi}, requests: {cpu: 100m}}\n\
         \x20 volumes:\n  - {name: scratch}\n  - {name: host, hostPath: {path: /srv}}\n",
    );
    assert_eq!(
        pod["spec"],
        json!({
            "containers": [{
                "name": "app", "image": "nginx", "imagePullPolicy": "Always",
                "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "resources": {
                    "limits": {"cpu": "500m", "memory": "64Mi"},
                    "requests": {"cpu": "100m", "memory": "64Mi"},
                },
                "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
            }],
            "dnsPolicy": "ClusterFirst", "enableServiceLinks": true, "restartPolicy": "Always",
            "schedulerName": "default-scheduler", "securityContext": {}, "terminationGracePeriodSeconds": 30,
            "volumes": [{"name": "scratch", "emptyDir": {}}, {"name": "host", "hostPath": {"path": "/srv", "type": ""}}],
        })
    );
}

#[test]
fn what_is_given_stays_as_it_is() {
    let pod = shown(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  restartPolicy: Never\n  dnsPolicy: Default\n\
         \x20 hostNetwork: true\n  terminationGracePeriodSeconds: 0\n  containers:\n  - name: app\n    image: nginx:1\n\
         \x20   imagePullPolicy: Never\n    ports: [{containerPort: 53, protocol: UDP}]\n",
    );
    let spec = &pod["spec"];
    assert_eq!(spec["restartPolicy"], "Never");
    assert_eq!(spec["dnsPolicy"], "Default");
    assert_eq!(spec["terminationGracePeriodSeconds"], 0);
    let container = &spec["containers"][0];
    assert_eq!(container["imagePullPolicy"], "Never");
    assert_eq!(
        container["ports"],
        json!([{"containerPort": 53, "hostPort": 53, "protocol": "UDP"}])
    );
}

#[test]
fn a_daemonset_shows_its_own_defaults_and_its_templates() {
    const SET: &str = "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: agent}\nspec:\n  selector: {matchLabels: {a: b}}\n\
        \x20 template:\n    metadata: {labels: {a: b}}\n    spec:\n      containers:\n      - name: app\n        image: a/b:1\n\
        \x20       resources: {limits: {cpu: 1}}\n";
    let set = shown(SET);
    let spec = &set["spec"];
    assert_eq!(spec["revisionHistoryLimit"], 10);
    assert_eq!(
        spec["updateStrategy"],
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}})
    );
    let template = &spec["template"]["spec"];
    assert_eq!(template["restartPolicy"], "Always");
    assert_eq!(template["containers"][0]["imagePullPolicy"], "IfNotPresent");
    // These two are a pod's alone.
    assert_eq!(
        template["containers"][0]["resources"],
        json!({"limits": {"cpu": "1"}})
    );
    assert_eq!(template.get("enableServiceLinks"), None);
    let on_delete = shown(&format!("{SET}  updateStrategy: {{type: OnDelete}}\n"));
    assert_eq!(on_delete["spec"]["updateStrategy"], json!({"type": "OnDelete"}));
}

#[test]
fn probes_hooks_and_references_have_their_defaults() {
    let pod = json!({"kind": "Pod", "spec": {"containers": [{
        "image": "a:latest",
        "livenessProbe": {"httpGet": {"port": 80}, "periodSeconds": 0, "timeoutSeconds": 7},
        "lifecycle": {"preStop": {"httpGet": {"port": 80, "path": "/end"}}},
        "env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
    }], "volumes": [{"name": "c", "configMap": {"name": "c"}}]}});
    let pod = Value::Object(Document(pod.to_string()).defaulted());
    let container = &pod["spec"]["containers"][0];
    assert_eq!(
        container["livenessProbe"],
        json!({
            "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, "periodSeconds": 10, "timeoutSeconds": 7,
            "successThreshold": 1, "failureThreshold": 3,
        })
    );
    assert_eq!(
        container["lifecycle"]["preStop"]["httpGet"],
        json!({"port": 80, "path": "/end", "scheme": "HTTP"})
    );
    assert_eq!(container["env"][0]["valueFrom"]["fieldRef"]["apiVersion"], "v1");
    assert_eq!(pod["spec"]["volumes"][0]["configMap"]["defaultMode"], 420);
}

#[test]
fn the_document_itself_stays_without_defaults() {
    let document = document(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: w}\nspec: {containers: [{name: a, image: i}]}\n",
    );
    document.defaulted();
    assert!(!document.as_json().contains("restartPolicy"), "{document:?}");
}

fn spec_of(kind: &str, spec: &Value) -> Value {
    let version = if kind == "NetworkPolicy" {
        "networking.k8s.io/v1"
    } else {
        "v1"
    };
    let object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "a"}, "spec": spec});
    shown(&object.to_string())["spec"].clone()
}

#[test]
fn a_service_shows_the_defaults_that_a_cluster_shows() {
    assert_eq!(
        spec_of(
            "Service",
            &json!({"ports": [{"port": 80}], "externalIPs": ["192.0.2.1"]})
        ),
        json!({
            "type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster",
            "externalTrafficPolicy": "Cluster", "externalIPs": ["192.0.2.1"],
            "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
        })
    );
    let balancer = json!({
        "type": "LoadBalancer", "sessionAffinity": "ClientIP",
        "ports": [{"port": 53, "protocol": "UDP", "targetPort": "dns", "nodePort": 0}],
    });
    assert_eq!(
        spec_of("Service", &balancer),
        json!({
            "type": "LoadBalancer", "sessionAffinity": "ClientIP", "internalTrafficPolicy": "Cluster",
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10_800}},
            "externalTrafficPolicy": "Cluster", "allocateLoadBalancerNodePorts": true,
            "ports": [{"port": 53, "protocol": "UDP", "targetPort": "dns"}],
        })
    );
    assert_eq!(
        spec_of(
            "Service",
            &json!({"type": "ExternalName", "externalName": "example.org"})
        ),
        json!({"type": "ExternalName", "externalName": "example.org", "sessionAffinity": "None"})
    );
}

#[test]
fn a_policy_and_a_namespace_show_the_defaults_that_a_cluster_shows() {
    assert_eq!(
        spec_of("NetworkPolicy", &json!({"podSelector": {}})),
        json!({"podSelector": {}, "policyTypes": ["Ingress"]})
    );
    assert_eq!(
        spec_of(
            "NetworkPolicy",
            &json!({"podSelector": {}, "egress": [{"ports": [{"port": 53}]}]})
        ),
        json!({
            "podSelector": {}, "policyTypes": ["Ingress", "Egress"],
            "egress": [{"ports": [{"port": 53, "protocol": "TCP"}]}],
        })
    );
    let namespace = shown("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: a}}\n");
    assert_eq!(
        namespace["metadata"]["labels"],
        json!({"team": "a", "kubernetes.io/metadata.name": "shop"})
    );
    assert_eq!(namespace["status"]["phase"], "Active");
}
