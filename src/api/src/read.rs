//! A manifest file's text to objects and problems.

use std::collections::BTreeSet;

use crate::document::{Document, Object, ObjectKey};
use crate::kinds::{self, Refusal, Treatment};
use crate::object::object;
use crate::problem::{Problem, Severity};
use crate::report::Report;
use crate::tree::{Entry, Node, Path, Value};
use crate::yaml::{Documents, RawDocument, TreeLimits};

/// How much one file may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// Bytes of the text.
    pub file_bytes: usize,
    /// Documents, items of lists included; what comes after is not read.
    pub documents: usize,
    /// Levels of maps and lists in a document.
    pub depth: usize,
    /// Bytes of memory that one document may take, its aliases followed.
    pub document_bytes: usize,
    /// Bytes of memory that all documents may take so.
    pub memory_bytes: usize,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self {
            file_bytes: 3 << 20,
            documents: 1000,
            depth: 100,
            document_bytes: 16 << 20,
            memory_bytes: 64 << 20,
        }
    }
}

/// What a file turned out to hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reading {
    /// The objects that can be taken, in the file's order.
    pub objects: Vec<Located>,
    /// All findings, by line.
    pub problems: Vec<Problem>,
}

/// An object and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The object.
    pub object: Object,
    /// The line that its document (or list item) begins on.
    pub line: u32,
}

impl Reading {
    /// Whether the file holds anything that could not be taken.
    pub fn has_errors(&self) -> bool {
        self.problems
            .iter()
            .any(|problem| problem.severity == Severity::Error)
    }
}

/// Reads all documents of a file (YAML or JSON); `file` names it in the problems.
///
/// A document that cannot be taken is reported and costs only itself.
pub fn read_documents(text: &[u8], file: &str, limits: &ReadLimits) -> Reading {
    let mut reader = Reader {
        file,
        limits,
        reading: Reading::default(),
        documents: 0,
        seen: BTreeSet::new(),
    };
    match decode(text, limits) {
        Ok(text) => reader.file(text),
        Err((line, message)) => reader.problem(line, message),
    }
    let mut reading = reader.reading;
    reading.problems.sort_by_key(|problem| problem.line);
    reading
}

/// Reads an object again from its recorded document; `file` names it in the problems.
pub(crate) fn read_document(document: &Document, file: &str) -> Result<Object, Vec<Problem>> {
    let root = match serde_json::from_str(document.as_json()) {
        Ok(json) => Node::from_json(json),
        Err(error) => {
            return Err(vec![file_problem(
                file,
                None,
                format!("error parsing JSON: {error}"),
            )]);
        }
    };
    let mut report = Report::new(&root, file);
    match object(&root, &mut report) {
        Some(object) => Ok(object),
        None => Err(report.into_problems()),
    }
}

/// The text of a file, within its bounds.
fn decode<'t>(text: &'t [u8], limits: &ReadLimits) -> Result<&'t str, (Option<u32>, String)> {
    if text.len() > limits.file_bytes {
        let message = format!(
            "file is too large: {} bytes, and at most {} are read",
            text.len(),
            limits.file_bytes
        );
        return Err((None, message));
    }
    std::str::from_utf8(text).map_err(|error| {
        let before = &text[..error.valid_up_to()];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        (u32::try_from(line).ok(), "file is not valid UTF-8".to_owned())
    })
}

fn file_problem(file: &str, line: Option<u32>, message: String) -> Problem {
    Problem {
        severity: Severity::Error,
        file: file.to_owned(),
        line,
        object: None,
        field: None,
        message,
    }
}

/// Reads one file.
struct Reader<'f> {
    file: &'f str,
    limits: &'f ReadLimits,
    reading: Reading,
    documents: usize,
    /// Identities that the file defined so far.
    seen: BTreeSet<ObjectKey>,
}

impl Reader<'_> {
    fn problem(&mut self, line: Option<u32>, message: String) {
        self.reading.problems.push(file_problem(self.file, line, message));
    }

    fn file(&mut self, text: &str) {
        let limits = self.limits;
        let tree_limits = TreeLimits {
            depth: limits.depth,
            document_bytes: limits.document_bytes,
            bytes: limits.memory_bytes,
        };
        for document in Documents::new(text, tree_limits) {
            let is_empty = document
                .root
                .as_ref()
                .is_some_and(|root| root.value == Value::Null);
            if is_empty && document.faults.is_empty() {
                continue;
            }
            if !self.admits(document.line) {
                return;
            }
            self.document(&document);
        }
    }

    /// Counts a document; whether it may still be read.
    fn admits(&mut self, line: u32) -> bool {
        self.documents += 1;
        let most = self.limits.documents;
        if self.documents == most + 1 {
            let message = format!("file has more than {most} documents: what follows is not read");
            self.problem(Some(line), message);
        }
        self.documents <= most
    }

    fn document(&mut self, document: &RawDocument) {
        let nothing = Node {
            value: Value::Null,
            line: document.line,
        };
        let root = document.root.as_ref().unwrap_or(&nothing);
        if let Ok((Treatment::List { of }, items)) = list_items(root)
            && document.faults.is_empty()
        {
            self.list(items, of);
            return;
        }
        let mut report = Report::new(root, self.file);
        for fault in &document.faults {
            report.add_at(
                Severity::Error,
                fault.line,
                fault.field.clone(),
                fault.message.clone(),
            );
        }
        let object = match document.root {
            Some(_) => object(root, &mut report),
            None => None,
        };
        self.take(object, root, report);
    }

    /// A list's items are objects of their own.
    fn list(&mut self, items: &[Node], of: Option<&'static str>) {
        for item in items {
            if !self.admits(item.line) {
                return;
            }
            let completed = completed(item, of);
            let mut report = Report::new(&completed, self.file);
            let object = object(&completed, &mut report);
            self.take(object, &completed, report);
        }
    }

    fn take(&mut self, object: Option<Object>, root: &Node, mut report: Report<'_>) {
        if let Some(object) = object {
            let key = object.key();
            if self.seen.insert(key.clone()) {
                self.reading.objects.push(Located {
                    object,
                    line: root.line,
                });
            } else {
                report.error(
                    &Path::Root,
                    format!("{key} is defined twice in this file: the first one is taken"),
                );
            }
        }
        self.reading.problems.extend(report.into_problems());
    }
}

/// The items of a document that is a list.
fn list_items(root: &Node) -> Result<(Treatment, &[Node]), Refusal> {
    let text = |field: &str| root.get(field).and_then(Node::as_str).unwrap_or_default();
    let treatment = kinds::treatment(text("kind"), text("apiVersion"))?;
    match root.get("items").map(|items| &items.value) {
        Some(Value::List(items)) => Ok((treatment, items)),
        _ => Ok((treatment, &[])),
    }
}

/// A list's item with the kind and version that its list implies.
fn completed(item: &Node, of: Option<&'static str>) -> Node {
    let mut item = item.clone();
    let line = item.line;
    if let (Some(kind), Value::Map(entries)) = (of, &mut item.value) {
        let version = kinds::version_of(kind).unwrap_or_default();
        for (field, text) in [("kind", kind), ("apiVersion", version)] {
            let node = Node {
                value: Value::String(text.to_owned()),
                line,
            };
            entries
                .entry(field.to_owned())
                .or_insert(Entry { key_line: line, node });
        }
    }
    item
}
