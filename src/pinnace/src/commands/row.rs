//! What tables and descriptions take out of an object's JSON.

use pinnace_core::pod::status::{PodRow, PodStatus, RowShape, Timestamp, human_duration, pods_table_row};
use pinnace_core::time::WallMillis;
use serde_json::Value;

/// The text at a JSON pointer; empty where there is none.
pub fn text(object: &Value, path: &str) -> String {
    object
        .pointer(path)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn now() -> WallMillis {
    WallMillis(pinnace_sys::clock::wall_millis())
}

/// An RFC 3339 time; `None` where it is none.
pub fn instant(time: &str) -> Option<WallMillis> {
    Timestamp::try_from(time.to_owned()).ok().map(|time| time.0)
}

/// How long ago an RFC 3339 time was, as `kubectl` tells it; empty where it is no time.
pub fn age(time: &str) -> String {
    let millis = instant(time).map(|then| now().0.saturating_sub(then.0));
    millis
        .map(|millis| human_duration(i64::try_from(millis).unwrap_or(i64::MAX)))
        .unwrap_or_default()
}

fn list<'a>(object: &'a Value, path: &str) -> &'a [Value] {
    object
        .pointer(path)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The columns of a pod.
pub fn pod_row(pod: &Value) -> PodRow {
    let status = pod.get("status").cloned().unwrap_or_default();
    let Ok(status) = serde_json::from_value::<PodStatus>(status) else {
        let unknown = || "<unknown>".to_owned();
        return PodRow {
            ready: unknown(),
            status: unknown(),
            restarts: unknown(),
            age: unknown(),
        };
    };
    let shape = RowShape {
        containers: list(pod, "/spec/containers").len(),
        init_containers: list(pod, "/spec/initContainers").len(),
        sidecars: list(pod, "/spec/initContainers")
            .iter()
            .filter(|container| text(container, "/restartPolicy") == "Always")
            .map(|container| text(container, "/name"))
            .collect(),
    };
    let terminating = pod.pointer("/metadata/deletionTimestamp").is_some();
    let created = instant(&text(pod, "/metadata/creationTimestamp")).unwrap_or_default();
    pods_table_row(&status, &shape, terminating, created, now())
}
