use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use pinnace_core::config::NodeConfig;
use pinnace_core::fake::{Break, Extent, Op};
use pinnace_core::network::{Endpoint, NameRecord, ServiceEntry};
use pinnace_core::pod::FailureReason;

use crate::source::SourceId;
use crate::testing::{Agent, DIRECTORY, Machine, pass};

const URL: SourceId = SourceId("url");

fn service(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{selector: {{app: web}}, ports: [{{port: 80}}]{spec}}}\n"
    )
}

fn labelled(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: web}}}}\nspec: {{containers: [{{name: c, image: 'example.com/a:1'}}]{spec}}}\n"
    )
}

const POLICY: &str = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: closed}\nspec: {podSelector: {}}\n";

fn entry(machine: &Machine, name: &str) -> Option<ServiceEntry> {
    let table = machine.fake.services()?;
    let mut found = table
        .services
        .into_iter()
        .filter(|((_, own), _)| own.as_str() == name);
    found.next().map(|(_, entry)| entry)
}

fn endpoints(machine: &Machine, name: &str) -> Vec<Endpoint> {
    entry(machine, name).map_or_else(Vec::new, |entry| entry.ports[0].endpoints.clone())
}

fn address(agent: &Agent, name: &str) -> IpAddr {
    agent.pod(name).status.pod_ip.unwrap()
}

fn given(machine: &Machine) -> BTreeMap<String, Vec<IpAddr>> {
    let table = machine.fake.services().unwrap_or_default();
    let all = table.services.into_iter();
    all.map(|((_, name), entry)| (name.to_string(), entry.cluster_ips))
        .collect()
}

fn applied(machine: &Machine) -> usize {
    let calls = machine.fake.take_calls();
    let of_tables = |op| matches!(op, Op::ApplyServices | Op::ApplyPolicies);
    calls.iter().filter(|call| of_tables(call.op)).count()
}

fn break_next(machine: &Machine, op: Op, times: u32) {
    machine.fake.break_next(Break {
        op: Some(op),
        times,
        extent: Extent::Nothing,
        reason: FailureReason::FailedCreatePodSandBox,
    });
}

#[tokio::test(start_paused = true)]
async fn a_service_leads_to_ready_pods_and_follows_them_within_100_ms() {
    let machine = Arc::new(Machine::new());
    let agent = Agent::start(&machine);
    agent
        .list(&[
            service("web", ""),
            labelled("one", ""),
            labelled("two", ", restartPolicy: Never"),
        ])
        .await;
    let behind = endpoints(&machine, "web");
    let addresses: Vec<IpAddr> = behind.iter().map(|endpoint| endpoint.address).collect();
    assert_eq!(addresses, [address(&agent, "one"), address(&agent, "two")]);
    assert!(behind.iter().all(|endpoint| endpoint.serving));

    let two = agent.uid("two");
    machine.fake.exit(&two, &pinnace_core::fake::sample::name("c"), 0);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let serving: Vec<IpAddr> = endpoints(&machine, "web")
        .into_iter()
        .filter(|endpoint| endpoint.serving)
        .map(|endpoint| endpoint.address)
        .collect();
    assert_eq!(serving, [address(&agent, "one")]);
}

#[tokio::test(start_paused = true)]
async fn names_follow_services_and_ready_pods() {
    let machine = Arc::new(Machine::new());
    let agent = Agent::start(&machine);
    let pod = labelled("one", ", restartPolicy: Never, hostname: one, subdomain: peers");
    agent
        .list(&[service("web", ""), service("peers", ", clusterIP: None"), pod])
        .await;
    let names = machine.fake.names().unwrap().names;
    let of = |name: &str| names.get(&format!("{name}.default.svc.cluster.local")).cloned();
    assert!(of("web").is_some());
    let own = NameRecord::Address(address(&agent, "one"));
    assert_eq!(of("one.peers"), Some(vec![own]));

    machine
        .fake
        .exit(&agent.uid("one"), &pinnace_core::fake::sample::name("c"), 0);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let names = machine.fake.names().unwrap().names;
    assert!(names.contains_key("web.default.svc.cluster.local"));
    assert!(!names.contains_key("peers.default.svc.cluster.local"));
}

#[tokio::test(start_paused = true)]
async fn what_a_service_was_given_it_keeps_under_the_next_agent() {
    let machine = Arc::new(Machine::new());
    let manifests = ["b", "c", "d"].map(|name| service(name, ", type: NodePort"));
    let agent = Agent::start(&machine);
    agent.list(&manifests).await;
    let before = given(&machine);
    assert_eq!(before.len(), 3);
    agent.kill().await;

    let agent = Agent::start(&machine);
    // Others come first, and may not take what is another's.
    let mut more = manifests.to_vec();
    more.insert(0, service("a", ""));
    agent.list(&more).await;
    let mut after = given(&machine);
    assert!(after.remove("a").is_some_and(|given| given.len() == 1));
    assert_eq!(after, before);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_record_of_what_services_have_is_reported() {
    let machine = Arc::new(Machine::new());
    let agent = Agent::start(&machine);
    agent.list(&[service("web", "")]).await;
    agent.kill().await;
    machine.fake.damage_services();
    let agent = Agent::start(&machine);
    agent.list(&[service("web", "")]).await;
    assert!(agent.reasons("node1").contains(&"RecordDamaged".to_owned()));
    assert_eq!(given(&machine).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_cannot_have_its_address_says_so_with_its_file_and_line() {
    let machine = Arc::new(Machine::new());
    let agent = Agent::start(&machine);
    let wish = ", clusterIP: 10.96.0.7";
    agent.list(&[service("a", wish), service("b", wish)]).await;
    let problems = agent.board.problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!((problems[0].file.as_str(), problems[0].line), ("1.yaml", Some(1)));
    assert!(
        problems[0].message.contains("already allocated"),
        "{}",
        problems[0]
    );
    let views = agent.board.services();
    let refused: Vec<bool> = views.iter().map(|view| view.refused.is_some()).collect();
    assert_eq!(refused, [false, true]);
    agent.list(&[service("b", wish)]).await;
    assert_eq!(agent.board.problems(), []);
    assert_eq!(given(&machine).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_agent_laid_down_stands_until_every_source_has_listed() {
    let machine = Arc::new(Machine::new());
    let config = NodeConfig::default();
    let sources = || vec![DIRECTORY, URL];
    let agent = Agent::with(&machine, &config, sources());
    agent.list(&[labelled("one", ""), service("a", "")]).await;
    agent.list_from(URL, &[service("b", "")]).await;
    let before = machine.fake.services();
    assert_eq!(given(&machine).len(), 2);
    agent.kill().await;

    let agent = Agent::with(&machine, &config, sources());
    agent.list(&[labelled("one", ""), service("a", "")]).await;
    pass(60).await;
    assert_eq!(machine.fake.services(), before);
    agent.list_from(URL, &[]).await;
    assert_eq!(given(&machine).into_keys().collect::<Vec<_>>(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn on_a_bare_host_a_source_that_cannot_be_read_holds_up_no_other() {
    let machine = Arc::new(Machine::new());
    let agent = Agent::with(&machine, &NodeConfig::default(), vec![URL, DIRECTORY]);
    agent.list_from(URL, &[service("b", "")]).await;
    assert_eq!(machine.fake.services(), None);
    agent.unavailable().await;
    assert_eq!(given(&machine).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_applied_is_tried_again_and_told() {
    let machine = Arc::new(Machine::new());
    break_next(&machine, Op::ApplyServices, 3);
    break_next(&machine, Op::ApplyPolicies, 1);
    let agent = Agent::start(&machine);
    agent
        .list(&[service("web", ""), POLICY.to_owned(), labelled("one", "")])
        .await;
    pass(10).await;
    assert_eq!(given(&machine).len(), 1);
    assert!(!machine.fake.policies().unwrap().ingress_isolated.is_empty());
    let reasons = agent.reasons("node1");
    for reason in ["ServicesNotApplied", "NetworkPoliciesNotApplied"] {
        assert!(reasons.iter().any(|told| told == reason), "{reasons:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_given_is_recorded_when_the_disk_has_room_again() {
    let machine = Arc::new(Machine::new());
    break_next(&machine, Op::SaveServices, 3);
    let agent = Agent::start(&machine);
    agent.list(&[service("web", "")]).await;
    let before = given(&machine);
    assert_eq!(before.len(), 1, "a full disk holds up no Service");
    pass(30).await;
    agent.kill().await;
    let calls = machine.fake.take_calls();
    assert_eq!(calls.iter().filter(|call| call.op == Op::SaveServices).count(), 4);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_applied_twice_and_an_idle_node_rests() {
    let machine = Arc::new(Machine::new());
    let agent = Agent::start(&machine);
    let manifests = [service("web", ""), POLICY.to_owned(), labelled("one", "")];
    agent.list(&manifests).await;
    assert!(applied(&machine) > 0);
    agent.list(&manifests).await;
    let looks = machine.looks_during(pass(3600)).await;
    assert_eq!(applied(&machine), 0);
    assert!(looks < 10, "an idle node looked {looks} times");
}

#[tokio::test(start_paused = true)]
async fn many_pods_at_once_are_few_changes() {
    let machine = Arc::new(Machine::new());
    let agent = Agent::start(&machine);
    let mut manifests = vec![service("web", "")];
    manifests.extend((0..100).map(|number| labelled(&format!("p{number}"), "")));
    agent.list(&manifests).await;
    pass(5).await;
    assert_eq!(endpoints(&machine, "web").len(), 100);
    agent.list(&manifests[..1]).await;
    pass(60).await;
    assert_eq!(endpoints(&machine, "web").len(), 0);
    let changes = applied(&machine);
    assert!(changes < 100, "{changes} changes of the rules");
}

#[tokio::test(start_paused = true)]
async fn a_pod_runs_nothing_before_the_policies_know_of_it() {
    let machine = Arc::new(Machine::new());
    let agent = Agent::start(&machine);
    agent.list(&[POLICY.to_owned()]).await;
    machine.fake.take_calls();
    agent.list(&[POLICY.to_owned(), labelled("one", "")]).await;
    let calls: Vec<Op> = machine.fake.take_calls().iter().map(|call| call.op).collect();
    let place = |op| calls.iter().position(|other| *other == op).unwrap();
    assert!(place(Op::AttachNetwork) < place(Op::ApplyPolicies), "{calls:?}");
    assert!(place(Op::ApplyPolicies) < place(Op::StartContainer), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn policies_that_cannot_be_applied_hold_up_a_pod_for_two_seconds() {
    let machine = Arc::new(Machine::new());
    let agent = Agent::start(&machine);
    agent.list(&[POLICY.to_owned()]).await;
    break_next(&machine, Op::ApplyPolicies, 1000);
    agent.list(&[POLICY.to_owned(), labelled("one", "")]).await;
    assert!(agent.running().is_empty());
    pass(2).await;
    assert_eq!(agent.running(), ["one"]);
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_told_of_the_services_that_are_laid_beside_it_unless_it_asks_not_to_be() {
    let machine = Arc::new(Machine::new());
    let agent = Agent::start(&machine);
    let own = "apiVersion: v1\nkind: Pod\nmetadata: {name: own}\nspec: {containers: [{name: c, image: 'example.com/a:1', env: [{name: WEB_SERVICE_PORT, value: mine}], args: ['$(WEB_SERVICE_HOST):$(WEB_SERVICE_PORT)', '$$(WEB_SERVICE_HOST)', '$(NO)']}]}\n";
    // The pods' files come first.
    let manifests = [
        labelled("told", ""),
        labelled("not-told", ", enableServiceLinks: false"),
        own.to_owned(),
        service("web", ""),
    ];
    agent.list(&manifests).await;
    let address = given(&machine)["web"][0].to_string();
    let told = machine.environment("told");
    assert_eq!(told.get("WEB_SERVICE_HOST"), Some(&address));
    assert_eq!(told.get("WEB_SERVICE_PORT").map(String::as_str), Some("80"));
    assert!(machine.environment("not-told").is_empty());
    let own = machine.environment("own");
    assert_eq!(own.get("WEB_SERVICE_PORT").map(String::as_str), Some("mine"));
    assert_eq!(own.get("WEB_SERVICE_HOST"), Some(&address));
    let arguments = [
        format!("{address}:mine"),
        "$(WEB_SERVICE_HOST)".to_owned(),
        "$(NO)".to_owned(),
    ];
    assert_eq!(machine.arguments("own"), arguments);
}

/// Lets in from so many blocks, each on a hundred ports, none of which adjoin.
fn wide_policy(blocks: usize) -> String {
    let from: Vec<String> = (0..blocks)
        .map(|number| format!("{{ipBlock: {{cidr: 192.0.{number}.0/25}}}}"))
        .collect();
    let ports: Vec<String> = (0..100)
        .map(|number| format!("{{port: {}}}", 80 + 2 * number))
        .collect();
    let rules = format!(
        ", ingress: [{{from: [{}], ports: [{}]}}]",
        from.join(", "),
        ports.join(", ")
    );
    POLICY.replace("podSelector: {}", &format!("podSelector: {{}}{rules}"))
}

#[tokio::test(start_paused = true)]
async fn a_policy_past_the_limit_isolates_and_is_told_by_problem_and_event_until_it_is_put_right() {
    let machine = Arc::new(Machine::new());
    let agent = Agent::start(&machine);
    let pod = labelled("one", "");
    agent.list(&[pod.clone(), wide_policy(82)]).await;
    let table = machine.fake.policies().unwrap();
    let own = address(&agent, "one");
    assert!(table.ingress_isolated.contains(&own));
    assert_eq!(table.allowed.len(), 1, "what it says to itself");
    let problems = agent.board.problems();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert_eq!(
        problems[0].object.as_deref(),
        Some("NetworkPolicy default/closed")
    );
    assert!(
        problems[0].line.is_some() && !problems[0].file.is_empty(),
        "{problems:#?}"
    );
    let message = "too many ranges: it allows, with the policies beside it, more than 8192 of peers and ports to one \
                   address; nothing is allowed to pod default/one";
    assert_eq!(problems[0].message, message);
    let told = || {
        let events = agent.board.events();
        let told = events
            .iter()
            .filter(|event| event.event.reason == "NetworkPolicyTooLarge");
        told.map(|event| (event.event.object.to_string(), event.event.message.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        told(),
        [("NetworkPolicy default/closed".to_owned(), message.to_owned())]
    );

    agent.list(&[pod, wide_policy(81)]).await;
    pass(1_000).await;
    assert_eq!(agent.board.problems(), []);
    assert_eq!(machine.fake.policies().unwrap().allowed.len(), 8_101);
}
