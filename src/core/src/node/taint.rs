//! Taints of the node, and which tolerations bear them.

use std::fmt;

use pinnace_api::LabelName;
use pinnace_api::pod::{TaintEffect, Toleration};

/// A taint of this node, as in `spec.taints` of core/v1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Taint {
    /// A label's key.
    pub key: LabelName,
    /// A label's value, often empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// What it does to pods that do not tolerate it.
    pub effect: TaintEffect,
}

impl Taint {
    /// A taint without a value.
    pub fn new(key: impl Into<LabelName>, effect: TaintEffect) -> Self {
        Self {
            key: key.into(),
            value: String::new(),
            effect,
        }
    }

    /// Whether this toleration bears this taint, whatever its `tolerationSeconds`.
    pub fn is_borne_by(&self, toleration: &Toleration) -> bool {
        let effect = toleration.effect.is_none_or(|effect| effect == self.effect);
        let key = toleration.key.as_ref().is_none_or(|key| *key == self.key);
        let value = toleration.value.as_ref().is_none_or(|value| *value == self.value);
        effect && key && value
    }

    /// The first of these tolerations that bears this taint.
    pub fn toleration<'t>(&self, tolerations: &'t [Toleration]) -> Option<&'t Toleration> {
        tolerations.iter().find(|toleration| self.is_borne_by(toleration))
    }
}

impl fmt::Display for Taint {
    /// `key=value:Effect`, as `kubectl describe node` prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if !self.value.is_empty() {
            write!(f, "={}", self.value)?;
        }
        write!(f, ":{}", self.effect.as_str())
    }
}
