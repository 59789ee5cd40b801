//! What happens to a machine without anybody asking a port for it.

use pinnace_api::{ContainerName, PodUid};

use super::FakeHost;
use super::state::PodOnHost;
use crate::network::NetworkState;
use crate::pod::{InstanceState, SandboxState, ShimState};
use crate::time::BootMillis;

impl FakeHost {
    /// Both clocks go on.
    pub fn pass(&self, millis: u64) {
        self.change(|state| {
            state.now.boot = state.now.boot.after(millis);
            state.now.wall.0 = state.now.wall.0.saturating_add(millis);
        });
    }

    /// The running instance of the container ends by itself; false where none runs.
    pub fn exit(&self, uid: &PodUid, name: &ContainerName, code: i32) -> bool {
        self.change(|state| {
            let now = state.now.wall;
            let Some(pod) = state.pods.get_mut(uid) else {
                return false;
            };
            let shim = pod.shim;
            let own = pod.instances.iter_mut().filter(|((of, _), _)| of == name);
            let mut any = false;
            for (_, instance) in own {
                any |= instance.lives;
                let reason = if code == 0 { "Completed" } else { "Error" };
                instance.end(code, reason, shim, now);
            }
            any
        })
    }

    /// Containers of this name ignore the stop signal from now on.
    pub fn ignore_stop_signal(&self, name: &ContainerName, ignores: bool) {
        let mut state = self.lock();
        if ignores {
            state.stubborn.insert(name.clone());
        } else {
            state.stubborn.remove(name);
        }
    }

    /// Containers of this name do not end by SIGKILL from now on: they sleep in the kernel.
    pub fn ignore_kill(&self, name: &ContainerName, ignores: bool) {
        let mut state = self.lock();
        if ignores {
            state.asleep.insert(name.clone());
        } else {
            state.asleep.remove(name);
        }
    }

    /// The pod's shim is killed; its containers' processes live on.
    pub fn kill_shim(&self, uid: &PodUid) {
        self.change(|state| {
            if let Some(pod) = state.pods.get_mut(uid)
                && pod.shim == ShimState::Alive
            {
                pod.shim = ShimState::Dead;
                pod.instances.values_mut().for_each(super::state::Instance::lose);
            }
        });
    }

    /// Somebody removes a part of the pod's sandbox.
    pub fn break_sandbox(&self, uid: &PodUid) {
        self.change(|state| {
            if let Some(pod) = state.pods.get_mut(uid)
                && pod.sandbox != SandboxState::Absent
            {
                pod.sandbox = SandboxState::Broken;
            }
        });
    }

    /// Somebody removes a part of the pod's network, or all of it.
    pub fn break_network(&self, uid: &PodUid, whole: bool) {
        self.change(|state| {
            if let Some(pod) = state.pods.get_mut(uid)
                && pod.network != NetworkState::Absent
            {
                pod.network = if whole {
                    NetworkState::Absent
                } else {
                    NetworkState::Partial
                };
            }
            state.sweep(uid);
        });
    }

    /// Whatever else there was of the pod is gone, its records too.
    pub fn leave_only_the_network(&self, uid: &PodUid) {
        self.change(|state| {
            state.identities.remove(uid);
            state.progress.remove(uid);
            if let Some(pod) = state.pods.get_mut(uid) {
                *pod = PodOnHost {
                    network: NetworkState::Partial,
                    ..PodOnHost::default()
                };
            }
        });
    }

    /// The machine restarts. What lies in `/run` goes, unless that directory is on a disk.
    pub fn reboot(&self, run_is_on_disk: bool) {
        self.change(|state| {
            state.boots += 1;
            state.now.boot = BootMillis(1_000);
            state.now.wall.0 = state.now.wall.0.saturating_add(20_000);
            if !run_is_on_disk {
                state.progress.clear();
            }
            for pod in state.pods.values_mut() {
                pod.shim = ShimState::Absent;
                pod.network = match pod.network {
                    // The lease is a file.
                    NetworkState::Partial | NetworkState::Attached(_) if run_is_on_disk => {
                        NetworkState::Partial
                    }
                    _ => NetworkState::Absent,
                };
                if run_is_on_disk {
                    if pod.sandbox != SandboxState::Absent {
                        pod.sandbox = SandboxState::Broken;
                    }
                    for instance in pod.instances.values_mut() {
                        instance.lives = false;
                        if instance.state == InstanceState::Created {
                            instance.state = InstanceState::Claimed;
                        } else if instance.state != InstanceState::Claimed {
                            instance.lose();
                        }
                    }
                } else {
                    pod.sandbox = SandboxState::Absent;
                    pod.identity = None;
                    pod.instances.clear();
                }
            }
            state.forget_starts();
            state.pods.retain(|_, pod| !pod.is_empty());
        });
    }

    /// The pod's progress record is lost.
    pub fn lose_progress(&self, uid: &PodUid) {
        let mut state = self.lock();
        state.progress.remove(uid);
        state.forget_starts();
    }

    /// The pod's identity record is damaged: the next load sets it aside.
    pub fn damage_identity(&self, uid: &PodUid) {
        self.lock().damaged.insert(uid.clone());
    }

    /// The node's own record is damaged.
    pub fn damage_node(&self) {
        self.lock().node_damaged = true;
    }

    /// The record of what was given to Services is damaged.
    pub fn damage_services(&self) {
        self.lock().given_damaged = true;
    }

    /// The wall clock is set forward; time itself goes on as before.
    pub fn set_wall_forward(&self, millis: u64) {
        self.change(|state| state.now.wall.0 = state.now.wall.0.saturating_add(millis));
    }

    /// Whether the image can be had.
    pub fn set_image(&self, reference: &str, present: bool) {
        let mut state = self.lock();
        if present {
            state.missing_images.remove(reference);
        } else {
            state.missing_images.insert(reference.to_owned());
        }
    }
}
