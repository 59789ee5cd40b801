use std::sync::Arc;

use pinnace_api::pod::TaintEffect;
use pinnace_core::node::Taint;

use crate::testing::{Agent, Machine, on_host, pod, pod_of_size, pod_with};

async fn running(manifests: &[String]) -> (Arc<Machine>, Agent) {
    let machine = Arc::new(Machine::new());
    let agent = Agent::start(&machine);
    agent.list(manifests).await;
    (machine, agent)
}

fn waiting(agent: &Agent) -> Vec<String> {
    let waiting = agent.board.waiting();
    waiting.iter().map(|one| one.pod.meta.name.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_pod_without_room_waits_and_starts_when_another_is_removed() {
    let (machine, agent) = running(&[pod_of_size("a", 3, ""), pod_of_size("b", 3, "")]).await;
    assert_eq!(
        (agent.running(), waiting(&agent)),
        (vec!["a".to_owned()], vec!["b".to_owned()])
    );
    assert_eq!(agent.board.phases().pending, 1);
    assert_eq!(agent.reasons("b"), ["FailedScheduling"]);
    let uid = agent.board.waiting()[0].uid.clone();
    assert_eq!(
        on_host(&machine).await,
        [agent.uid("a")],
        "nothing is made for a pod that waits"
    );
    agent.list(&[pod_of_size("b", 3, "")]).await;
    assert_eq!(agent.running(), ["b"]);
    assert_eq!(agent.uid("b"), uid, "with the UID that it was listed with");
    assert_eq!(waiting(&agent), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_finished_leaves_its_room_to_one_that_waits() {
    let once = ", restartPolicy: Never";
    let (machine, agent) = running(&[pod_of_size("a", 3, once), pod_of_size("b", 3, "")]).await;
    agent.exit("a", 1).await;
    assert_eq!(agent.running(), ["b"]);
    assert_eq!(agent.pods("a").len(), 1, "still listed");
    // Adopted as finished, it takes no room either.
    agent.kill().await;
    machine.fake.reboot(false);
    let next = Agent::start(&machine);
    next.list(&[
        pod_of_size("a", 3, once),
        pod_of_size("b", 3, ""),
        pod_of_size("c", 1, ""),
    ])
    .await;
    assert_eq!(next.running(), ["b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn a_pod_waits_for_a_taint_to_go_or_a_label_to_come() {
    let (_machine, agent) = running(&[]).await;
    let taint = Taint::new("maintenance", TaintEffect::NoSchedule);
    agent
        .configure(|config| config.register_with_taints = vec![taint.clone()])
        .await;
    agent
        .list(&[
            pod("a", "a:1"),
            pod_with("b", "a:1", ", nodeSelector: {disk: fast}"),
        ])
        .await;
    assert_eq!(waiting(&agent), ["a", "b"]);
    agent.configure(|_| {}).await;
    assert_eq!(
        (agent.running(), waiting(&agent)),
        (vec!["a".to_owned()], vec!["b".to_owned()])
    );
    let labels = |config: &mut pinnace_core::config::NodeConfig| {
        config.node_labels.insert("disk".to_owned(), "fast".to_owned());
    };
    agent.configure(labels).await;
    assert_eq!(agent.running(), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn what_the_node_refuses_has_failed_for_good_until_its_manifest_changes() {
    let bound = ", nodeName: node1";
    let (_machine, agent) = running(&[pod_of_size("a", 3, ""), pod_of_size("b", 3, bound)]).await;
    assert!(agent.board.waiting()[0].is_refused());
    assert_eq!(agent.board.phases().failed, 1);
    assert_eq!(agent.reasons("b"), ["OutOfcpu"]);
    agent.list(&[pod_of_size("b", 3, bound)]).await;
    assert_eq!(waiting(&agent), ["b"], "there is room now, but Failed is final");
    agent.list(&[pod_of_size("b", 2, bound)]).await;
    assert_eq!(agent.running(), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn a_replaced_pod_leaves_its_host_port_to_its_successor() {
    let on_port = |image: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: web}}\nspec: {{containers: [{{name: c, image: 'example.com/{image}', \
             ports: [{{containerPort: 80, hostPort: 8080}}]}}]}}\n"
        )
    };
    let (machine, agent) = running(&[on_port("a:1")]).await;
    agent.list(&[on_port("a:2")]).await;
    assert_eq!(agent.running(), ["web"]);
    assert_eq!(machine.order(), ["make web", "forget web", "make web"]);
    assert_eq!(waiting(&agent), Vec::<String>::new());
}
