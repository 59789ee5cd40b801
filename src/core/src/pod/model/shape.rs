//! Pods of all shapes.

use pinnace_api::pod::{Container, Hook, Lifecycle, Probe, ProbeAction, RestartPolicy};
use pinnace_api::{Pod, testing};
use proptest::prelude::*;
use serde_json::json;

/// What a pod consists of.
#[derive(Debug, Clone)]
pub struct Shape {
    pub restart_policy: RestartPolicy,
    pub host_network: bool,
    /// Init containers in order; true for a sidecar.
    pub init: Vec<(&'static str, bool)>,
    pub main: Vec<&'static str>,
    /// The names of those that have both hooks.
    pub hooked: Vec<&'static str>,
    /// The names of those that have all probes.
    pub probed: Vec<&'static str>,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            restart_policy: RestartPolicy::Always,
            host_network: false,
            init: Vec::new(),
            main: vec!["one"],
            hooked: Vec::new(),
            probed: Vec::new(),
        }
    }
}

/// All names that random shapes have.
pub const NAMES: [&str; 6] = ["prepare", "proxy", "migrate", "log", "one", "two"];

impl Shape {
    /// Of every kind.
    pub fn any() -> impl Strategy<Value = Self> {
        let some = || prop::sample::subsequence(NAMES.to_vec(), 0..3);
        let init = prop::sample::subsequence(
            vec![
                ("prepare", false),
                ("proxy", true),
                ("migrate", false),
                ("log", true),
            ],
            0..=4,
        );
        let init = prop_oneof![2 => Just(Vec::new()), 3 => init];
        (restart_policy(), any::<bool>(), init, some(), some()).prop_map(
            |(restart_policy, host_network, init, hooked, probed)| Self {
                restart_policy,
                host_network,
                init,
                main: vec!["one", "two"],
                hooked,
                probed,
            },
        )
    }

    pub fn pod(&self) -> Pod {
        let names: Vec<&str> = self
            .init
            .iter()
            .map(|(name, _)| *name)
            .chain(self.main.iter().copied())
            .collect();
        let mut pod = testing::pod(
            "web",
            json!({
                "restartPolicy": self.restart_policy,
                "containers": testing::containers(&names),
                "hostNetwork": self.host_network,
            }),
        );
        for container in &mut pod.spec.containers {
            self.complete(container);
        }
        let main = pod.spec.containers.split_off(self.init.len());
        pod.spec.init_containers = std::mem::replace(&mut pod.spec.containers, main);
        pod
    }

    fn complete(&self, container: &mut Container) {
        let is_in = |names: &[&str]| names.contains(&container.name.as_str());
        let init = self
            .init
            .iter()
            .find(|(name, _)| *name == container.name.as_str());
        // Init containers other than sidecars may have neither.
        let may = init.is_none_or(|(_, sidecar)| *sidecar);
        if is_in(&self.hooked) && may {
            let hook = || Some(Hook::Exec(vec!["true".to_owned()]));
            container.lifecycle = Lifecycle {
                post_start: hook(),
                pre_stop: hook(),
                stop_signal: None,
            };
        }
        if is_in(&self.probed) && may {
            container.probes.startup = Some(probe());
            container.probes.readiness = Some(probe());
            container.probes.liveness = Some(probe());
        }
        if init.is_some_and(|(_, sidecar)| *sidecar) {
            container.restart_policy = Some(RestartPolicy::Always);
        }
    }
}

/// One with all defaults.
pub fn probe() -> Probe {
    Probe {
        action: ProbeAction::Exec(vec!["true".to_owned()]),
        initial_delay_seconds: 0,
        timeout_seconds: 1,
        period_seconds: 10,
        success_threshold: 1,
        failure_threshold: 3,
        termination_grace_period_seconds: None,
    }
}

fn restart_policy() -> impl Strategy<Value = RestartPolicy> {
    prop_oneof![
        3 => Just(RestartPolicy::Always),
        1 => Just(RestartPolicy::OnFailure),
        1 => Just(RestartPolicy::Never),
    ]
}
