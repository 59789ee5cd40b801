//! What is wrong with a document, said so that a person can mend it.

use std::fmt;

/// How much a problem weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Severity {
    /// The object is noted, but has no effect here.
    Note,
    /// The object runs; a field of it has no effect here.
    Warning,
    /// The object is not taken.
    Error,
}

/// One finding about a document.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Problem {
    /// How much it weighs.
    pub severity: Severity,
    /// The file (or URL) the document came from.
    pub file: String,
    /// Line in the file, from 1; absent where the text has no position (a file that cannot be read).
    pub line: Option<u32>,
    /// `Kind namespace/name` where that much could be read.
    pub object: Option<String>,
    /// The field's path in Kubernetes' notation, `spec.containers[0].image`.
    pub field: Option<String>,
    /// What is wrong and what is expected.
    pub message: String,
}

impl fmt::Display for Problem {
    /// `file:line: object: field: message`, leaving out what is not known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        for part in [&self.object, &self.field].into_iter().flatten() {
            write!(f, ": {part}")?;
        }
        write!(f, ": {}", self.message)
    }
}
