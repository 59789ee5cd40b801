//! A pod that fills its scratch space past the limit is evicted, and the node goes on.

use pinnace_tests::Node;

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
