//! Label selectors: checked, and asked whether they match.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use super::{meta, sound};
use crate::label_selector::{self, LabelOperator, LabelRequirement};
use crate::names;
use crate::report::Report;
use crate::tree::Path;

/// Reports what is wrong with a selector; whether nothing is.
pub(super) fn check(selector: &LabelSelector, path: &Path<'_>, report: &mut Report<'_>) -> bool {
    let before = report.count();
    meta::labels(selector.match_labels.as_ref(), &path.field("matchLabels"), report);
    let expressions = path.field("matchExpressions");
    for (index, given) in selector.match_expressions.iter().flatten().enumerate() {
        requirement(given, &expressions.index(index), report);
    }
    report.count() == before
}

fn requirement(given: &LabelSelectorRequirement, path: &Path<'_>, report: &mut Report<'_>) {
    let values = given.values.as_deref().unwrap_or_default();
    let values_path = path.field("values");
    sound(
        &given.key,
        &names::qualified_name(&given.key),
        &path.field("key"),
        report,
    );
    match given.operator.as_str() {
        "In" | "NotIn" => {
            if values.is_empty() {
                report.required(
                    &values_path,
                    "must be specified when `operator` is 'In' or 'NotIn'",
                );
            }
        }
        "Exists" | "DoesNotExist" => {
            if !values.is_empty() {
                let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                report.forbidden(&values_path, detail);
            }
        }
        other => report.invalid(&path.field("operator"), other, "not a valid selector operator"),
    }
    for (index, value) in values.iter().enumerate() {
        sound(
            value,
            &names::label_value(value),
            &values_path.index(index),
            report,
        );
    }
}

/// The selector as the model holds it; `None` where something is wrong with it.
pub(super) fn convert(
    selector: &LabelSelector,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<label_selector::LabelSelector> {
    if !check(selector, path, report) {
        return None;
    }
    let by_label = |(key, value): (&String, &String)| LabelRequirement {
        key: key.clone(),
        operator: LabelOperator::In(vec![value.clone()]),
    };
    let by_expression = |given: &LabelSelectorRequirement| {
        let values = given.values.clone().unwrap_or_default();
        let operator = match given.operator.as_str() {
            "In" => LabelOperator::In(values),
            "NotIn" => LabelOperator::NotIn(values),
            "Exists" => LabelOperator::Exists,
            _ => LabelOperator::DoesNotExist,
        };
        let key = given.key.clone();
        LabelRequirement { key, operator }
    };
    let labels = selector.match_labels.iter().flatten().map(by_label);
    let expressions = selector.match_expressions.iter().flatten().map(by_expression);
    Some(label_selector::LabelSelector {
        requirements: labels.chain(expressions).collect(),
    })
}

/// Whether the selector asks for nothing.
pub(super) fn is_empty(selector: &LabelSelector) -> bool {
    selector.match_labels.as_ref().is_none_or(BTreeMap::is_empty)
        && selector.match_expressions.as_ref().is_none_or(Vec::is_empty)
}

/// Whether a checked selector matches `labels`.
pub(super) fn matches(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let by_labels = selector
        .match_labels
        .iter()
        .flatten()
        .all(|(key, value)| labels.get(key) == Some(value));
    let by_expression = |given: &LabelSelectorRequirement| {
        let value = labels.get(&given.key);
        let listed = value.is_some_and(|value| given.values.iter().flatten().any(|known| known == value));
        match given.operator.as_str() {
            "In" => listed,
            "NotIn" => !listed,
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            _ => false,
        }
    };
    by_labels && selector.match_expressions.iter().flatten().all(by_expression)
}
