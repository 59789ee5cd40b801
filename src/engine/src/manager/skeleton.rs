//! A stand-in for a pod whose manifest is not known or cannot be read: enough to end it by.

use pinnace_api::document::from_document;
use pinnace_api::{Document, Namespace, Object, ObjectName, Pod, PodUid};
use pinnace_core::pod::{Origin, PodIdentity};
use pinnace_core::time::WallMillis;
use serde_json::{Value, json};

/// Containers that are taken over from an unreadable document.
const MAX_CONTAINERS: usize = 64;

/// The pod with its containers' names and images, as far as the recorded document tells them, and the defaults
/// for everything else.
pub(super) fn of(identity: &PodIdentity) -> Option<Pod> {
    let document: Value = serde_json::from_str(identity.document.as_json()).unwrap_or_default();
    let listed = document["spec"]["containers"].as_array();
    let containers: Vec<Value> = listed
        .into_iter()
        .flatten()
        .take(MAX_CONTAINERS)
        .map(|container| container_of(&container["name"], &container["image"]))
        .collect();
    let unknown = || vec![container_of(&Value::Null, &Value::Null)];
    pod(&identity.namespace, &identity.name, &containers)
        .or_else(|| pod(&identity.namespace, &identity.name, &unknown()))
}

/// Of a pod of which only its UID is known; its name is the UID, so that it stands in nobody's way.
pub(super) fn of_orphan(uid: &PodUid, now: WallMillis) -> Option<(PodIdentity, Pod)> {
    let name = ObjectName::new(uid.as_str().to_lowercase()).ok()?;
    let pod = pod(
        &Namespace::default(),
        &name,
        &[container_of(&Value::Null, &Value::Null)],
    )?;
    let identity = PodIdentity {
        version: 1,
        uid: uid.clone(),
        namespace: pod.meta.namespace.clone(),
        name,
        origin: Origin {
            source: "host".to_owned(),
            owner: None,
            revision: None,
        },
        document: pod.document.clone(),
        created_at: now,
        created_boot: None,
        finished: None,
    };
    Some((identity, pod))
}

fn container_of(name: &Value, image: &Value) -> Value {
    json!({
        "name": name.as_str().unwrap_or("unknown"),
        "image": image.as_str().filter(|image| !image.is_empty()).unwrap_or("unknown"),
    })
}

fn pod(namespace: &Namespace, name: &ObjectName, containers: &[Value]) -> Option<Pod> {
    let object = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name.as_str(), "namespace": namespace.as_str()},
        "spec": {"containers": containers},
    });
    match from_document(&Document::of_controller(&object), "a pod's record") {
        Ok(Object::Pod(pod)) => Some(pod),
        Ok(_) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinnace_core::fake::sample;

    fn recorded(document: &str) -> Pod {
        let mut identity = of_orphan(&sample::uid(1), WallMillis(0)).unwrap().0;
        identity.document = sample::document(document);
        of(&identity).unwrap()
    }

    #[test]
    fn containers_keep_their_names_and_what_is_unreadable_is_left_out() {
        let pod = recorded(r#"{"spec":{"future":1,"containers":[{"name":"one","image":"a:1","new":true}]}}"#);
        let containers: Vec<_> = pod
            .spec
            .containers
            .iter()
            .map(|it| (it.name.as_str(), it.image.as_str()))
            .collect();
        assert_eq!(containers, [("one", "a:1")]);
    }

    #[test]
    fn any_document_at_all_gives_a_pod() {
        for document in [
            "",
            "[]",
            r#"{"spec":{"containers":[{"name":"Not A Name"}]}}"#,
            r#"{"spec":7}"#,
        ] {
            assert_eq!(recorded(document).spec.containers[0].name.as_str(), "unknown");
        }
    }
}
