//! What a configuration of the right types may still have wrong.

mod network;
mod security;

use pinnace_api::LabelName;
use pinnace_api::pod::TaintEffect;

use super::{API_VERSION, ConfigDuration, KIND, NodeConfig};
use crate::node::Taint;

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// The setting's path, `registerWithTaints[0].key`.
    pub field: String,
    /// What is wrong and what is expected.
    pub message: String,
}

const MAX_LABELS: usize = 1000;
const MAX_TAINTS: usize = 100;
const MAX_LISTENERS: usize = 16;
/// More pods than this no node has been shown to run.
const MAX_PODS: u32 = 10_000;

impl NodeConfig {
    /// All that is wrong with it; empty for a configuration that can be used.
    pub fn problems(&self) -> Vec<FieldProblem> {
        let mut found = Findings::default();
        found.unless(self.api_version == API_VERSION, "apiVersion", || {
            format!("{:?} is not known, expected {API_VERSION}", self.api_version)
        });
        found.unless(self.kind == KIND, "kind", || {
            format!("{:?} is not known, expected {KIND}", self.kind)
        });
        self.check_labels(&mut found);
        self.check_taints(&mut found);
        self.check_limits(&mut found);
        self.check_times(&mut found);
        self.check_sources(&mut found);
        self.check_programs(&mut found);
        network::check(self, &mut found);
        security::check(self, &mut found);
        found.0
    }

    fn check_labels(&self, found: &mut Findings) {
        found.unless(self.node_labels.len() <= MAX_LABELS, "nodeLabels", || {
            format!("must be at most {MAX_LABELS} labels")
        });
        for (key, value) in &self.node_labels {
            let field = format!("nodeLabels.{key}");
            found.unless(is_label_key(key), &field, || LABEL_KEY_RULE.to_owned());
            found.unless(is_label_value(value), &field, || LABEL_VALUE_RULE.to_owned());
            let fixed = matches!(
                key.trim_start_matches("beta."),
                "kubernetes.io/os" | "kubernetes.io/arch"
            );
            found.unless(!fixed, &field, || {
                "is what the machine is, and cannot be set".to_owned()
            });
        }
    }

    fn check_taints(&self, found: &mut Findings) {
        let taints = &self.register_with_taints;
        found.unless(taints.len() <= MAX_TAINTS, "registerWithTaints", || {
            format!("must be at most {MAX_TAINTS} taints")
        });
        let mut seen: Vec<(&LabelName, TaintEffect)> = Vec::new();
        for (index, taint) in taints.iter().take(MAX_TAINTS).enumerate() {
            let Taint { key, value, effect } = taint;
            let field = |name: &str| format!("registerWithTaints[{index}].{name}");
            found.unless(is_label_key(key), &field("key"), || LABEL_KEY_RULE.to_owned());
            found.unless(is_label_value(value), &field("value"), || {
                LABEL_VALUE_RULE.to_owned()
            });
            found.unless(!seen.contains(&(key, *effect)), &field("key"), || {
                "taints must be unique by key and effect pair".to_owned()
            });
            seen.push((key, *effect));
        }
    }

    fn check_limits(&self, found: &mut Findings) {
        found.unless(self.max_pods <= MAX_PODS, "maxPods", || {
            format!("must be at most {MAX_PODS}")
        });
        found.unless(self.pods_per_core <= MAX_PODS, "podsPerCore", || {
            format!("must be at most {MAX_PODS}")
        });
        found.unless(self.pod_pids_limit >= -1, "podPidsLimit", || {
            "must be -1 (no limit) or more".to_owned()
        });
        found.unless(
            self.container_log_max_size.bytes() > 0,
            "containerLogMaxSize",
            || "must be greater than 0".to_owned(),
        );
        found.unless(
            (2..=1000).contains(&self.container_log_max_files),
            "containerLogMaxFiles",
            || "must be greater than 1, and at most 1000".to_owned(),
        );
        let listeners = self.metrics_listen.len();
        found.unless(listeners <= MAX_LISTENERS, "metricsListen", || {
            format!("must be at most {MAX_LISTENERS} addresses")
        });
    }

    fn check_times(&self, found: &mut Findings) {
        let (millis, seconds) = (ConfigDuration::from_millis, ConfigDuration::from_secs);
        let times = [
            (
                "cpuCFSQuotaPeriod",
                self.cpu_cfs_quota_period,
                millis(1),
                seconds(1),
            ),
            (
                "crashLoopBackOff.maxContainerRestartPeriod",
                self.crash_loop_back_off.max_container_restart_period,
                seconds(1),
                seconds(300),
            ),
            (
                "fileCheckFrequency",
                self.file_check_frequency,
                seconds(1),
                seconds(86_400),
            ),
            (
                "httpCheckFrequency",
                self.http_check_frequency,
                seconds(1),
                seconds(86_400),
            ),
        ];
        for (field, time, least, most) in times {
            found.unless((least..=most).contains(&time), field, || {
                format!("{time} is out of range, must be {least} to {most}")
            });
        }
    }

    fn check_sources(&self, found: &mut Findings) {
        let paths = [
            ("staticPodPath", &self.static_pod_path),
            ("podLogsDir", &self.pod_logs_dir),
        ];
        for (field, path) in paths {
            let right = path.as_deref().is_none_or(is_absolute);
            found.unless(right, field, || ABSOLUTE_RULE.to_owned());
        }
        if let Some(url) = &self.static_pod_url {
            let web = url.starts_with("http://") || url.starts_with("https://");
            let plain = url.len() <= 2048 && url.bytes().all(|byte| byte.is_ascii_graphic());
            found.unless(web && plain, "staticPodURL", || {
                "must be an http:// or https:// URL of at most 2048 characters".to_owned()
            });
        }
        for (name, values) in &self.static_pod_url_header {
            let field = format!("staticPodURLHeader.{name}");
            found.unless(is_header_name(name), &field, || {
                "is not the name of an HTTP header".to_owned()
            });
            let printable = |value: &String| value.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'));
            found.unless(values.iter().all(printable), &field, || {
                "values must be printable ASCII".to_owned()
            });
        }
    }

    fn check_programs(&self, found: &mut Findings) {
        found.unless((1..=8).contains(&self.oci_runtimes.len()), "ociRuntimes", || {
            "must name 1 to 8 runtimes".to_owned()
        });
        for (index, runtime) in self.oci_runtimes.iter().enumerate() {
            let bare_name = !runtime.is_empty() && !runtime.contains(['/', '\0']);
            found.unless(
                bare_name || is_absolute(runtime),
                &format!("ociRuntimes[{index}]"),
                || "must be a program's name or its absolute path".to_owned(),
            );
        }
        if let Some(path) = &self.shim_path {
            found.unless(is_absolute(path), "shimPath", || ABSOLUTE_RULE.to_owned());
        }
    }
}

#[derive(Default)]
struct Findings(Vec<FieldProblem>);

impl Findings {
    fn unless(&mut self, holds: bool, field: &str, message: impl FnOnce() -> String) {
        if !holds {
            self.0.push(FieldProblem {
                field: field.to_owned(),
                message: message(),
            });
        }
    }
}

const ABSOLUTE_RULE: &str = "must be an absolute path without '..'";
const LABEL_KEY_RULE: &str = "must be [prefix/]name: the name at most 63 alphanumeric characters, '-', '_' or \
    '.', starting and ending with an alphanumeric one; the prefix a DNS subdomain";
const LABEL_VALUE_RULE: &str = "must be empty, or at most 63 alphanumeric characters, '-', '_' or '.', \
    starting and ending with an alphanumeric one";

fn is_absolute(path: &str) -> bool {
    path.starts_with('/') && !path.contains('\0') && path.split('/').all(|part| part != "..")
}

fn is_header_name(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(token)
}

fn is_qualified_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes.iter().copied().all(inner)
        && ends(bytes.first())
        && ends(bytes.last())
}

fn is_label_key(key: &str) -> bool {
    match key.split_once('/') {
        None => is_qualified_name(key),
        // A node's name follows the same rule as a prefix: a DNS subdomain.
        Some((prefix, name)) => pinnace_api::NodeName::new(prefix).is_ok() && is_qualified_name(name),
    }
}

fn is_label_value(value: &str) -> bool {
    value.is_empty() || is_qualified_name(value)
}
