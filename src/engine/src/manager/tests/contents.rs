use std::sync::Arc;

use pinnace_api::ContainerName;
use pinnace_core::fake::{Break, Extent, Op};
use pinnace_core::pod::FailureReason;

use crate::source::SourceId;
use crate::testing::{Agent, DIRECTORY, Machine, pass, pod_with, settle};

fn config_map(name: &str, text: &str, more: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{key: {text}}}\n{more}")
}

fn secret(name: &str, text: &str) -> String {
    format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {{key: {text}}}\n")
}

/// A pod with the files of the ConfigMap `settings`.
fn with_files() -> String {
    pod_with(
        "web",
        "a:1",
        ", volumes: [{name: v, configMap: {name: settings}}]",
    )
}

/// A pod with the variables of the Secret `key`.
fn with_variables() -> String {
    let text = pod_with("web", "a:1", "");
    text.replace("{name: c,", "{name: c, envFrom: [{secretRef: {name: key}}],")
}

fn agent() -> (Arc<Machine>, Agent) {
    let machine = Arc::new(Machine::new());
    let agent = Agent::start(&machine);
    (machine, agent)
}

/// What the file `key` of the pod's volume holds.
fn file(machine: &Machine, agent: &Agent) -> Option<String> {
    let payloads = machine.fake.payloads(&agent.uid("web"));
    let files = &payloads.get(&ContainerName::new("v").unwrap())?.files;
    Some(String::from_utf8(files.get("key")?.bytes.clone()).unwrap())
}

fn updates(machine: &Machine) -> usize {
    let calls = machine.fake.take_calls();
    calls.iter().filter(|call| call.op == Op::UpdateVolumes).count()
}

#[tokio::test(start_paused = true)]
async fn a_pod_waits_for_its_config_map_and_goes_on_as_soon_as_it_comes() {
    let (machine, agent) = agent();
    agent.list(&[with_files()]).await;
    pass(600).await;
    assert!(agent.running().is_empty());
    let event = (
        "FailedMount".to_owned(),
        "MountVolume.SetUp failed for volume \"v\" : configmap \"settings\" not found".to_owned(),
    );
    assert!(agent.events("web").contains(&event), "{:?}", agent.events("web"));
    agent
        .list(&[with_files(), config_map("settings", "one", "")])
        .await;
    assert_eq!(agent.running(), ["web"]);
    assert_eq!(file(&machine, &agent).as_deref(), Some("one"));
}

#[tokio::test(start_paused = true)]
async fn a_container_waits_for_its_secret_and_goes_on_as_soon_as_it_comes() {
    let (_, agent) = agent();
    agent.list(&[with_variables()]).await;
    pass(600).await;
    let status = agent.pod("web").status.container_statuses[0].clone();
    let waiting = status.state.waiting.unwrap();
    assert_eq!(waiting.reason, "CreateContainerConfigError");
    assert_eq!(waiting.message.as_deref(), Some("secret \"key\" not found"));
    agent.list(&[with_variables(), secret("key", "hidden")]).await;
    assert_eq!(agent.running(), ["web"]);
}

#[tokio::test(start_paused = true)]
async fn files_follow_their_object_under_a_living_pod_and_nothing_else_is_written() {
    let (machine, agent) = agent();
    let other = config_map("other", "x", "");
    agent
        .list(&[with_files(), config_map("settings", "one", ""), other.clone()])
        .await;
    let uid = agent.uid("web");
    updates(&machine);
    agent
        .list(&[with_files(), config_map("settings", "two", ""), other])
        .await;
    assert_eq!(file(&machine, &agent).as_deref(), Some("two"));
    assert_eq!(updates(&machine), 1);
    agent
        .list(&[
            with_files(),
            config_map("settings", "two", ""),
            config_map("other", "y", ""),
        ])
        .await;
    pass(600).await;
    assert_eq!(updates(&machine), 0, "another object is none of this pod's");
    assert_eq!((agent.uid("web"), agent.running()), (uid, vec!["web".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn files_stay_when_their_object_goes_and_that_is_told() {
    let (machine, agent) = agent();
    agent
        .list(&[with_files(), config_map("settings", "one", "")])
        .await;
    agent.list(&[with_files()]).await;
    pass(600).await;
    assert_eq!(agent.running(), ["web"]);
    assert_eq!(file(&machine, &agent).as_deref(), Some("one"));
    let told = agent.events("web");
    let told: Vec<_> = told
        .iter()
        .filter(|(reason, _)| reason == "FailedMount")
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    agent
        .list(&[with_files(), config_map("settings", "two", "")])
        .await;
    assert_eq!(file(&machine, &agent).as_deref(), Some("two"));
}

#[tokio::test(start_paused = true)]
async fn files_of_one_object_are_followed_though_another_is_gone() {
    let (machine, agent) = agent();
    let both = with_files().replace("volumes: [", "volumes: [{name: gone, configMap: {name: gone}}, ");
    let gone = config_map("gone", "old", "");
    agent
        .list(&[both.clone(), gone, config_map("settings", "one", "")])
        .await;
    agent
        .list(&[both.clone(), config_map("settings", "one", "")])
        .await;
    pass(60).await;
    agent.list(&[both, config_map("settings", "two", "")]).await;
    assert_eq!(file(&machine, &agent).as_deref(), Some("two"));
}

#[tokio::test(start_paused = true)]
async fn files_that_cannot_be_written_are_tried_again() {
    let (machine, agent) = agent();
    agent
        .list(&[with_files(), config_map("settings", "one", "")])
        .await;
    machine.fake.break_next(Break {
        op: Some(Op::UpdateVolumes),
        times: 2,
        extent: Extent::Nothing,
        reason: FailureReason::FailedMount,
    });
    agent
        .list(&[with_files(), config_map("settings", "two", "")])
        .await;
    assert_eq!(file(&machine, &agent).as_deref(), Some("one"));
    pass(10).await;
    assert_eq!(file(&machine, &agent).as_deref(), Some("two"));
}

#[tokio::test(start_paused = true)]
async fn the_next_agent_brings_files_up_to_date_and_misses_nothing_before_all_sources_have_listed() {
    let (machine, agent) = agent();
    agent
        .list(&[with_files(), config_map("settings", "one", "")])
        .await;
    let uid = agent.uid("web");
    agent.kill().await;
    let url = SourceId("url");
    let config = pinnace_core::config::NodeConfig::default();
    let agent = Agent::with(&machine, &config, vec![DIRECTORY, url.clone()]);
    agent.list(&[with_files()]).await;
    pass(60).await;
    assert_eq!(file(&machine, &agent).as_deref(), Some("one"));
    let told = agent.events("web");
    assert!(
        !told.iter().any(|(reason, _)| reason == "FailedMount"),
        "{told:?}"
    );
    agent.list_from(url, &[config_map("settings", "two", "")]).await;
    assert_eq!(file(&machine, &agent).as_deref(), Some("two"));
    assert_eq!(agent.uid("web"), uid);
}

#[tokio::test(start_paused = true)]
async fn files_that_may_be_missing_are_not_emptied_before_all_sources_have_listed() {
    let (machine, agent) = agent();
    let optional = with_files().replace("{name: settings}", "{name: settings, optional: true}");
    let both = [optional.clone(), config_map("settings", "one", "")];
    agent.list(&both).await;
    assert_eq!(file(&machine, &agent).as_deref(), Some("one"));
    agent.kill().await;
    let agent = Agent::start(&machine);
    pass(60).await;
    assert_eq!(file(&machine, &agent).as_deref(), Some("one"));
    agent.list(&both).await;
    pass(60).await;
    assert_eq!(file(&machine, &agent).as_deref(), Some("one"));
    agent.list(&[optional]).await;
    pass(60).await;
    assert_eq!(file(&machine, &agent), None);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_finished_while_its_object_was_gone_is_left_in_peace() {
    let (machine, agent) = agent();
    let once = with_files().replace("spec: {", "spec: {restartPolicy: Never, ");
    agent
        .list(&[once.clone(), config_map("settings", "one", "")])
        .await;
    let uid = agent.uid("web");
    agent.list(&[once]).await;
    pass(10).await;
    assert!(machine.fake.exit(&uid, &ContainerName::new("c").unwrap(), 0));
    settle().await;
    assert!(agent.running().is_empty());
    // Past the instant at which the files were to be tried again. No clock goes on by itself beside a worker that spins.
    tokio::time::advance(std::time::Duration::from_secs(600)).await;
    let turns = async {
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
    };
    let looks = machine.looks_during(turns).await;
    assert!(looks < 10, "a pod that has finished was looked at {looks} times");
}

#[tokio::test(start_paused = true)]
async fn the_image_of_a_volume_that_is_missing_is_told_by_its_own_name() {
    let (machine, agent) = agent();
    machine.fake.set_image("example.com/data:1", false);
    let text = pod_with(
        "web",
        "a:1",
        ", volumes: [{name: v, image: {reference: 'example.com/data:1'}}]",
    );
    let mount = "{name: c, volumeMounts: [{name: v, mountPath: /v}],";
    agent.list(&[text.replace("{name: c,", mount)]).await;
    let told = agent.events("web");
    let failed = told.iter().find(|(reason, _)| reason == "Failed");
    assert!(
        failed.is_some_and(|(_, message)| message.contains("example.com/data:1")),
        "{told:?}"
    );
    machine.fake.set_image("example.com/data:1", true);
    pass(600).await;
    assert_eq!(agent.running(), ["web"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_immutable_stays_as_it_was_until_the_object_goes() {
    let (machine, agent) = agent();
    let fixed = |text: &str| config_map("settings", text, "immutable: true\n");
    agent.list(&[with_files(), fixed("one")]).await;
    for changed in [fixed("two"), config_map("settings", "one", "")] {
        agent.list(&[with_files(), changed]).await;
        assert_eq!(file(&machine, &agent).as_deref(), Some("one"));
        let problems = agent.board.problems();
        let why = "field is immutable when `immutable` is set";
        assert!(
            problems.iter().any(|one| one.message.contains(why)),
            "{problems:?}"
        );
    }
    agent.list(&[with_files(), fixed("one")]).await;
    assert!(agent.board.problems().is_empty());
    agent.list(&[with_files()]).await;
    agent.list(&[with_files(), fixed("two")]).await;
    assert_eq!(file(&machine, &agent).as_deref(), Some("two"));
}
