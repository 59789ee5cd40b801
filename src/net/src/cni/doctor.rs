//! What stands in the way of CNI mode.

use std::path::PathBuf;

use pinnace_api::PodUid;

use super::arguments::{BANDWIDTH, PORT_MAPPINGS};
use super::config::CniConfig;
use super::error::CniError;
use super::network::{Network, Plugin};
use super::node::CniNode;
use crate::finding::Finding;
use crate::host::sysctl;

/// All that the network lacks on this host; empty where nothing does. Executes plugins (VERSION, STATUS, and CHECK for
/// each attached pod, whose pinned namespace `namespace` tells).
pub fn findings(config: &CniConfig, namespace: impl Fn(&PodUid) -> PathBuf) -> Vec<Finding> {
    let node = CniNode::new(config.clone());
    let network = match node.network() {
        Ok(network) => network,
        Err(error) => return vec![unusable(config, &error)],
    };
    let mut findings: Vec<Finding> = Vec::new();
    for plugin in &network.plugins {
        findings.extend(plugin_of(&node, &network, plugin));
    }
    if findings.is_empty() {
        findings.extend(node.caller().status(&network).err().map(|error| {
            Finding::new(
                format!(
                    "The CNI network {} takes no pods: {}.",
                    network.name,
                    error.chain()
                ),
                "Look for the cause where the plugin's own daemon writes its log.",
            )
        }));
        findings.extend(node.check_all(namespace).into_iter().map(|(uid, error)| {
            Finding::new(
                format!(
                    "A plugin finds fault with the network of pod {uid}: {}.",
                    error.chain()
                ),
                "Repair what it names, or delete the pod, so that its network is set up anew.",
            )
        }));
    }
    findings.extend(capabilities(&network));
    findings.extend(bridged(&network));
    findings
}

fn unusable(config: &CniConfig, error: &CniError) -> Finding {
    let directory = config.conf_directory.display();
    match error {
        CniError::NotInitialized { .. } => Finding::new(
            format!("There is no network in {directory}, so pods get no network of their own."),
            "Install a CNI network there, set cniConfDir to where it is, or set podNetwork: routed, which needs none.",
        ),
        error => Finding::new(
            format!("The CNI network cannot be used: {}.", error.chain()),
            "Correct the file: the first one by name is the network.",
        ),
    }
}

/// A plugin and the one that it executes for addresses: are they there, and do they speak the network's version?
fn plugin_of(node: &CniNode, network: &Network, plugin: &Plugin) -> Option<Finding> {
    for kind in [Some(plugin.kind.as_str()), plugin.ipam()].into_iter().flatten() {
        if let Err(error) = node.caller().find(kind) {
            return Some(Finding::new(
                format!("The CNI network {} lacks a plugin: {error}.", network.name),
                "Install the plugin (Debian's containernetworking-plugins has the common ones), or set cniBinDir.",
            ));
        }
    }
    let wanted = network.version.as_str();
    match node.caller().versions(network, plugin) {
        Ok(versions) if versions.iter().any(|version| version == wanted) => None,
        Ok(versions) => Some(Finding::new(
            format!(
                "The plugin {} does not speak CNI {wanted} of network {}: it speaks {}.",
                plugin.kind,
                network.name,
                versions.join(", ")
            ),
            "Set cniVersion of the network to one of those, or install a plugin that speaks it.",
        )),
        Err(error) => Some(Finding::new(
            format!(
                "The plugin {} does not tell its versions: {}.",
                plugin.kind,
                error.chain()
            ),
            "Install another build of it.",
        )),
    }
}

/// What pods may ask for and no plugin does.
fn capabilities(network: &Network) -> Vec<Finding> {
    let lacks = |(capability, what): &(&str, &str)| {
        (!network.is_capable(capability)).then(|| {
            Finding::new(
                format!(
                    "No plugin of the CNI network {} declares {capability}, so {what}.",
                    network.name
                ),
                format!(
                    "Add one that does, such as the plugin {}.",
                    match *capability {
                        PORT_MAPPINGS => "portmap",
                        _ => "bandwidth",
                    }
                ),
            )
        })
    };
    let wanted = [
        (PORT_MAPPINGS, "host ports of pods have no effect"),
        (BANDWIDTH, "bandwidth annotations of pods have no effect"),
    ];
    wanted.iter().filter_map(lacks).collect()
}

/// Answers from one pod of a bridge to another are bridged, and would miss the rules that turn them back into a
/// Service's.
fn bridged(network: &Network) -> Option<Finding> {
    const SETTING: &str = "net.bridge.bridge-nf-call-iptables";
    let has_bridge = network.plugins.iter().any(|plugin| plugin.kind == "bridge");
    let is_on = sysctl::read(&sysctl::of("bridge/bridge-nf-call-iptables")).is_ok_and(|value| value == "1");
    (has_bridge && !is_on).then(|| {
        Finding::new(
            format!(
                "Bridged packets pass no rules ({SETTING} is not 1), so a pod reaches no other of the same bridge through \
                 a Service."
            ),
            format!("Load the module br_netfilter, and set {SETTING} = 1 and its ip6tables like in /etc/sysctl.d."),
        )
    })
}
