use std::sync::Arc;

use pinnace_api::pod::TaintEffect;
use pinnace_core::config::NodeConfig;
use pinnace_core::fake::sample;
use pinnace_core::node::Taint;

use crate::testing::{Agent, Machine, daemonset, on_host, pass, pod_of_size};

async fn running(manifests: &[String]) -> (Arc<Machine>, Agent) {
    let machine = Arc::new(Machine::new());
    let agent = Agent::start(&machine);
    agent.list(manifests).await;
    (machine, agent)
}

/// Name and image of the one pod there is.
fn the_pod(agent: &Agent) -> (String, String) {
    let pods = agent.board.pods();
    assert_eq!(pods.len(), 1);
    let image = pods[0].pod.spec.containers[0].image.clone();
    (pods[0].identity.name.to_string(), image)
}

#[tokio::test(start_paused = true)]
async fn one_pod_is_made_and_goes_on_under_the_next_agent() {
    let (machine, agent) = running(&[daemonset("log", "a:1", "", "")]).await;
    let (name, _) = the_pod(&agent);
    assert!(name.starts_with("log-"));
    assert_eq!(agent.running(), std::slice::from_ref(&name));
    assert_eq!(agent.board.daemonsets()[0].counts.number_ready, 1);
    assert_eq!(agent.reasons("log"), ["SuccessfulCreate"]);
    agent.kill().await;
    let next = Agent::start(&machine);
    next.list(&[daemonset("log", "a:1", "", "")]).await;
    pass(600).await;
    assert_eq!(next.running(), [name]);
    assert_eq!(machine.order().len(), 1, "{:?}", machine.order());
}

#[tokio::test(start_paused = true)]
async fn a_changed_template_replaces_the_pod_once_the_old_one_is_removed() {
    let (machine, agent) = running(&[daemonset("log", "a:1", "", "")]).await;
    let (old, _) = the_pod(&agent);
    agent
        .list(&[format!("# comment\n{}", daemonset("log", "a:1", "", ""))])
        .await;
    assert_eq!(the_pod(&agent).0, old);
    agent.list(&[daemonset("log", "a:2", "", "")]).await;
    let (new, image) = the_pod(&agent);
    assert_eq!(image, "example.com/a:2");
    let order = [
        format!("make {old}"),
        format!("forget {old}"),
        format!("make {new}"),
    ];
    assert_eq!(machine.order(), order);
}

#[tokio::test(start_paused = true)]
async fn with_on_delete_a_changed_template_keeps_the_pod() {
    let fields = ", updateStrategy: {type: OnDelete}";
    let (_machine, agent) = running(&[daemonset("log", "a:1", fields, "")]).await;
    agent.list(&[daemonset("log", "a:2", fields, "")]).await;
    assert_eq!(the_pod(&agent).1, "example.com/a:1");
}

#[tokio::test(start_paused = true)]
async fn a_removed_set_takes_its_pod_with_it() {
    let (machine, agent) = running(&[daemonset("log", "a:1", "", "")]).await;
    agent.list(&[]).await;
    assert_eq!(on_host(&machine).await, []);
    assert_eq!(agent.board.daemonsets(), []);
}

#[tokio::test(start_paused = true)]
async fn labels_of_the_node_bring_and_end_its_pod_and_it_is_said_why() {
    let set = [daemonset("log", "a:1", "", ", nodeSelector: {disk: fast}")];
    let (machine, agent) = running(&set).await;
    assert_eq!(agent.board.pods(), []);
    assert!(!agent.board.daemonsets()[0].misfit.is_empty());
    let label = |config: &mut NodeConfig| {
        config.node_labels.insert("disk".to_owned(), "fast".to_owned());
    };
    agent.configure(label).await;
    assert_eq!(agent.running().len(), 1);
    assert!(agent.board.daemonsets()[0].misfit.is_empty());
    agent.configure(|_| {}).await;
    assert_eq!(on_host(&machine).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_no_execute_taint_ends_its_pod_which_comes_back_with_the_taints_end() {
    let (machine, agent) = running(&[daemonset("log", "a:1", "", "")]).await;
    let taint = Taint::new("broken", TaintEffect::NoExecute);
    agent
        .configure(|config| config.register_with_taints = vec![taint])
        .await;
    assert_eq!(on_host(&machine).await, []);
    agent.configure(|_| {}).await;
    assert_eq!(agent.running().len(), 1);
    assert_eq!(machine.breaches(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_only_waits_is_replaced_by_a_changed_template_at_once() {
    let big = pod_of_size("big", 3, "");
    let sized = |cpus: u32| {
        let set = daemonset("log", "a:1", "", "");
        set.replace(
            "image: 'example.com/a:1'",
            &format!("image: 'a:1', resources: {{requests: {{cpu: {cpus}}}}}"),
        )
    };
    let (_machine, agent) = running(&[big.clone(), sized(2)]).await;
    // Whichever came first runs; the other waits.
    agent.list(std::slice::from_ref(&big)).await;
    agent.list(&[big.clone(), sized(2)]).await;
    assert_eq!(
        (agent.running(), agent.board.waiting().len()),
        (vec!["big".to_owned()], 1)
    );
    agent.list(&[big, sized(1)]).await;
    assert_eq!((agent.running().len(), agent.board.waiting().len()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn refused_pods_are_made_anew_ever_more_slowly() {
    let set = daemonset("log", "a:1", "", ", os: {name: windows}");
    let (machine, agent) = running(&[set]).await;
    pass(100).await;
    let created = agent
        .reasons("log")
        .iter()
        .filter(|reason| *reason == "SuccessfulCreate")
        .count();
    assert!((4..=12).contains(&created), "{created} in 100 s");
    assert_eq!(agent.board.waiting().len(), 1);
    assert_eq!(on_host(&machine).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_crashing_pod_backs_off_in_place() {
    let (machine, agent) = running(&[daemonset("log", "a:1", "", "")]).await;
    let (name, _) = the_pod(&agent);
    let uid = agent.uid(&name);
    for _ in 0..3 {
        machine.fake.exit(&uid, &sample::name("c"), 1);
        pass(60).await;
    }
    assert_eq!(agent.uid(&name), uid);
    assert_eq!(agent.pod(&name).restarts(), 3);
}
