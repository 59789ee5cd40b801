//! Required node affinity: operators, terms, names.

use pinnace_api::pod::{NodeSelectorOperator, NodeSelectorRequirement, NodeSelectorTerm};
use serde_json::json;

use super::*;

fn requirement(key: &str, operator: NodeSelectorOperator) -> NodeSelectorRequirement {
    NodeSelectorRequirement {
        key: key.to_owned(),
        operator,
    }
}

fn on_labels(requirements: Vec<NodeSelectorRequirement>) -> NodeSelectorTerm {
    NodeSelectorTerm {
        match_expressions: requirements,
        match_fields: Vec::new(),
    }
}

fn on_name(operator: NodeSelectorOperator) -> NodeSelectorTerm {
    NodeSelectorTerm {
        match_expressions: Vec::new(),
        match_fields: vec![requirement("metadata.name", operator)],
    }
}

fn wanting(terms: Option<Vec<NodeSelectorTerm>>) -> Pod {
    let mut pod = pod("web");
    pod.spec.required_node_affinity = terms;
    pod
}

fn strings(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

#[test]
fn every_operator_compares_as_kubernetes_does() {
    use NodeSelectorOperator::{DoesNotExist, Exists, Gt, In, Lt, NotIn};
    let node = node(json!({"nodeLabels": {"zone": "a", "cores": "8", "word": "eight"}}));
    for (key, operator, matches) in [
        ("zone", In(strings(&["a", "b"])), true),
        ("zone", In(strings(&["b"])), false),
        ("absent", In(strings(&["a"])), false),
        ("zone", NotIn(strings(&["b"])), true),
        ("zone", NotIn(strings(&["a"])), false),
        ("absent", NotIn(strings(&["a"])), true),
        ("zone", Exists, true),
        ("absent", Exists, false),
        ("zone", DoesNotExist, false),
        ("absent", DoesNotExist, true),
        ("cores", Gt(7), true),
        ("cores", Gt(8), false),
        ("cores", Lt(9), true),
        ("cores", Lt(8), false),
        ("word", Gt(0), false),
        ("absent", Lt(9), false),
    ] {
        let pod = wanting(Some(vec![on_labels(vec![requirement(key, operator.clone())])]));
        assert_eq!(matches_node(&pod.spec, &node), matches, "{key} {operator:?}");
    }
}

#[test]
fn terms_are_ored_requirements_anded_and_an_empty_term_matches_nothing() {
    use NodeSelectorOperator::{DoesNotExist, Exists};
    let node = node(json!({"nodeLabels": {"zone": "a"}}));
    let yes = || requirement("zone", Exists);
    let no = || requirement("zone", DoesNotExist);
    for (terms, matches) in [
        (None, true),
        (Some(vec![]), false),
        (Some(vec![NodeSelectorTerm::default()]), false),
        (Some(vec![on_labels(vec![yes(), no()])]), false),
        (Some(vec![on_labels(vec![no()]), on_labels(vec![yes()])]), true),
        (
            Some(vec![NodeSelectorTerm::default(), on_labels(vec![yes()])]),
            true,
        ),
    ] {
        let pod = wanting(terms);
        assert_eq!(matches_node(&pod.spec, &node), matches, "{pod:?}");
    }
}

#[test]
fn affinity_by_name_has_the_schedulers_own_words() {
    use NodeSelectorOperator::{In, NotIn};
    let node = node(json!({}));
    let here = wanting(Some(vec![on_name(In(strings(&["edge", "other"])))]));
    assert_eq!(admit(&here, &node, &[]).label(), "admitted");
    let elsewhere = wanting(Some(vec![on_name(In(strings(&["other"])))]));
    let (message, details) = waiting(admit(&elsewhere, &node, &[]));
    assert!(
        message.starts_with("0/1 nodes are available: 1 node(s) didn't satisfy plugin(s) [NodeAffinity]."),
        "{message}"
    );
    assert_eq!(details[0], "node affinity: allows other only, this node is edge");
    let not_here = wanting(Some(vec![on_name(NotIn(strings(&["edge"])))]));
    let (message, _) = waiting(admit(&not_here, &node, &[]));
    assert!(
        message.contains("didn't match Pod's node affinity/selector"),
        "{message}"
    );
    let mut torn = on_name(In(strings(&["edge"])));
    torn.match_fields
        .push(requirement("metadata.name", In(strings(&["other"]))));
    let (message, _) = waiting(admit(&wanting(Some(vec![torn])), &node, &[]));
    assert_eq!(
        message,
        "0/1 nodes are available: pod affinity terms conflict. preemption: 0/1 nodes are available: \
         1 Preemption is not helpful for scheduling."
    );
}
