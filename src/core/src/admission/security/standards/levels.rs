//! Which level holds where: the node's defaults, and the labels of namespaces over them.

use std::collections::BTreeMap;

const ENFORCE: &str = "pod-security.kubernetes.io/enforce";
const WARN: &str = "pod-security.kubernetes.io/warn";
const VERSIONS: [&str; 2] = [
    "pod-security.kubernetes.io/enforce-version",
    "pod-security.kubernetes.io/warn-version",
];

/// A level of the standards; each forbids more than the one before.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing is forbidden.
    #[default]
    Privileged,
    /// What is known to lead out of a container is.
    Baseline,
    /// All that a container does not need is.
    Restricted,
}

impl Level {
    /// Kubernetes' word.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Privileged => "privileged",
            Level::Baseline => "baseline",
            Level::Restricted => "restricted",
        }
    }

    fn read(text: &str) -> Option<Self> {
        [Level::Privileged, Level::Baseline, Level::Restricted]
            .into_iter()
            .find(|level| level.as_str() == text)
    }
}

/// What is refused, and what only warned of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Levels {
    /// Pods beyond this level are refused.
    pub enforce: Level,
    /// Pods beyond this level are warned of.
    pub warn: Level,
}

impl Levels {
    /// A namespace's labels over the defaults, and what is wrong with them. A level that cannot be read is
    /// taken for the strictest where it is enforced, and for none where it is only warned of.
    pub fn with_labels(self, labels: &BTreeMap<String, String>) -> (Self, Vec<String>) {
        let mut wrong = Vec::new();
        let mut read = |label: &str, otherwise: Level| {
            let text = labels.get(label)?;
            let level = Level::read(text);
            if level.is_none() {
                let expected = "must be one of privileged, baseline, restricted";
                wrong.push(format!(
                    "namespace label {label}: Invalid value: {text:?}: {expected}"
                ));
            }
            Some((level.unwrap_or(otherwise), level.is_some()))
        };
        let enforce = read(ENFORCE, Level::Restricted);
        let warn = read(WARN, Level::Privileged);
        for label in VERSIONS {
            if let Some(version) = labels.get(label).filter(|version| *version != "latest") {
                wrong.push(format!(
                    "namespace label {label}: {version:?} is taken for \"latest\""
                ));
            }
        }
        let mut levels = self;
        if let Some((level, _)) = enforce {
            levels.enforce = level;
        }
        match (warn, enforce) {
            (Some((level, _)), _) => levels.warn = level,
            // Whoever asks for more than is warned of wants to be warned as well.
            (None, Some((level, true))) => levels.warn = levels.warn.max(level),
            (None, _) => {}
        }
        (levels, wrong)
    }
}
