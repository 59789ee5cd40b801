//! Settings that workers follow live.

use pinnace_api::Bytes;
use pinnace_core::config::NodeConfig;
use pinnace_core::pod;
use pinnace_core::resources::CgroupPolicy;

/// Settings that workers follow live.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Back-off.
    pub policy: pod::Policy,
    /// How requests and limits become cgroup values.
    pub cgroup: CgroupPolicy,
    /// Log limits of new containers.
    pub log: pinnace_core::ports::LogLimits,
    /// The node's memory, for `oom_score_adj`.
    pub memory_capacity: Bytes,
}

impl Settings {
    /// Of this configuration on a node with so much memory.
    pub fn new(config: &NodeConfig, memory_capacity: Bytes) -> Self {
        Self {
            policy: config.policy(),
            cgroup: config.cgroup_policy(),
            log: config.log_limits(),
            memory_capacity,
        }
    }

    /// Takes over what a new configuration says.
    pub fn follow(&mut self, config: &NodeConfig) {
        *self = Self::new(config, self.memory_capacity);
    }
}
