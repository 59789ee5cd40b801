//! Random histories of several agents on one machine, each killed at any moment.

use std::sync::Arc;

use pinnace_api::pod::TaintEffect;
use pinnace_core::fake::{Break, Extent, Op, sample};
use pinnace_core::host::Host;
use pinnace_core::node::Taint;
use pinnace_core::pod::FailureReason;
use pinnace_core::ports::{PodRuntime, Records, StoredNode};
use proptest::prelude::*;

use crate::testing::{Agent, Machine, daemonset, on_host, pass, pod, pod_with, recorded, settle};

/// What the directory holds: the version of each object, 0 for none.
#[derive(Debug, Clone, Copy)]
struct Directory {
    web: u8,
    other: u8,
    job: u8,
    log: u8,
}

impl Directory {
    fn manifests(self) -> Vec<String> {
        let mut all = Vec::new();
        for (name, version) in [("web", self.web), ("other", self.other)] {
            if version > 0 {
                all.push(pod(name, &format!("a:{version}")));
            }
        }
        if self.job > 0 {
            all.push(pod_with(
                "job",
                &format!("a:{}", self.job),
                ", restartPolicy: OnFailure",
            ));
        }
        if self.log > 0 {
            all.push(daemonset("log", &format!("a:{}", self.log), "", ""));
        }
        all
    }
}

#[derive(Debug, Clone)]
enum Happening {
    List(Directory),
    Unavailable,
    Taint(bool),
    Pass(u64),
    Settle,
    Exit { pod: usize, code: i32 },
    KillShim { pod: usize },
    BreakSandbox { pod: usize },
    BreakNetwork { pod: usize, whole: bool },
    Stubborn(bool),
    Image(bool),
    Fail(Break),
    Mend,
    Drain,
}

/// What befalls the machine while no agent runs.
#[derive(Debug, Clone, Copy)]
enum Between {
    Nothing,
    Reboot { run_is_on_disk: bool },
    Exit { pod: usize },
    KillShim { pod: usize },
    Damage { pod: usize },
}

#[derive(Debug, Clone)]
struct Life {
    happenings: Vec<Happening>,
    /// Calls of ports that it makes before it is killed.
    calls: Option<u32>,
    between: Between,
}

fn directory() -> impl Strategy<Value = Directory> {
    (0..3_u8, 0..2_u8, 0..3_u8, 0..3_u8).prop_map(|(web, other, job, log)| Directory { web, other, job, log })
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
        Op::RemoveContainer,
        Op::RemoveSandbox,
        Op::RemoveVolumes,
        Op::RemoveLogs,
        Op::SaveIdentity,
        Op::SaveProgress,
        Op::RemoveRecords,
    ];
    let extent = prop_oneof![Just(Extent::Nothing), Just(Extent::Half), Just(Extent::Whole)];
    (prop::option::of(prop::sample::select(ops)), 1..4_u32, extent).prop_map(|(op, times, extent)| Break {
        op,
        times,
        extent,
        reason: FailureReason::CreateContainerError,
    })
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => directory().prop_map(Happening::List),
        1 => Just(Happening::Unavailable),
        2 => any::<bool>().prop_map(Happening::Taint),
        3 => (0..90_u64).prop_map(Happening::Pass),
        3 => Just(Happening::Settle),
        4 => (0..4_usize, 0..2_i32).prop_map(|(pod, code)| Happening::Exit { pod, code }),
        1 => (0..4_usize).prop_map(|pod| Happening::KillShim { pod }),
        1 => (0..4_usize).prop_map(|pod| Happening::BreakSandbox { pod }),
        1 => (0..4_usize, any::<bool>())
            .prop_map(|(pod, whole)| Happening::BreakNetwork { pod, whole }),
        1 => any::<bool>().prop_map(Happening::Stubborn),
        1 => any::<bool>().prop_map(Happening::Image),
        3 => fault().prop_map(Happening::Fail),
        1 => Just(Happening::Mend),
        1 => Just(Happening::Drain),
    ]
}

fn life() -> impl Strategy<Value = Life> {
    let between = prop_oneof![
        4 => Just(Between::Nothing),
        1 => any::<bool>().prop_map(|run_is_on_disk| Between::Reboot { run_is_on_disk }),
        1 => (0..4_usize).prop_map(|pod| Between::Exit { pod }),
        1 => (0..4_usize).prop_map(|pod| Between::KillShim { pod }),
        1 => (0..4_usize).prop_map(|pod| Between::Damage { pod }),
    ];
    let happenings = prop::collection::vec(happening(), 1..10);
    (happenings, prop::option::weighted(0.7, 0..150_u32), between).prop_map(|(happenings, calls, between)| {
        Life {
            happenings,
            calls,
            between,
        }
    })
}

/// Runs `life` in a runtime of its own; all of its tasks end where they are, with the runtime.
fn live(machine: &Arc<Machine>, calls: Option<u32>, life: impl AsyncFnOnce(Agent)) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        machine.begin_life(calls);
        let agent = Agent::start(machine);
        tokio::select! {
            () = life(agent) => {}
            () = machine.killed.notified() => {}
        }
    });
}

async fn happen(agent: &Agent, machine: &Machine, happening: &Happening) {
    let pods = agent.board.pods();
    let nth = |pod: usize| pods.get(pod).map(|view| view.identity.uid.clone());
    let container = sample::name("c");
    match happening {
        Happening::List(directory) => agent.list(&directory.manifests()).await,
        Happening::Unavailable => agent.unavailable().await,
        Happening::Taint(there) => {
            let taints = there.then(|| Taint::new("broken", TaintEffect::NoExecute));
            agent
                .configure(|config| config.register_with_taints = taints.into_iter().collect())
                .await;
        }
        Happening::Pass(seconds) => pass(*seconds).await,
        Happening::Settle => settle().await,
        Happening::Exit { pod, code } => {
            if let Some(uid) = nth(*pod) {
                machine.fake.exit(&uid, &container, *code);
            }
        }
        Happening::KillShim { pod } => nth(*pod).iter().for_each(|uid| machine.fake.kill_shim(uid)),
        Happening::BreakSandbox { pod } => nth(*pod).iter().for_each(|uid| machine.fake.break_sandbox(uid)),
        Happening::BreakNetwork { pod, whole } => {
            nth(*pod)
                .iter()
                .for_each(|uid| machine.fake.break_network(uid, *whole));
        }
        Happening::Stubborn(ignores) => machine.fake.ignore_stop_signal(&container, *ignores),
        Happening::Image(present) => {
            machine.fake.set_image("example.com/a:1", *present);
            agent.images.send_modify(|count| *count += 1);
        }
        Happening::Fail(fault) => machine.fake.break_next(*fault),
        Happening::Mend => machine.fake.mend(),
        Happening::Drain => drop(agent.drain(None).await),
    }
}

/// The fake's futures never wait.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("the fake waits"),
    }
}

/// The next agent goes on with a drain: nothing is to run then but what is yet to end.
fn is_being_drained(machine: &Machine) -> bool {
    match now(machine.fake.load_node()).unwrap() {
        StoredNode::Whole(record) => record
            .draining
            .is_some_and(|draining| draining.boot == machine.boot_id()),
        StoredNode::Absent | StoredNode::Damaged { .. } => false,
    }
}

fn befall(machine: &Machine, between: Between) {
    let uids = now(PodRuntime::list(&machine.fake)).unwrap();
    let nth = |pod: usize| uids.get(pod);
    match between {
        Between::Nothing => {}
        Between::Reboot { run_is_on_disk } => machine.fake.reboot(run_is_on_disk),
        Between::Exit { pod } => nth(pod).into_iter().for_each(|uid| {
            machine.fake.exit(uid, &sample::name("c"), 3);
        }),
        Between::KillShim { pod } => nth(pod).into_iter().for_each(|uid| machine.fake.kill_shim(uid)),
        Between::Damage { pod } => nth(pod)
            .into_iter()
            .for_each(|uid| machine.fake.damage_identity(uid)),
    }
}

/// Whatever was before: what the directory wants runs, once, and nothing else is there.
async fn comes_to_rest(agent: &Agent, machine: &Machine, wanted: Directory) {
    agent.list(&wanted.manifests()).await;
    pass(7200).await;
    let mut expected: Vec<&str> = Vec::new();
    for (name, version) in [("web", wanted.web), ("other", wanted.other)] {
        if version > 0 {
            expected.push(name);
            assert!(
                agent.pod(name).all_running(),
                "{name}: {:?}",
                agent.pod(name).status
            );
            assert!(agent.pod(name).status.pod_ip.is_some(), "{name} has no address");
            let image = &agent.pod(name).pod.spec.containers[0].image;
            assert_eq!(*image, format!("example.com/a:{version}"));
        }
    }
    if wanted.job > 0 {
        expected.push("job");
        let job = agent.pod("job");
        assert!(job.all_running() || job.is_finished(), "{:?}", job.status);
    }
    let pods = agent.board.pods();
    let made = pods.iter().filter(|pod| pod.identity.origin.owner.is_some());
    assert_eq!(made.count(), usize::from(wanted.log > 0));
    assert_eq!(pods.len(), expected.len() + usize::from(wanted.log > 0));
    assert_eq!(agent.board.waiting(), []);
    assert_eq!(agent.board.ready(), Ok(()));
    let listed: Vec<_> = pods.iter().map(|pod| pod.identity.uid.clone()).collect();
    assert_eq!(on_host(machine).await, listed);
    assert_eq!(recorded(machine).await.len(), listed.len());
    let looks = machine.looks_during(pass(60)).await;
    assert!(looks < 10, "an idle node looked {looks} times");

    agent.list(&[]).await;
    pass(7200).await;
    assert_eq!(on_host(machine).await, []);
    assert_eq!(agent.board.pods(), []);
}

proptest! {
    // PROPTEST_CASES makes it as thorough as patience allows.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_of_agents_comes_to_what_is_wanted_and_starts_nothing_twice(
        lives in prop::collection::vec(life(), 1..6),
        wanted in directory(),
    ) {
        let machine = Arc::new(Machine::new());
        for life in &lives {
            live(&machine, life.calls, async |agent| {
                for happening in &life.happenings {
                    happen(&agent, &machine, happening).await;
                }
            });
            prop_assert_eq!(machine.breaches(), Vec::<String>::new());
            befall(&machine, life.between);
        }
        machine.fake.mend();
        machine.fake.set_image("example.com/a:1", true);
        if is_being_drained(&machine) {
            live(&machine, None, async |agent| {
                agent.list(&wanted.manifests()).await;
                pass(7200).await;
            });
            prop_assert!(!is_being_drained(&machine));
        }
        live(&machine, None, async |agent| comes_to_rest(&agent, &machine, wanted).await);
        prop_assert_eq!(machine.breaches(), Vec::<String>::new());
    }
}
