//! Values as a kubelet sets them, and what must hold for any pod.

use pinnace_api::pod::{Container, PodSpec, ResourceList, RestartPolicy};
use pinnace_api::{Bytes, MilliCpu};
use proptest::prelude::*;

use super::testing::{container, list, spec};
use super::*;

const MI: u64 = 1 << 20;
const GI: u64 = 1 << 30;

fn one(requests: ResourceList, limits: ResourceList) -> pinnace_api::pod::PodSpec {
    spec(vec![container("a", requests, limits)])
}

#[test]
fn the_class_follows_requests_and_limits_of_cpu_and_memory_only() {
    let mut storage_only = list(0, 0);
    storage_only.ephemeral_storage = Some(Bytes(GI));
    let cases = [
        (one(list(0, 0), list(0, 0)), QosClass::BestEffort),
        (one(storage_only, list(0, 0)), QosClass::BestEffort),
        (one(list(100, 0), list(0, 0)), QosClass::Burstable),
        (one(list(0, 0), list(100, MI)), QosClass::Burstable),
        (one(list(100, MI), list(100, MI)), QosClass::Guaranteed),
        (one(list(100, MI), list(200, MI)), QosClass::Burstable),
        (one(list(100, 0), list(100, 0)), QosClass::Burstable),
        (
            spec(vec![
                container("a", list(100, MI), list(100, MI)),
                container("b", list(0, 0), list(0, 0)),
            ]),
            QosClass::Burstable,
        ),
        (
            spec(vec![
                container("a", list(100, MI), list(100, MI)),
                container("b", list(200, GI), list(200, GI)),
            ]),
            QosClass::Guaranteed,
        ),
    ];
    for (spec, class) in cases {
        assert_eq!(qos_class(&spec), class, "{:?}", spec.containers);
    }
}

#[test]
fn shares_and_weights_are_the_kubelets() {
    // (milli cpu, cpu.shares, cpu.weight)
    let cases = [
        (0, 2, 1),
        (1, 2, 1),
        (10, 10, 1),
        (100, 102, 4),
        (250, 256, 10),
        (500, 512, 20),
        (1000, 1024, 39),
        (2000, 2048, 79),
        (8000, 8192, 313),
        (256_000, 262_144, 10_000),
        (1_000_000, 262_144, 10_000),
    ];
    for (cpu, shares, weight) in cases {
        let values = container_values(
            &container("a", list(cpu, 0), list(0, 0)),
            &CgroupPolicy::default(),
        );
        assert_eq!(values.cpu_shares, Some(shares), "{cpu}m");
        assert_eq!(values.cpu_weight(), Some(weight), "{cpu}m");
    }
    assert_eq!(CgroupValues::default().cpu_weight(), None);
}

#[test]
fn a_request_of_zero_is_not_the_limit_and_an_absent_one_is() {
    let mut zero = container("a", list(0, 0), list(1000, 0));
    zero.resources.requests.cpu = Some(MilliCpu(0));
    assert_eq!(
        container_values(&zero, &CgroupPolicy::default()).cpu_shares,
        Some(2)
    );
    let absent = container("a", list(0, 0), list(1000, 0));
    assert_eq!(
        container_values(&absent, &CgroupPolicy::default()).cpu_shares,
        Some(1024)
    );
}

#[test]
fn quotas_are_the_kubelets() {
    let quota = |cpu, policy: &CgroupPolicy| {
        container_values(&container("a", list(0, 0), list(cpu, 0)), policy).cpu_quota_us
    };
    let usual = CgroupPolicy::default();
    assert_eq!(quota(0, &usual), None);
    assert_eq!(quota(1, &usual), Some(1_000));
    assert_eq!(quota(10, &usual), Some(1_000));
    assert_eq!(quota(11, &usual), Some(1_100));
    assert_eq!(quota(200, &usual), Some(20_000));
    assert_eq!(quota(1500, &usual), Some(150_000));
    let short = CgroupPolicy {
        cpu_period_us: 10_000,
        ..usual
    };
    assert_eq!(quota(200, &short), Some(2_000));
    assert_eq!(quota(50, &short), Some(1_000));
    let off = CgroupPolicy {
        cpu_cfs_quota: false,
        ..usual
    };
    assert_eq!(quota(200, &off), None);
}

#[test]
fn a_pod_is_limited_only_where_all_its_containers_are() {
    let policy = CgroupPolicy {
        pod_pids_limit: Some(1024),
        ..CgroupPolicy::default()
    };
    let limited = pod_values(
        &spec(vec![
            container("a", list(100, 64 * MI), list(200, 128 * MI)),
            container("b", list(100, 64 * MI), list(300, 128 * MI)),
        ]),
        &policy,
    );
    assert_eq!(
        limited,
        CgroupValues {
            cpu_shares: Some(204),
            cpu_quota_us: Some(50_000),
            cpu_period_us: 100_000,
            memory_limit_bytes: Some(256 * MI),
            pids_limit: Some(1024),
        }
    );
    let half = pod_values(
        &spec(vec![
            container("a", list(100, 64 * MI), list(200, 128 * MI)),
            container("b", list(100, 0), list(200, 0)),
        ]),
        &policy,
    );
    assert_eq!(half.cpu_quota_us, Some(40_000));
    assert_eq!(half.memory_limit_bytes, None);
    let idle = pod_values(&one(list(0, 0), list(0, 0)), &policy);
    assert_eq!(idle.cpu_shares, Some(2));
    assert_eq!(
        (idle.cpu_quota_us, idle.memory_limit_bytes, idle.pids_limit),
        (None, None, Some(1024))
    );
}

/// A pod of these main containers, and of these that run first; true for a sidecar.
fn begun_by(init: Vec<(bool, Container)>, main: Vec<Container>) -> PodSpec {
    let init = init.into_iter().map(|(is_sidecar, mut container)| {
        container.restart_policy = is_sidecar.then_some(RestartPolicy::Always);
        container
    });
    PodSpec {
        init_containers: init.collect(),
        ..spec(main)
    }
}

fn asks(name: &str, cpu: u64, memory: u64) -> Container {
    container(name, list(cpu, memory), list(0, 0))
}

#[test]
fn a_pod_asks_for_what_it_asks_for_at_its_peak() {
    let amounts = |spec: &PodSpec| {
        let asked = pod_requests(spec);
        (asked.cpu.0, asked.memory.0)
    };
    let main = || vec![asks("a", 100, 10), asks("b", 200, 20)];
    let init = begun_by(
        vec![(false, asks("i", 250, 100)), (false, asks("j", 50, 1))],
        main(),
    );
    assert_eq!(
        amounts(&init),
        (300, 100),
        "the greater of init containers and the sum"
    );
    let beside = begun_by(vec![(true, asks("s", 50, 5)), (false, asks("i", 300, 1))], main());
    assert_eq!(
        amounts(&beside),
        (350, 35),
        "an init container runs beside the sidecars before it"
    );
    let after = begun_by(vec![(false, asks("i", 320, 1)), (true, asks("s", 50, 5))], main());
    assert_eq!(amounts(&after), (350, 35), "and not beside those after it");
    let mut heavy = after;
    heavy.overhead = list(10, 3);
    assert_eq!(amounts(&heavy), (360, 38));
}

#[test]
fn init_containers_count_for_the_class_and_for_the_limits_of_the_pod() {
    let limited = |name: &str, cpu| container(name, list(cpu, GI), list(cpu, GI));
    let policy = CgroupPolicy::default();
    let all = begun_by(vec![(false, limited("i", 500))], vec![limited("a", 300)]);
    assert_eq!(qos_class(&all), QosClass::Guaranteed);
    let values = pod_values(&all, &policy);
    assert_eq!(
        (values.cpu_quota_us, values.memory_limit_bytes),
        (Some(50_000), Some(GI))
    );
    let free = begun_by(vec![(false, asks("i", 0, 0))], vec![limited("a", 300)]);
    assert_eq!(qos_class(&free), QosClass::Burstable);
    assert_eq!(pod_values(&free, &policy).memory_limit_bytes, None);
}

#[test]
fn a_sidecar_is_killed_no_sooner_than_the_main_container_that_asks_for_least() {
    let pod = begun_by(
        vec![(true, asks("s", 0, GI)), (false, asks("i", 0, GI))],
        vec![asks("a", 0, 4 * GI), asks("b", 0, 2 * GI)],
    );
    let score = |container| oom_score_adj(QosClass::Burstable, &pod, container, Bytes(10 * GI));
    assert_eq!(score(&pod.init_containers[0]), 800);
    assert_eq!(score(&pod.init_containers[1]), 900);
    assert_eq!(score(&pod.containers[1]), 800);
}

#[test]
fn oom_scores_are_the_kubelets() {
    let score = |class, memory| {
        let container = container("a", list(0, memory), list(0, 0));
        oom_score_adj(class, &spec(Vec::new()), &container, Bytes(10 * GI))
    };
    assert_eq!(score(QosClass::Guaranteed, GI), -997);
    assert_eq!(score(QosClass::BestEffort, 0), 1000);
    assert_eq!(score(QosClass::Burstable, 0), 999);
    assert_eq!(score(QosClass::Burstable, 1), 999);
    assert_eq!(score(QosClass::Burstable, GI), 900);
    assert_eq!(score(QosClass::Burstable, 5 * GI), 500);
    assert_eq!(score(QosClass::Burstable, 10 * GI), 3);
    assert_eq!(score(QosClass::Burstable, u64::MAX), 3);
}

fn any_list() -> impl Strategy<Value = ResourceList> {
    let cpu = prop_oneof![
        Just(None),
        (0..=u64::MAX).prop_map(Some),
        (0..5000_u64).prop_map(Some)
    ];
    let memory = prop_oneof![
        Just(None),
        (0..=u64::MAX).prop_map(Some),
        (0..64 * GI).prop_map(Some)
    ];
    (cpu, memory).prop_map(|(cpu, memory)| ResourceList {
        cpu: cpu.map(MilliCpu),
        memory: memory.map(Bytes),
        ephemeral_storage: None,
    })
}

proptest! {
    #[test]
    fn any_pod_gets_values_that_the_kernel_takes(
        lists in proptest::collection::vec((any_list(), any_list()), 1..6),
        capacity in 0..=u64::MAX,
    ) {
        let containers: Vec<_> = lists
            .iter()
            .enumerate()
            .map(|(index, (requests, limits))| container(&format!("c{index}"), *requests, *limits))
            .collect();
        let spec = spec(containers);
        let policy = CgroupPolicy::default();
        let class = qos_class(&spec);
        let pod = pod_values(&spec, &policy);
        let mut all = vec![pod];
        all.extend(spec.containers.iter().map(|container| container_values(container, &policy)));
        for values in all {
            prop_assert!(values.cpu_shares.is_some_and(|shares| (2..=262_144).contains(&shares)));
            prop_assert!(values.cpu_weight().is_some_and(|weight| (1..=10_000).contains(&weight)));
            prop_assert!(values.cpu_quota_us.is_none_or(|quota| quota >= 1000));
            prop_assert_ne!(values.memory_limit_bytes, Some(0));
        }
        if class == QosClass::Guaranteed {
            prop_assert!(pod.cpu_quota_us.is_some() && pod.memory_limit_bytes.is_some());
        }
        for container in &spec.containers {
            let score = oom_score_adj(class, &spec, container, Bytes(capacity));
            prop_assert!(matches!((class, score),
                (QosClass::Guaranteed, -997) | (QosClass::BestEffort, 1000) | (QosClass::Burstable, 3..=999)));
        }
    }
}
