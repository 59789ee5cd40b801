//! A DaemonSet.

use k8s_openapi::api::apps::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{filled, meta, pod, selector};
use crate::canonical;
use crate::daemonset::{DaemonSet, UpdateStrategy};
use crate::document::Document;
use crate::pod::RestartPolicy;
use crate::report::Report;
use crate::tree::{Node, Path};

const PERCENT: &str = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or \
    '93%', regex used for validation is '[0-9]+%')";

/// A DaemonSet of a manifest; `root` is the tree that it was read from.
pub(crate) fn daemon_set(
    set: &v1::DaemonSet,
    root: &Node,
    document: Document,
    report: &mut Report<'_>,
) -> Option<DaemonSet> {
    let root_path = Path::Root;
    let spec_path = root_path.field("spec");
    let template_path = spec_path.field("template");
    let template_meta_path = template_path.field("metadata");
    let meta = meta::metadata(&set.metadata, &root_path.field("metadata"), report);
    let spec = &set.spec;
    let no_meta = ObjectMeta::default();
    let template_meta = spec.template.metadata.as_ref().unwrap_or(&no_meta);
    let labels_path = template_meta_path.field("labels");
    let template_labels = meta::labels(template_meta.labels.as_ref(), &labels_path, report);
    let annotations_path = template_meta_path.field("annotations");
    let template_annotations =
        meta::annotations(template_meta.annotations.as_ref(), &annotations_path, report);
    check_selector(&spec.selector, template_meta, &spec_path, report);
    let template_spec = pod::spec(spec.template.spec.as_ref(), &template_path.field("spec"), report);
    if let Some(template_spec) = &template_spec
        && template_spec.restart_policy != RestartPolicy::Always
    {
        let path = template_path.field("spec");
        let given = spec
            .template
            .spec
            .as_ref()
            .and_then(|spec| filled(&spec.restart_policy));
        report.unsupported(
            &path.field("restartPolicy"),
            given.unwrap_or_default(),
            &["Always"],
        );
    }
    if template_spec
        .as_ref()
        .is_some_and(|spec| spec.active_deadline_seconds.is_some())
    {
        let path = template_path.field("spec");
        let why = "activeDeadlineSeconds in DaemonSet is not Supported";
        report.forbidden(&path.field("activeDeadlineSeconds"), why);
    }
    let update_strategy = update_strategy(
        spec.update_strategy.as_ref(),
        &spec_path.field("updateStrategy"),
        report,
    );
    let template = root.get("spec").and_then(|spec| spec.get("template"));
    let template = template.map_or(serde_json::Value::Null, Node::to_json);
    Some(DaemonSet {
        meta: meta?,
        template_labels,
        template_annotations,
        template_spec: template_spec?,
        template_document: canonical::of_template(template),
        update_strategy: update_strategy?,
        document,
    })
}

/// The selector must ask for something, and for what the template's labels have.
fn check_selector(
    selector: &LabelSelector,
    template: &ObjectMeta,
    spec_path: &Path<'_>,
    report: &mut Report<'_>,
) {
    let path = spec_path.field("selector");
    if report.has_wrong_beneath(&path) {
        return;
    }
    if !report.has_field(&path) {
        report.required(&path, "");
        return;
    }
    if selector::is_empty(selector) {
        report.invalid_value(&path, "{}", "empty selector is invalid for daemonset");
        return;
    }
    let template_path = spec_path.field("template");
    let meta_path = template_path.field("metadata");
    let labels_path = meta_path.field("labels");
    let sound = selector::check(selector, &path, report) && !report.has_wrong_beneath(&labels_path);
    let labels = template.labels.clone().unwrap_or_default();
    if sound && !selector::matches(selector, &labels) {
        let shown = serde_json::Value::from_iter(labels).to_string();
        report.invalid_value(&labels_path, shown, "`selector` does not match template `labels`");
    }
}

fn update_strategy(
    given: Option<&v1::DaemonSetUpdateStrategy>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<UpdateStrategy> {
    let Some(given) = given else {
        return Some(UpdateStrategy::RollingUpdate);
    };
    if let Some(rolling) = &given.rolling_update {
        max_unavailable(rolling, &path.field("rollingUpdate"), report);
    }
    match filled(&given.type_) {
        None | Some("RollingUpdate") => Some(UpdateStrategy::RollingUpdate),
        Some("OnDelete") => Some(UpdateStrategy::OnDelete),
        Some(other) => {
            report.unsupported(&path.field("type"), other, &["OnDelete", "RollingUpdate"]);
            None
        }
    }
}

/// A number or percentage, above zero where there is no surge: the old pod must be allowed to go.
fn max_unavailable(given: &v1::RollingUpdateDaemonSet, path: &Path<'_>, report: &mut Report<'_>) {
    let Some(unavailable) = &given.max_unavailable else {
        return;
    };
    let path = path.field("maxUnavailable");
    match unavailable {
        IntOrString::Int(number) if *number < 0 => {
            report.invalid_value(&path, number, "must be greater than or equal to 0");
        }
        IntOrString::String(text) if !is_percent(text) => report.invalid(&path, text, PERCENT),
        _ => {
            if is_zero(unavailable) && given.max_surge.as_ref().is_none_or(is_zero) {
                report.error(&path, "Invalid value: 0: cannot be 0 when maxSurge is 0");
            }
        }
    }
}

fn is_percent(text: &str) -> bool {
    let digits = text.strip_suffix('%').unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_zero(amount: &IntOrString) -> bool {
    match amount {
        IntOrString::Int(number) => *number == 0,
        IntOrString::String(text) => is_percent(text) && text.bytes().all(|byte| b"0%".contains(&byte)),
    }
}
