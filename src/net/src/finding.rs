//! What the host lacks, in words for people.

use std::fmt;

/// Something that stands in the way of pods' network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is missing or wrong, a sentence.
    pub problem: String,
    /// What to do about it, a sentence.
    pub remedy: String,
}

impl Finding {
    /// Both sentences.
    pub fn new(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.problem, self.remedy)
    }
}
