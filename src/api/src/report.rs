//! Problems of one document, in Kubernetes' words, each with its field and line.
//!
//! A field that was found wrong once is not reported again for what follows from that, and the number of
//! findings is bounded.

use std::collections::HashSet;
use std::fmt::Display;

use crate::problem::{Problem, Severity};
use crate::tree::{Node, Path, Value};

/// Findings kept of one document.
const MOST_FINDINGS: usize = 100;

/// Characters of a value that a message shows.
const MOST_QUOTED: usize = 120;

/// Collects what is found about the document `root`.
pub(crate) struct Report<'d> {
    root: &'d Node,
    file: &'d str,
    object: Option<String>,
    problems: Vec<Problem>,
    wrong: HashSet<String>,
    hides_values: bool,
}

impl<'d> Report<'d> {
    pub(crate) fn new(root: &'d Node, file: &'d str) -> Self {
        Self {
            root,
            file,
            object: None,
            problems: Vec::new(),
            wrong: HashSet::new(),
            hides_values: false,
        }
    }

    /// Names the object that all findings are about.
    pub(crate) fn set_object(&mut self, object: String) {
        for problem in &mut self.problems {
            problem.object = Some(object.clone());
        }
        self.object = Some(object);
    }

    /// From here on, no finding shows what the document holds: it is a Secret's.
    pub(crate) fn hide_values(&mut self) {
        self.hides_values = true;
    }

    /// Whether findings may not show what the document holds.
    pub(crate) fn hides_values(&self) -> bool {
        self.hides_values
    }

    /// How many findings there are.
    pub(crate) fn count(&self) -> usize {
        self.problems.len()
    }

    /// Whether an error was reported about the field itself.
    pub(crate) fn is_wrong(&self, path: &Path<'_>) -> bool {
        self.wrong.contains(&path.to_string())
    }

    /// Whether an error was reported about the field, or something in it.
    pub(crate) fn has_wrong_beneath(&self, path: &Path<'_>) -> bool {
        let path = path.to_string();
        self.wrong.iter().any(|wrong| {
            wrong
                .strip_prefix(&path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    /// Whether an error was reported about the field, or something that it is in.
    fn has_wrong_above(&self, path: &Path<'_>) -> bool {
        let mut path = *path;
        loop {
            if self.is_wrong(&path) {
                return true;
            }
            path = match path {
                Path::Root => return false,
                Path::Field(parent, _) | Path::Index(parent, _) | Path::Key(parent, _) => *parent,
            };
        }
    }

    /// Whether the document has the field.
    pub(crate) fn has_field(&self, path: &Path<'_>) -> bool {
        self.root.at(path).is_some_and(|node| node.value != Value::Null)
    }

    /// Whether anything was found that the object cannot be taken with.
    pub(crate) fn has_errors(&self) -> bool {
        self.problems
            .iter()
            .any(|problem| problem.severity == Severity::Error)
    }

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// A finding about a field.
    pub(crate) fn add(&mut self, severity: Severity, path: &Path<'_>, message: String) {
        let field = path.to_string();
        let line = self.root.line_of(path);
        self.add_at(severity, line, (!field.is_empty()).then_some(field), message);
    }

    /// A finding whose line is known already.
    pub(crate) fn add_at(&mut self, severity: Severity, line: u32, field: Option<String>, message: String) {
        if self.problems.len() >= MOST_FINDINGS {
            return;
        }
        if severity == Severity::Error
            && let Some(field) = &field
        {
            self.wrong.insert(field.clone());
        }
        let problem = Problem {
            severity,
            file: self.file.to_owned(),
            line: Some(line),
            object: self.object.clone(),
            field,
            message,
        };
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    pub(crate) fn error(&mut self, path: &Path<'_>, message: impl Into<String>) {
        self.add(Severity::Error, path, message.into());
    }

    pub(crate) fn warn(&mut self, path: &Path<'_>, message: impl Into<String>) {
        self.add(Severity::Warning, path, message.into());
    }

    /// A value that is not there, unless it was there and is reported as wrong already.
    pub(crate) fn required(&mut self, path: &Path<'_>, detail: &str) {
        if self.has_wrong_above(path) {
            return;
        }
        let colon = if detail.is_empty() { "" } else { ": " };
        self.error(path, format!("Required value{colon}{detail}"));
    }

    /// A malformed text.
    pub(crate) fn invalid(&mut self, path: &Path<'_>, value: &str, detail: impl Display) {
        self.error(path, format!("Invalid value: {}: {detail}", quote(value)));
    }

    /// A malformed number or other value that is shown as it is.
    pub(crate) fn invalid_value(&mut self, path: &Path<'_>, value: impl Display, detail: impl Display) {
        self.error(path, format!("Invalid value: {value}: {detail}"));
    }

    /// A word that is none of those that there are.
    pub(crate) fn unsupported(&mut self, path: &Path<'_>, value: &str, supported: &[&str]) {
        let supported: Vec<String> = supported.iter().map(|word| format!("{word:?}")).collect();
        let supported = supported.join(", ");
        self.error(
            path,
            format!(
                "Unsupported value: {}: supported values: {supported}",
                quote(value)
            ),
        );
    }

    pub(crate) fn duplicate(&mut self, path: &Path<'_>, value: &str) {
        self.error(path, format!("Duplicate value: {}", quote(value)));
    }

    pub(crate) fn not_found(&mut self, path: &Path<'_>, value: &str) {
        self.error(path, format!("Not found: {}", quote(value)));
    }

    /// More items than a list may have.
    pub(crate) fn too_many(&mut self, path: &Path<'_>, count: usize, most: usize) {
        self.error(path, format!("Too many: {count}: must have at most {most} items"));
    }

    /// More bytes than a text or object may have.
    pub(crate) fn too_long(&mut self, path: &Path<'_>, most: usize) {
        self.error(path, format!("Too long: may not be more than {most} bytes"));
    }

    pub(crate) fn forbidden(&mut self, path: &Path<'_>, detail: &str) {
        self.error(path, format!("Forbidden: {detail}"));
    }

    /// What Kubernetes knows and this node does not do.
    pub(crate) fn not_yet(&mut self, path: &Path<'_>, what: &str) {
        self.error(path, format!("{what} is not supported yet"));
    }
}

/// A text in quotation marks, cut where it is long.
pub(crate) fn quote(text: &str) -> String {
    match text.char_indices().nth(MOST_QUOTED) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}", format!("{}…", &text[..end])),
    }
}
