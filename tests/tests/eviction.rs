//! A pod that fills its scratch space past the limit is evicted, and the node goes on.

use pinnace_tests::{Node, wait_for};

const GREEDY: &str = "
apiVersion: v1
kind: Pod
metadata: {name: greedy}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: writer
    image: busybox:test
    command: [sh, -c, 'head -c 3000000 /dev/zero >/scratch/f; sleep 100000']
    volumeMounts: [{name: scratch, mountPath: /scratch}]
  volumes:
  - name: scratch
    emptyDir: {sizeLimit: 1Mi}
";

#[test]
fn a_pod_past_the_limit_of_its_empty_dir_is_evicted_and_stays_listed_until_its_manifest_goes() {
    let mut node = Node::started();
    node.lay("greedy.yaml", GREEDY);
    let status = node.wait_pod("greedy", "eviction", |pod| {
        (pod["status"]["phase"] == "Failed").then(|| pod["status"].clone())
    });
    assert_eq!(status["reason"], "Evicted");
    let said = status["message"].as_str().unwrap();
    assert_eq!(
        said,
        "Usage of EmptyDir volume \"scratch\" exceeds the limit \"1Mi\". "
    );
    assert!(node.events().contains("Evicted"), "{}", node.events());
    node.take_away("greedy.yaml");
    node.wait_gone("greedy");
    node.drain_and_find_nothing();
}

fn writer(name: &str, limit: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: writer
    image: busybox:test
    command: [sh, -c, 'head -c 20000000 /dev/zero >/filled; sleep 100000']
    resources: {{limits: {{ephemeral-storage: {limit}}}}}
"
    )
}

#[test]
fn a_container_that_fills_the_disk_past_its_limit_is_evicted_and_what_one_holds_is_told() {
    let mut node = Node::started();
    node.lay("modest.yaml", &writer("modest", "100Mi"));
    node.lay("greedy.yaml", &writer("greedy", "10Mi"));
    let status = node.wait_pod("greedy", "eviction", |pod| {
        (pod["status"]["phase"] == "Failed").then(|| pod["status"].clone())
    });
    assert_eq!(status["reason"], "Evicted");
    assert_eq!(
        status["message"],
        "Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. "
    );
    let of_modest = |family: &str| {
        let (_, text) = node.get("/metrics")?;
        let mut samples = text.lines().filter(|line| {
            line.starts_with(family)
                && line.contains("container=\"writer\"")
                && line.contains("pod=\"modest\"")
        });
        samples.next()?.rsplit(' ').next()?.parse::<f64>().ok()
    };
    wait_for("what the other pod holds", || {
        of_modest("container_fs_usage_bytes").filter(|used| *used > 20_000_000.0)
    });
    assert!(of_modest("container_fs_usage_bytes").unwrap() < 40_000_000.0);
    assert!(of_modest("container_fs_inodes_total").unwrap() >= 3.0);
    assert!(of_modest("container_fs_limit_bytes").unwrap() > 20_000_000.0);
    node.wait_pod("modest", "running on", |pod| {
        (pod["status"]["phase"] == "Running").then_some(())
    });
    node.drain_and_find_nothing();
}
