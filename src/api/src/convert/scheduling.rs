//! Where a pod may run: node affinity and tolerations.

use k8s_openapi::api::core::v1;

use super::{filled, sound};
use crate::names;
use crate::pod::{NodeSelectorOperator, NodeSelectorRequirement, NodeSelectorTerm, TaintEffect, Toleration};
use crate::report::Report;
use crate::tree::Path;

const NO_OPERATOR: &str = "not a valid selector operator";

/// The required node affinity's terms; `None` where every node is allowed.
pub(super) fn required_affinity(
    affinity: Option<&v1::Affinity>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<Vec<NodeSelectorTerm>> {
    let node = affinity?.node_affinity.as_ref()?;
    let selector = node
        .required_during_scheduling_ignored_during_execution
        .as_ref()?;
    let node_path = path.field("nodeAffinity");
    let required_path = node_path.field("requiredDuringSchedulingIgnoredDuringExecution");
    let path = required_path.field("nodeSelectorTerms");
    if selector.node_selector_terms.is_empty() {
        report.required(&path, "must have at least one node selector term");
    }
    let term = |(index, term): (usize, &v1::NodeSelectorTerm)| term_of(term, &path.index(index), report);
    Some(
        selector
            .node_selector_terms
            .iter()
            .enumerate()
            .map(term)
            .collect(),
    )
}

fn term_of(term: &v1::NodeSelectorTerm, path: &Path<'_>, report: &mut Report<'_>) -> NodeSelectorTerm {
    let mut converted = NodeSelectorTerm::default();
    let expressions_path = path.field("matchExpressions");
    for (index, given) in term.match_expressions.iter().flatten().enumerate() {
        let path = expressions_path.index(index);
        sound(
            &given.key,
            &names::qualified_name(&given.key),
            &path.field("key"),
            report,
        );
        if let Some(operator) = label_operator(given, &path, report) {
            converted.match_expressions.push(NodeSelectorRequirement {
                key: given.key.clone(),
                operator,
            });
        }
    }
    let fields_path = path.field("matchFields");
    for (index, given) in term.match_fields.iter().flatten().enumerate() {
        let path = fields_path.index(index);
        if given.key != "metadata.name" {
            report.invalid(&path.field("key"), &given.key, "not a valid field selector key");
        }
        if let Some(operator) = field_operator(given, &path, report) {
            converted.match_fields.push(NodeSelectorRequirement {
                key: given.key.clone(),
                operator,
            });
        }
    }
    converted
}

fn label_operator(
    given: &v1::NodeSelectorRequirement,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<NodeSelectorOperator> {
    let values = given.values.clone().unwrap_or_default();
    let values_path = path.field("values");
    match given.operator.as_str() {
        "In" | "NotIn" if values.is_empty() => {
            report.required(
                &values_path,
                "must be specified when `operator` is 'In' or 'NotIn'",
            );
            None
        }
        "In" => Some(NodeSelectorOperator::In(values)),
        "NotIn" => Some(NodeSelectorOperator::NotIn(values)),
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            report.forbidden(
                &values_path,
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            );
            None
        }
        "Exists" => Some(NodeSelectorOperator::Exists),
        "DoesNotExist" => Some(NodeSelectorOperator::DoesNotExist),
        "Gt" => bound(&values, &values_path, report).map(NodeSelectorOperator::Gt),
        "Lt" => bound(&values, &values_path, report).map(NodeSelectorOperator::Lt),
        other => {
            report.invalid(&path.field("operator"), other, NO_OPERATOR);
            None
        }
    }
}

fn bound(values: &[String], path: &Path<'_>, report: &mut Report<'_>) -> Option<i64> {
    let [value] = values else {
        report.required(
            path,
            "must be specified single value when `operator` is 'Lt' or 'Gt'",
        );
        return None;
    };
    let number = value.parse().ok();
    if number.is_none() {
        report.invalid(
            &path.index(0),
            value,
            "for 'Gt', 'Lt' operators, the value must be an integer",
        );
    }
    number
}

fn field_operator(
    given: &v1::NodeSelectorRequirement,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<NodeSelectorOperator> {
    let values = given.values.clone().unwrap_or_default();
    match given.operator.as_str() {
        "In" | "NotIn" if values.len() != 1 => {
            let detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
            report.required(&path.field("values"), detail);
            None
        }
        "In" => Some(NodeSelectorOperator::In(values)),
        "NotIn" => Some(NodeSelectorOperator::NotIn(values)),
        other => {
            report.invalid(&path.field("operator"), other, NO_OPERATOR);
            None
        }
    }
}

/// All tolerations of a pod.
pub(super) fn tolerations(
    given: Option<&[v1::Toleration]>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Vec<Toleration> {
    let one = |(index, given): (usize, &v1::Toleration)| toleration(given, &path.index(index), report);
    given
        .unwrap_or_default()
        .iter()
        .enumerate()
        .filter_map(one)
        .collect()
}

fn toleration(given: &v1::Toleration, path: &Path<'_>, report: &mut Report<'_>) -> Option<Toleration> {
    let key = filled(&given.key);
    let value = given.value.clone().unwrap_or_default();
    let operator_path = path.field("operator");
    let operator = filled(&given.operator);
    if let Some(key) = key {
        sound(key, &names::qualified_name(key), &path.field("key"), report);
    } else if operator != Some("Exists") {
        let detail =
            "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
        report.invalid(&operator_path, operator.unwrap_or_default(), detail);
    }
    let value = match operator {
        None | Some("Equal") => {
            sound(&value, &names::label_value(&value), &path.field("value"), report);
            Some(value)
        }
        Some("Exists") => {
            if !value.is_empty() {
                report.invalid(
                    &path.field("value"),
                    &value,
                    "value must be empty when `operator` is 'Exists'",
                );
            }
            None
        }
        Some(other) => {
            report.unsupported(&operator_path, other, &["Equal", "Exists"]);
            return None;
        }
    };
    let effect = match filled(&given.effect) {
        None => None,
        Some("NoSchedule") => Some(TaintEffect::NoSchedule),
        Some("PreferNoSchedule") => Some(TaintEffect::PreferNoSchedule),
        Some("NoExecute") => Some(TaintEffect::NoExecute),
        Some(other) => {
            let effects = ["NoExecute", "NoSchedule", "PreferNoSchedule"];
            report.unsupported(&path.field("effect"), other, &effects);
            return None;
        }
    };
    if given.toleration_seconds.is_some() && effect != Some(TaintEffect::NoExecute) {
        let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
        report.invalid(
            &path.field("effect"),
            filled(&given.effect).unwrap_or_default(),
            detail,
        );
    }
    Some(Toleration {
        key: key.map(str::to_owned),
        value,
        effect,
        toleration_seconds: given.toleration_seconds,
    })
}
