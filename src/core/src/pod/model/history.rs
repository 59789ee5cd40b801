//! Random histories.

use std::sync::Arc;

use pinnace_api::pod::RestartPolicy;
use proptest::prelude::*;

use super::shape::{NAMES, Shape};
use super::worker::{Crash, Worker};
use crate::fake::{Break, Extent, Op, sample};
use crate::network::NetworkState;
use crate::pod::{Desired, FailureReason, HookState, InstanceState, SandboxState, ShimState, Verdicts};

#[derive(Debug, Clone)]
enum Happening {
    Pass { millis: u64 },
    Round,
    Settle,
    Exit { container: usize, code: i32 },
    Stubborn { container: usize, ignores: bool },
    HookEnds { container: usize, well: bool },
    Found { container: usize, verdicts: Verdicts },
    KillShim,
    BreakSandbox,
    BreakNetwork { whole: bool },
    Reboot { run_is_on_disk: bool },
    LoseProgress,
    Want(Wish),
    Fail(Break),
    Mend,
    Crash(Crash),
}

#[derive(Debug, Clone)]
enum Wish {
    Run,
    Remove { grace: Option<u32> },
    Evict,
}

fn extent() -> impl Strategy<Value = Extent> {
    prop_oneof![Just(Extent::Nothing), Just(Extent::Half), Just(Extent::Whole)]
}

fn fault() -> impl Strategy<Value = Break> {
    let ops = vec![
        Op::CreateSandbox,
        Op::AttachNetwork,
        Op::DetachNetwork,
        Op::PrepareVolumes,
        Op::CreateContainer,
        Op::StartContainer,
        Op::SignalContainer,
        Op::KillPodCgroup,
        Op::RemoveContainer,
        Op::RemoveSandbox,
        Op::RemoveVolumes,
        Op::RemoveLogs,
        Op::SaveIdentity,
        Op::SaveProgress,
        Op::RemoveRecords,
    ];
    let reasons = vec![
        FailureReason::CreateContainerError,
        FailureReason::RunContainerError,
        FailureReason::ErrImagePull,
    ];
    (
        prop::option::of(prop::sample::select(ops)),
        prop_oneof![2 => 1..4_u32, 1 => Just(1_000)],
        extent(),
        prop::sample::select(reasons),
    )
        .prop_map(|(op, times, extent, reason)| Break {
            op,
            times,
            extent,
            reason,
        })
}

fn wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        4 => Just(Wish::Run),
        2 => prop_oneof![Just(None), Just(Some(0)), Just(Some(5)), Just(Some(60))]
            .prop_map(|grace| Wish::Remove { grace }),
        1 => Just(Wish::Evict),
    ]
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => prop_oneof![0..2_000_u64, 0..60_000_u64, 0..1_500_000_u64]
            .prop_map(|millis| Happening::Pass { millis }),
        6 => Just(Happening::Round),
        6 => Just(Happening::Settle),
        6 => (0..6_usize, prop_oneof![2 => Just(0), 1 => Just(1), 1 => Just(137)])
            .prop_map(|(container, code)| Happening::Exit { container, code }),
        1 => (0..6_usize, any::<bool>())
            .prop_map(|(container, ignores)| Happening::Stubborn { container, ignores }),
        3 => (0..6_usize, prop::bool::weighted(0.8))
            .prop_map(|(container, well)| Happening::HookEnds { container, well }),
        3 => (0..6_usize, verdicts())
            .prop_map(|(container, verdicts)| Happening::Found { container, verdicts }),
        2 => Just(Happening::KillShim),
        1 => Just(Happening::BreakSandbox),
        2 => any::<bool>().prop_map(|whole| Happening::BreakNetwork { whole }),
        1 => any::<bool>().prop_map(|run_is_on_disk| Happening::Reboot { run_is_on_disk }),
        1 => Just(Happening::LoseProgress),
        2 => wish().prop_map(Happening::Want),
        3 => fault().prop_map(Happening::Fail),
        1 => Just(Happening::Mend),
        6 => (0..8_usize, extent())
            .prop_map(|(after, extent)| Happening::Crash(Crash { after, extent })),
    ]
}

fn verdicts() -> impl Strategy<Value = Verdicts> {
    let verdict = || prop_oneof![1 => Just(None), 4 => Just(Some(true)), 1 => Just(Some(false))];
    (verdict(), verdict(), verdict()).prop_map(|(startup, readiness, liveness)| Verdicts {
        startup,
        readiness,
        liveness,
    })
}

fn happen(worker: &mut Worker, happening: &Happening) {
    let uid = worker.uid().clone();
    match happening {
        Happening::Pass { millis } => worker.host.pass(*millis),
        Happening::Round => {
            worker.round();
        }
        Happening::Settle => {
            worker.settle(60);
        }
        Happening::Exit { container, code } => {
            worker.host.exit(&uid, &sample::name(NAMES[*container]), *code);
        }
        Happening::Stubborn { container, ignores } => worker
            .host
            .ignore_stop_signal(&sample::name(NAMES[*container]), *ignores),
        Happening::HookEnds { container, well } => {
            let ends = match well {
                true => HookState::Done,
                false => HookState::Failed("it failed".to_owned()),
            };
            worker.end_hook(&sample::name(NAMES[*container]), &ends);
        }
        Happening::Found { container, verdicts } => {
            worker.find(&sample::name(NAMES[*container]), *verdicts);
        }
        Happening::KillShim => worker.host.kill_shim(&uid),
        Happening::BreakSandbox => worker.host.break_sandbox(&uid),
        Happening::BreakNetwork { whole } => worker.host.break_network(&uid, *whole),
        Happening::Reboot { run_is_on_disk } => {
            worker.host.reboot(*run_is_on_disk);
            worker.start_again();
        }
        Happening::LoseProgress => {
            worker.host.lose_progress(&uid);
            worker.start_again();
        }
        Happening::Want(wish) => want(worker, wish),
        Happening::Fail(fault) => worker.host.break_next(*fault),
        Happening::Mend => worker.host.mend(),
        Happening::Crash(crash) => worker.crash(*crash),
    }
    assert_eq!(worker.host.violations(), Vec::<String>::new());
}

fn want(worker: &mut Worker, wish: &Wish) {
    let pod = Arc::clone(worker.desired.pod());
    worker.desired = match wish {
        Wish::Run => Desired::Run(pod),
        Wish::Remove { grace } => Desired::Remove {
            pod,
            grace_period_seconds: *grace,
        },
        Wish::Evict => Desired::Evict {
            pod,
            reason: "TaintManagerEviction".to_owned(),
            message: "evicted by a taint".to_owned(),
        },
    };
    worker.record.try_at_once();
}

/// Without further trouble the machine comes to rest, and what is wanted is so.
fn comes_to_rest(worker: &mut Worker) {
    worker.host.mend();
    for _ in 0..60 {
        let wait = worker.settle(40);
        if !goes_well(worker) {
            match wait {
                Some(wait) => worker.host.pass(wait),
                None => return is_as_wanted(worker),
            }
        }
        assert_eq!(worker.host.violations(), Vec::<String>::new());
    }
    panic!("still waiting for something: {:?}", worker.record);
}

/// Hooks that are under way go through, probes find what runs well, and init containers succeed; false where
/// nothing of that is left.
fn goes_well(worker: &mut Worker) -> bool {
    if worker.forgotten {
        return false;
    }
    let all_well = Verdicts {
        startup: Some(true),
        readiness: Some(true),
        liveness: Some(true),
    };
    let (mut any, pod) = (false, Arc::clone(worker.desired.pod()));
    for (name, attempt) in worker.running() {
        any |= worker.end_hook(&name, &HookState::Done);
        if worker.record.live.verdicts(&name, attempt) != all_well {
            worker.find(&name, all_well);
            any = true;
        }
        let mut init = pod.spec.init_containers.iter();
        if init.any(|one| one.name == name && one.restart_policy.is_none()) {
            any |= worker.host.exit(&worker.uid().clone(), &name, 0);
        }
    }
    any
}

fn is_as_wanted(worker: &Worker) {
    if worker.forgotten {
        // A progress record may be left alone by a crash; it is never believed.
        assert_eq!(worker.observe(), Default::default());
        return;
    }
    let observed = worker.observe();
    if worker.record.identity.finished.is_some() {
        assert_eq!(
            (observed.sandbox, observed.shim),
            (SandboxState::Absent, ShimState::Absent)
        );
        assert!(observed.containers.is_empty() && !observed.volumes_present);
        assert_eq!(observed.network, NetworkState::Absent);
        assert!(!matches!(worker.desired, Desired::Remove { .. }));
        return;
    }
    assert!(matches!(worker.desired, Desired::Run(_)));
    assert_eq!(observed.shim, ShimState::Alive);
    let spec = &worker.desired.pod().spec;
    assert_eq!(observed.network.addresses().is_some(), !spec.host_network);
    let policy = spec.restart_policy;
    for container in spec.all_containers() {
        let name = container.name.clone();
        let own: Vec<_> = observed
            .containers
            .iter()
            .filter(|seen| seen.name == name)
            .collect();
        let runs = own.len() == 1 && matches!(own[0].state, InstanceState::Running { .. });
        let is_main = spec.containers.iter().any(|one| one.name == name);
        let ended = own.is_empty() && policy != RestartPolicy::Always;
        match (is_main, container.restart_policy) {
            (true, _) => assert!(runs || ended, "{name}: {own:?}"),
            (false, Some(_)) => assert!(runs, "{name}: {own:?}"),
            (false, None) => assert!(own.is_empty(), "{name}: {own:?}"),
        }
    }
}

proptest! {
    // PROPTEST_CASES makes it as thorough as patience allows.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_keeps_the_rules_and_comes_to_rest(
        shape in Shape::any(),
        happenings in prop::collection::vec(happening(), 1..60),
    ) {
        let mut worker = Worker::shaped(&shape);
        for happening in &happenings {
            happen(&mut worker, happening);
        }
        comes_to_rest(&mut worker);
    }
}
