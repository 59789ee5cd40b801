//! `LabelSelector` of meta/v1.

use std::collections::BTreeMap;

use crate::ident::LabelName;

/// Requirements on an object's labels, all of which must hold; none selects everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelSelector {
    /// `matchLabels` as [`LabelOperator::In`] with one value, and `matchExpressions`.
    pub requirements: Vec<LabelRequirement>,
}

/// One requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelRequirement {
    /// The label's key.
    pub key: LabelName,
    /// The comparison, with its values.
    pub operator: LabelOperator,
}

/// Operators of a label selector; their values are checked when the document is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelOperator {
    /// The value is one of these.
    In(Vec<String>),
    /// The value is none of these, or the key is absent.
    NotIn(Vec<String>),
    /// The key is there.
    Exists,
    /// The key is absent.
    DoesNotExist,
}

impl LabelSelector {
    /// Whether these labels meet all requirements.
    pub fn matches(&self, labels: &BTreeMap<LabelName, String>) -> bool {
        self.requirements.iter().all(|requirement| {
            let value = labels.get(&requirement.key);
            match &requirement.operator {
                LabelOperator::In(values) => value.is_some_and(|value| values.contains(value)),
                LabelOperator::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
                LabelOperator::Exists => value.is_some(),
                LabelOperator::DoesNotExist => value.is_none(),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(operator: LabelOperator) -> LabelSelector {
        let key = "app".to_owned();
        LabelSelector {
            requirements: vec![LabelRequirement { key, operator }],
        }
    }

    #[test]
    fn each_operator_as_kubernetes_has_it() {
        let web = BTreeMap::from([("app".to_owned(), "web".to_owned())]);
        let none = BTreeMap::new();
        let values = || vec!["web".to_owned(), "db".to_owned()];
        for (operator, of_web, of_none) in [
            (LabelOperator::In(values()), true, false),
            (LabelOperator::NotIn(values()), false, true),
            (LabelOperator::Exists, true, false),
            (LabelOperator::DoesNotExist, false, true),
        ] {
            assert_eq!(one(operator.clone()).matches(&web), of_web, "{operator:?}");
            assert_eq!(one(operator.clone()).matches(&none), of_none, "{operator:?}");
        }
        assert!(LabelSelector::default().matches(&none));
    }
}
