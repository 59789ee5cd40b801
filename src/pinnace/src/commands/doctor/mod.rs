//! `pinnace doctor`: what this machine lacks for a node, and what to do about it.
//!
//! The kernel is tried and not asked for its configuration; whatever a trial makes is gone afterwards. A running
//! agent and its pods are left alone.

mod host;
mod ports;
mod resolver;

use std::io::{self, Write};
use std::os::unix::net::UnixStream;

use pinnace_api::{Problem, Severity};
use pinnace_core::config::{NodeConfig, PodNetwork};
use pinnace_net::Finding;
use pinnace_sys::Layout;
use serde_json::Value;

use super::get::items;
use crate::agent::network::{NetworkSettings, findings};
use crate::config::Sources;

/// One thing that was looked at.
struct Check {
    /// In a few words.
    what: String,
    /// What is missing or wrong; empty where nothing is.
    findings: Vec<Finding>,
}

impl Check {
    fn new(what: impl Into<String>, findings: impl IntoIterator<Item = Finding>) -> Self {
        Self {
            what: what.into(),
            findings: findings.into_iter().collect(),
        }
    }
}

/// Looks at everything; answers whether nothing is missing. `problems` are those of a running agent's manifests.
pub fn run(layout: &Layout, problems: Option<&Value>, out: &mut impl Write) -> io::Result<bool> {
    let mut well = true;
    let mut tell = |check: Check, out: &mut dyn Write| -> io::Result<()> {
        well &= check.findings.is_empty();
        if check.findings.is_empty() {
            writeln!(out, "ok       {}", check.what)?;
        }
        for finding in &check.findings {
            writeln!(out, "missing  {}: {finding}", check.what)?;
        }
        out.flush()
    };
    let (config, check) = configuration(layout);
    tell(check, out)?;
    for look in [host::root, host::cgroups] {
        tell(look(), out)?;
    }
    tell(host::overlay(layout), out)?;
    tell(host::oci_runtime(layout, &config), out)?;
    if let Some(problems) = problems {
        tell(manifests(problems), out)?;
    }
    let settings = NetworkSettings::new(layout, &config, Vec::new());
    tell(network(layout, &settings), out)?;
    // A running agent has its own ports, and answers names itself.
    let running = UnixStream::connect(layout.control_socket()).is_ok();
    tell(ports::metrics(&config, running), out)?;
    if settings.plan().pods != PodNetwork::None {
        tell(ports::dns(settings.plan(), running), out)?;
        tell(resolver::upstream(&config), out)?;
    }
    Ok(well)
}

/// The configuration; the default, where it has problems.
fn configuration(layout: &Layout) -> (NodeConfig, Check) {
    let what = "configuration";
    match Sources::in_etc(&layout.etc()).load() {
        Ok(loaded) => (loaded.config, Check::new(what, None)),
        Err(problems) => {
            let findings = problems.iter().map(|problem| {
                Finding::new(
                    format!("{problem}."),
                    "Correct it: with a problem none of it is used, and the rest is looked at with the defaults.",
                )
            });
            (NodeConfig::default(), Check::new(what, findings))
        }
    }
}

/// What a running agent cannot do of its manifests.
fn manifests(problems: &Value) -> Check {
    let problems = items(problems)
        .into_iter()
        .filter_map(|problem| serde_json::from_value::<Problem>(problem).ok())
        .filter(|problem| problem.severity == Severity::Error);
    let finding = |problem: Problem| {
        let remedy = "Correct the manifest; `pinnace describe node` says when it is right.";
        Finding::new(format!("{problem}."), remedy)
    };
    Check::new("manifests of a running agent", problems.map(finding))
}

fn network(layout: &Layout, settings: &NetworkSettings) -> Check {
    let plan = settings.plan();
    let ranges: Vec<String> = plan.pod_ranges.iter().map(ToString::to_string).collect();
    let what = match plan.pods {
        PodNetwork::Routed => format!("pods' network (routed, {})", ranges.join(" and ")),
        PodNetwork::Cni => "pods' network (CNI plugins)".to_owned(),
        PodNetwork::None => "pods' network (none: pods have their loopback interface alone)".to_owned(),
    };
    Check::new(what, findings(settings, layout))
}
