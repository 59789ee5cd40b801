//! nodeSelector and required node affinity.

use std::collections::BTreeSet;

use pinnace_api::pod::{NodeSelectorOperator, NodeSelectorRequirement, NodeSelectorTerm, PodSpec};

use crate::node::Node;

/// The only field of a node that `matchFields` knows.
const NAME_FIELD: &str = "metadata.name";

/// Whether the node has what nodeSelector and required affinity ask for; both must agree.
pub fn matches_node(spec: &PodSpec, node: &Node) -> bool {
    let selected = spec
        .node_selector
        .iter()
        .all(|(key, value)| node.labels.get(key) == Some(value));
    let wanted = match &spec.required_node_affinity {
        None => true,
        Some(terms) => terms.iter().any(|term| term_matches(term, node)),
    };
    selected && wanted
}

/// The nodes that required affinity allows by name, asked before any node is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    /// Some term says nothing about names.
    Any,
    /// Every term wants names that exclude each other.
    Conflict,
    /// These only.
    Only(BTreeSet<String>),
}

pub(super) fn named(spec: &PodSpec) -> Named {
    let mut names = BTreeSet::new();
    let terms = spec.required_node_affinity.as_deref().unwrap_or_default();
    for term in terms {
        match names_of(term) {
            None => return Named::Any,
            Some(of_term) => names.extend(of_term),
        }
    }
    match (terms.is_empty(), names.is_empty()) {
        (true, _) => Named::Any,
        (false, true) => Named::Conflict,
        (false, false) => Named::Only(names),
    }
}

/// The names that one term allows; `None` where it asks for none.
fn names_of(term: &NodeSelectorTerm) -> Option<BTreeSet<String>> {
    let lists = term
        .match_fields
        .iter()
        .filter_map(|field| match &field.operator {
            NodeSelectorOperator::In(values) if field.key == NAME_FIELD => {
                Some(values.iter().cloned().collect::<BTreeSet<_>>())
            }
            _ => None,
        });
    lists.reduce(|left, right| &left & &right)
}

fn term_matches(term: &NodeSelectorTerm, node: &Node) -> bool {
    if term.match_expressions.is_empty() && term.match_fields.is_empty() {
        return false;
    }
    let labels = term
        .match_expressions
        .iter()
        .all(|requirement| holds(requirement, node.labels.get(&requirement.key).map(String::as_str)));
    let fields = term.match_fields.iter().all(|requirement| {
        let field = (requirement.key == NAME_FIELD).then_some(node.name.as_str());
        holds(requirement, field)
    });
    labels && fields
}

fn holds(requirement: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let number = || value.and_then(|value| value.parse::<i64>().ok());
    match &requirement.operator {
        NodeSelectorOperator::In(values) => value.is_some_and(|value| values.iter().any(|one| one == value)),
        NodeSelectorOperator::NotIn(values) => {
            value.is_none_or(|value| values.iter().all(|one| one != value))
        }
        NodeSelectorOperator::Exists => value.is_some(),
        NodeSelectorOperator::DoesNotExist => value.is_none(),
        NodeSelectorOperator::Gt(bound) => number().is_some_and(|number| number > *bound),
        NodeSelectorOperator::Lt(bound) => number().is_some_and(|number| number < *bound),
    }
}
