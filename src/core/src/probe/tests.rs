//! Timings and thresholds, as the kubelet has them.

use pinnace_api::pod::{Container, Probe, ProbeAction};
use pinnace_api::testing;
use proptest::prelude::*;
use serde_json::json;

use super::{Answer, Begin, ProbeKind, Probing};
use crate::time::BootMillis;

fn probe(period_seconds: u32) -> Probe {
    Probe {
        action: ProbeAction::Exec(vec!["true".to_owned()]),
        initial_delay_seconds: 0,
        timeout_seconds: 1,
        period_seconds,
        success_threshold: 1,
        failure_threshold: 3,
        termination_grace_period_seconds: None,
    }
}

fn container(change: impl FnOnce(&mut Container)) -> Container {
    let mut container = testing::container("main", json!({}));
    change(&mut container);
    container
}

fn at(millis: u64) -> BootMillis {
    BootMillis(millis)
}

fn begin() -> Begin {
    Begin {
        started_at: at(1_000),
        now: at(1_000),
        has_started: false,
        spread: None,
    }
}

#[test]
fn the_first_question_waits_for_the_initial_delay_and_the_others_keep_their_period() {
    let container = container(|container| {
        container.probes.readiness = Some(Probe {
            initial_delay_seconds: 5,
            ..probe(10)
        });
    });
    let mut probing = Probing::new(&container, begin());
    assert_eq!(probing.next_due(), Some(at(6_000)));
    assert!(probing.take_due(at(5_999)).is_empty());
    assert_eq!(probing.take_due(at(6_000)), [ProbeKind::Readiness]);
    assert_eq!(probing.next_due(), None, "no further question before the answer");
    assert!(probing.answer(ProbeKind::Readiness, Answer::Success));
    assert_eq!(probing.next_due(), Some(at(16_000)));
    // The agent slept: one question is asked, in step with those before.
    assert_eq!(probing.take_due(at(48_000)), [ProbeKind::Readiness]);
    probing.answer(ProbeKind::Readiness, Answer::Success);
    assert_eq!(probing.next_due(), Some(at(56_000)));
}

#[test]
fn a_verdict_changes_only_after_as_many_answers_in_a_row_as_its_threshold_says() {
    let container = container(|container| {
        container.probes.readiness = Some(Probe {
            success_threshold: 2,
            ..probe(1)
        });
    });
    let mut probing = Probing::new(&container, begin());
    let mut verdicts = Vec::new();
    let (well, ill, none) = (Answer::Success, Answer::Failure, Answer::Unknown);
    for answer in [
        well, ill, well, well, ill, ill, none, well, ill, ill, ill, well, well,
    ] {
        probing.answer(ProbeKind::Readiness, answer);
        verdicts.push(probing.verdicts().readiness);
    }
    let (yes, no) = (Some(true), Some(false));
    assert_eq!(
        verdicts,
        [None, None, None, yes, yes, yes, yes, yes, yes, yes, no, no, yes]
    );
}

#[test]
fn no_other_probe_asks_before_the_startup_probe_has_succeeded_which_then_asks_no_more() {
    let container = container(|container| {
        container.probes.startup = Some(probe(2));
        container.probes.readiness = Some(probe(3));
        container.probes.liveness = Some(probe(4));
    });
    let mut probing = Probing::new(&container, begin());
    assert_eq!(probing.take_due(at(9_000)), [ProbeKind::Startup]);
    assert!(!probing.answer(ProbeKind::Startup, Answer::Failure));
    assert_eq!(probing.take_due(at(20_000)), [ProbeKind::Startup]);
    assert!(probing.answer(ProbeKind::Startup, Answer::Success));
    assert_eq!(
        probing.take_due(at(20_000)),
        [ProbeKind::Readiness, ProbeKind::Liveness],
        "the others ask at once"
    );
}

#[test]
fn a_startup_or_liveness_probe_that_has_failed_asks_no_more_until_the_next_instance() {
    for kind in [ProbeKind::Startup, ProbeKind::Liveness] {
        let container = container(|container| match kind {
            ProbeKind::Startup => container.probes.startup = Some(probe(1)),
            _ => container.probes.liveness = Some(probe(1)),
        });
        let mut probing = Probing::new(&container, begin());
        let answers: Vec<bool> = (0..3)
            .map(|second| {
                assert_eq!(probing.take_due(at(1_000 + 1_000 * second)), [kind]);
                probing.answer(kind, Answer::Failure)
            })
            .collect();
        assert_eq!(answers, [false, false, true]);
        assert_eq!(probing.next_due(), None);
    }
}

#[test]
fn after_a_restart_of_the_agent_the_first_questions_are_spread_over_the_period() {
    let container = container(|container| {
        container.probes.startup = Some(probe(10));
        container.probes.liveness = Some(probe(10));
    });
    let adopted = |spread| Begin {
        now: at(100_000),
        has_started: true,
        spread: Some(spread),
        ..begin()
    };
    let due = |spread| Probing::new(&container, adopted(spread)).next_due();
    assert_eq!(due(0), Some(at(100_000)));
    assert_eq!(due(1 << 15), Some(at(105_000)));
    let mut probing = Probing::new(&container, adopted(0));
    assert_eq!(
        probing.take_due(at(100_000)),
        [ProbeKind::Liveness],
        "it has started already"
    );
}

#[test]
fn of_a_pod_on_its_way_out_only_readiness_is_asked() {
    let container = container(|container| {
        container.probes.readiness = Some(probe(1));
        container.probes.liveness = Some(probe(1));
    });
    let mut probing = Probing::new(&container, begin());
    probing.end();
    assert_eq!(probing.take_due(at(2_000)), [ProbeKind::Readiness]);
}

proptest! {
    #[test]
    fn questions_of_one_probe_never_overlap_and_keep_their_distance(
        period in 1..20_u32,
        steps in prop::collection::vec((0..30_000_u64, any::<bool>()), 1..80),
    ) {
        let container = container(|container| container.probes.readiness = Some(probe(period)));
        let mut probing = Probing::new(&container, begin());
        let (mut now, mut asked, mut under_way) = (1_000, None, false);
        for (millis, answers) in steps {
            now += millis;
            if answers && under_way {
                probing.answer(ProbeKind::Readiness, Answer::Success);
                under_way = false;
            }
            if !probing.take_due(at(now)).is_empty() {
                prop_assert!(!under_way);
                let slot = (now - 1_000) / (u64::from(period) * 1000);
                prop_assert!(asked.is_none_or(|before| before < slot), "twice in one period");
                asked = Some(slot);
                under_way = true;
            }
        }
    }
}
