//! NoExecute taints on running pods.

use pinnace_api::pod::{TaintEffect, Toleration};
use proptest::prelude::*;

use super::*;
use crate::node::{Taint, TaintSince};
use crate::time::{BootId, BootMillis, Moment, Now, WallMillis};

const WALL: u64 = 1_700_000_000_000;

fn boot() -> BootId {
    BootId("boot".to_owned())
}

fn instant(millis: u64) -> Now {
    Now {
        boot: BootMillis(millis),
        wall: WallMillis(WALL + millis),
    }
}

/// With instants of one boot, whose wall clock was set back since.
fn eviction(pod: &Pod, taints: &[TaintSince], admitted: BootMillis, now: BootMillis) -> Eviction {
    let now = Now {
        boot: now,
        wall: WallMillis(WALL / 2),
    };
    super::eviction(
        pod,
        taints,
        &Moment::now(&boot(), instant(admitted.0)),
        &boot(),
        now,
    )
}

fn added(key: &str, effect: TaintEffect, since: u64) -> TaintSince {
    TaintSince {
        taint: Taint::new(key, effect),
        since: Moment::now(&boot(), instant(since)),
    }
}

fn tolerating(tolerations: Vec<Toleration>) -> Pod {
    let mut pod = pod("web");
    pod.spec.tolerations = tolerations;
    pod
}

#[test]
fn only_no_execute_evicts() {
    let (start, now) = (BootMillis(0), BootMillis(10_000));
    let pod = tolerating(vec![]);
    assert_eq!(eviction(&pod, &[], start, now), Eviction::Keep);
    for effect in [TaintEffect::NoSchedule, TaintEffect::PreferNoSchedule] {
        assert_eq!(
            eviction(&pod, &[added("k", effect, 5)], start, now),
            Eviction::Keep
        );
    }
    let taints = [added("k", TaintEffect::NoExecute, 5)];
    assert_eq!(eviction(&pod, &taints, start, now), Eviction::EvictNow);
    let forever = tolerating(vec![tolerate("k", None)]);
    assert_eq!(eviction(&forever, &taints, start, now), Eviction::Keep);
}

#[test]
fn toleration_seconds_count_from_when_taint_and_pod_were_both_there() {
    let taints = [added("k", TaintEffect::NoExecute, 5_000)];
    let pod = tolerating(vec![tolerate("k", Some(60))]);
    let at = |admitted: u64, now: u64| eviction(&pod, &taints, BootMillis(admitted), BootMillis(now));
    assert_eq!(at(0, 10_000), Eviction::EvictAt(BootMillis(65_000)));
    assert_eq!(at(9_000, 10_000), Eviction::EvictAt(BootMillis(69_000)));
    assert_eq!(at(0, 64_999), Eviction::EvictAt(BootMillis(65_000)));
    assert_eq!(at(0, 65_000), Eviction::EvictNow);
    for seconds in [0, -5] {
        let pod = tolerating(vec![tolerate("k", Some(seconds))]);
        assert_eq!(
            eviction(&pod, &taints, BootMillis(0), BootMillis(5_000)),
            Eviction::EvictNow
        );
    }
}

#[test]
fn the_shortest_toleration_counts_and_one_untolerated_taint_is_enough() {
    let taints = [
        added("a", TaintEffect::NoExecute, 0),
        added("b", TaintEffect::NoExecute, 1_000),
    ];
    let both = tolerating(vec![tolerate("a", Some(60)), tolerate("b", Some(10))]);
    assert_eq!(
        eviction(&both, &taints, BootMillis(0), BootMillis(2_000)),
        Eviction::EvictAt(BootMillis(11_000))
    );
    let one = tolerating(vec![tolerate("a", Some(60))]);
    assert_eq!(
        eviction(&one, &taints, BootMillis(0), BootMillis(2_000)),
        Eviction::EvictNow
    );
    let first_match_is_used = tolerating(vec![
        tolerate("a", None),
        tolerate("a", Some(1)),
        tolerate("b", None),
    ]);
    assert_eq!(
        eviction(&first_match_is_used, &taints, BootMillis(0), BootMillis(90_000)),
        Eviction::Keep
    );
}

#[test]
fn a_restart_of_the_machine_grants_no_time_anew() {
    let taints = [added("k", TaintEffect::NoExecute, 900_000)];
    let pod = tolerating(vec![tolerate("k", Some(60))]);
    let admitted = Moment::now(&boot(), instant(0));
    let next_boot = BootId("next".to_owned());
    // Up again 50 s after the taint was added.
    let at = |since_boot: u64| Now {
        boot: BootMillis(since_boot),
        wall: WallMillis(WALL + 950_000 + since_boot),
    };
    let ask = |since_boot| super::eviction(&pod, &taints, &admitted, &next_boot, at(since_boot));
    assert_eq!(ask(2_000), Eviction::EvictAt(BootMillis(10_000)));
    assert_eq!(ask(10_000), Eviction::EvictNow);
}

proptest! {
    #[test]
    fn waiting_until_the_named_instant_is_enough(
        since in 0..1_000_000_u64, admitted in 0..1_000_000_u64, seconds in proptest::option::of(-10..100_000_i64),
        later in 0..1_000_000_u64,
    ) {
        let now = since.max(admitted) + later;
        let pod = tolerating(vec![tolerate("k", seconds)]);
        let taints = [added("k", TaintEffect::NoExecute, since)];
        let ask = |now| eviction(&pod, &taints, BootMillis(admitted), BootMillis(now));
        match ask(now) {
            Eviction::Keep => prop_assert_eq!(seconds, None),
            Eviction::EvictNow => prop_assert_eq!(ask(now + 1), Eviction::EvictNow),
            Eviction::EvictAt(end) => {
                prop_assert!(end.0 > now);
                prop_assert_eq!(ask(end.0), Eviction::EvictNow);
            }
        }
    }
}
