//! Probes and hooks under a clock of the tests' own, with an agent that may be killed at every call.

use std::sync::Arc;

use pinnace_core::fake::{FakeAnswer, sample};
use pinnace_core::ports::CheckOutcome;

use crate::testing::{Agent, Machine, on_host, pass, settle};

/// A pod with one container named `c`, of these fields.
fn pod(fields: &str, spec: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: web}}\nspec: {{containers: [{{name: c, image: 'example.com/a:1', \
         {fields}}}]{spec}}}\n"
    )
}

fn failure() -> FakeAnswer {
    FakeAnswer::Now(CheckOutcome::Failure("by order".to_owned()))
}

fn answer(machine: &Machine, word: &str, answer: FakeAnswer) {
    machine.fake.answer(&sample::name("c"), word, answer);
}

const READINESS: &str = "readinessProbe: {exec: {command: [ready]}, periodSeconds: 5, failureThreshold: 2}";

#[tokio::test(start_paused = true)]
async fn readiness_follows_its_probe_and_outlives_the_agent() {
    let machine = Arc::new(Machine::new());
    answer(&machine, "ready", failure());
    let first = Agent::start(&machine);
    first.list(&[pod(READINESS, "")]).await;
    pass(60).await;
    assert!(!first.pod("web").is_ready());
    answer(&machine, "ready", FakeAnswer::Now(CheckOutcome::Success));
    pass(6).await;
    assert!(first.pod("web").is_ready());
    first.kill().await;
    // The container hangs: before its probe has found that out, the recorded verdict holds.
    answer(&machine, "ready", FakeAnswer::Never);
    let second = Agent::start(&machine);
    second.list(&[pod(READINESS, "")]).await;
    assert!(second.pod("web").is_ready());
    pass(30).await;
    assert!(!second.pod("web").is_ready());
    let events = second.events("web");
    let told = |text: &str| {
        events
            .iter()
            .any(|(reason, message)| reason == "Unhealthy" && message.contains(text))
    };
    assert!(told("Readiness probe failed: timed out after 1s"), "{events:?}");
    assert_eq!(machine.breaches(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_probe_wakes_nobody_while_its_verdict_stays() {
    let machine = Arc::new(Machine::new());
    let agent = Agent::start(&machine);
    agent.list(&[pod(READINESS, "")]).await;
    pass(20).await;
    let looks = machine.looks_during(pass(600)).await;
    let asked = machine.fake.asked(&sample::name("c"), "ready");
    assert!(asked >= 120, "{asked}");
    // Two for each question: one when it is due, one when it is answered.
    assert!(looks <= 2 * 120 + 60, "{looks}");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_live_is_ended_after_its_hook_and_started_again() {
    let machine = Arc::new(Machine::new());
    let agent = Agent::start(&machine);
    let fields = "livenessProbe: {exec: {command: [alive]}, periodSeconds: 1, failureThreshold: 3}, \
                  lifecycle: {preStop: {exec: {command: [bye]}}}";
    agent.list(&[pod(fields, "")]).await;
    answer(&machine, "alive", failure());
    pass(4).await;
    answer(&machine, "alive", FakeAnswer::Now(CheckOutcome::Success));
    pass(20).await;
    let view = agent.pod("web");
    assert_eq!((view.restarts(), view.all_running()), (1, true));
    assert_eq!(machine.fake.asked(&sample::name("c"), "bye"), 1);
    let events = agent.events("web");
    let message = "Container c failed liveness probe, will be restarted".to_owned();
    assert!(events.contains(&("Killing".to_owned(), message)), "{events:?}");
    assert_eq!(machine.breaches(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_hangs_holds_up_its_own_pod_for_its_grace_period_only() {
    let machine = Arc::new(Machine::new());
    let agent = Agent::start(&machine);
    answer(&machine, "bye", FakeAnswer::Never);
    let fields = "lifecycle: {preStop: {exec: {command: [bye]}}}";
    agent
        .list(&[pod(fields, ", terminationGracePeriodSeconds: 10")])
        .await;
    agent.list(&[]).await;
    pass(9).await;
    assert_eq!(agent.pods("web").len(), 1, "the hook is waited for");
    pass(2).await;
    assert_eq!(agent.pods("web").len(), 0);
    assert!(on_host(&machine).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_pod_past_its_deadline_has_failed_whichever_agent_sees_it() {
    let machine = Arc::new(Machine::new());
    let manifest = [pod("ports: []", ", activeDeadlineSeconds: 100")];
    let first = Agent::start(&machine);
    first.list(&manifest).await;
    pass(50).await;
    first.kill().await;
    let second = Agent::start(&machine);
    second.list(&manifest).await;
    pass(40).await;
    assert!(second.pod("web").all_running());
    pass(15).await;
    let view = second.pod("web");
    assert_eq!(view.status.reason.as_deref(), Some("DeadlineExceeded"));
    assert!(view.is_finished());
}

/// All of it in one pod, the agent killed at each call of a port in turn: it always comes to the same end.
#[tokio::test(start_paused = true)]
async fn an_agent_killed_at_any_call_loses_no_step() {
    let main = "lifecycle: {postStart: {exec: {command: [hello]}}, preStop: {exec: {command: [bye]}}}, \
                readinessProbe: {exec: {command: [ready]}, periodSeconds: 1}";
    let spec = ", restartPolicy: OnFailure, initContainers: [\
                {name: s, image: 'example.com/s:1', restartPolicy: Always, \
                 startupProbe: {exec: {command: [up]}, periodSeconds: 1}}, \
                {name: i, image: 'example.com/i:1'}]";
    let manifest = [pod(main, spec)];
    for calls in (1..120).step_by(3) {
        let machine = Arc::new(Machine::new());
        let mut lives = Some(calls);
        for _ in 0..4 {
            machine.begin_life(lives.take());
            let agent = Agent::start(&machine);
            tokio::time::timeout(std::time::Duration::from_secs(5), agent.list(&manifest))
                .await
                .ok();
            pass(20).await;
            let uid = agent.pods("web").first().map(|view| view.identity.uid.clone());
            if let Some(uid) = uid {
                machine.fake.exit(&uid, &sample::name("i"), 0);
            }
            pass(20).await;
            agent.kill().await;
        }
        machine.begin_life(None);
        let agent = Agent::start(&machine);
        agent.list(&manifest).await;
        pass(60).await;
        assert!(agent.pod("web").is_ready(), "killed at call {calls}");
        agent.exit("web", 0).await;
        settle().await;
        pass(5).await;
        assert_eq!(
            agent.pod("web").status.phase.as_str(),
            "Succeeded",
            "killed at call {calls}"
        );
        assert_eq!(machine.breaches(), Vec::<String>::new());
    }
}
