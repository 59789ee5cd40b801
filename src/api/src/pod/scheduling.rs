//! Which nodes a pod asks for, and which taints it bears.

use crate::ident::LabelName;

/// Terms are or-ed, the requirements within one and-ed; a term without any matches nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeSelectorTerm {
    /// Requirements on the node's labels.
    pub match_expressions: Vec<NodeSelectorRequirement>,
    /// Requirements on the node's fields; only `metadata.name` exists.
    pub match_fields: Vec<NodeSelectorRequirement>,
}

/// One requirement of a term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSelectorRequirement {
    /// A label's key, or `metadata.name` for a field.
    pub key: LabelName,
    /// The comparison, with its values.
    pub operator: NodeSelectorOperator,
}

/// Operators of a requirement; their values are checked when the document is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeSelectorOperator {
    /// The value is one of these.
    In(Vec<String>),
    /// The value is none of these, or the key is absent.
    NotIn(Vec<String>),
    /// The key is there.
    Exists,
    /// The key is absent.
    DoesNotExist,
    /// The value is an integer above this one.
    Gt(i64),
    /// The value is an integer below this one.
    Lt(i64),
}

/// A taint that the pod bears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toleration {
    /// `None` (with `Exists`) matches every key.
    pub key: Option<LabelName>,
    /// `Some(value)` for `Equal`, `None` for `Exists`.
    pub value: Option<String>,
    /// `None` matches every effect.
    pub effect: Option<TaintEffect>,
    /// How long a NoExecute taint is borne; `None` for ever; zero or less: not at all.
    pub toleration_seconds: Option<i64>,
}

/// What a taint does to pods that do not tolerate it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum TaintEffect {
    /// No new pod.
    NoSchedule,
    /// Weighs nothing on one node.
    PreferNoSchedule,
    /// No new pod, and running ones go.
    NoExecute,
}

impl TaintEffect {
    /// The word that manifests use.
    pub fn as_str(self) -> &'static str {
        match self {
            TaintEffect::NoSchedule => "NoSchedule",
            TaintEffect::PreferNoSchedule => "PreferNoSchedule",
            TaintEffect::NoExecute => "NoExecute",
        }
    }
}
