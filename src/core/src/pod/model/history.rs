//! Random histories.

use std::sync::Arc;

use pinnace_api::pod::RestartPolicy;
use proptest::prelude::*;

use super::worker::{Crash, Worker};
use crate::fake::{Break, Extent, Op, sample};
use crate::network::NetworkState;
use crate::pod::{Desired, FailureReason, InstanceState, SandboxState, ShimState};

const NAMES: [&str; 2] = ["one", "two"];

#[derive(Debug, Clone)]
enum Happening {
    Pass { millis: u64 },
    Round,
    Settle,
    Exit { container: usize, code: i32 },
    Stubborn { container: usize, ignores: bool },
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
        6 => (0..2_usize, prop_oneof![Just(0), Just(1), Just(137)])
            .prop_map(|(container, code)| Happening::Exit { container, code }),
        1 => (0..2_usize, any::<bool>())
            .prop_map(|(container, ignores)| Happening::Stubborn { container, ignores }),
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

fn restart_policy() -> impl Strategy<Value = RestartPolicy> {
    prop_oneof![
        3 => Just(RestartPolicy::Always),
        1 => Just(RestartPolicy::OnFailure),
        1 => Just(RestartPolicy::Never),
    ]
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
    for _ in 0..40 {
        match worker.settle(30) {
            Some(wait) => worker.host.pass(wait),
            None => return is_as_wanted(worker),
        }
        assert_eq!(worker.host.violations(), Vec::<String>::new());
    }
    panic!("still waiting for something: {:?}", worker.record);
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
    for name in NAMES.map(sample::name) {
        let own: Vec<_> = observed
            .containers
            .iter()
            .filter(|seen| seen.name == name)
            .collect();
        let runs = own.len() == 1 && matches!(own[0].state, InstanceState::Running { .. });
        let ended = own.is_empty() && policy != RestartPolicy::Always;
        assert!(runs || ended, "{name}: {own:?}");
    }
}

proptest! {
    // PROPTEST_CASES makes it as thorough as patience allows.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_keeps_the_rules_and_comes_to_rest(
        restart_policy in restart_policy(),
        host_network in any::<bool>(),
        happenings in prop::collection::vec(happening(), 1..60),
    ) {
        let mut worker = Worker::with(restart_policy, &NAMES, host_network);
        for happening in &happenings {
            happen(&mut worker, happening);
        }
        comes_to_rest(&mut worker);
    }
}
