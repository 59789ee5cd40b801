//! A document as a tree that knows its lines, and paths into it.
//!
//! Both exist only while a document is read: every problem names its field by a [`Path`], and the tree tells
//! the line that the field stands on.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Number;

/// A value and the line it begins on, from 1.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) line: u32,
}

/// What JSON can say.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    List(Vec<Node>),
    /// Each value with the line of its key.
    Map(BTreeMap<String, Entry>),
}

/// A value of a map.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key_line: u32,
    pub(crate) node: Node,
}

impl Value {
    /// The word that JSON (and Go) has for the kind of value.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::List(_) => "array",
            Value::Map(_) => "object",
        }
    }
}

impl Node {
    /// The member `key` of a map.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.get(key).map(|entry| &entry.node),
            _ => None,
        }
    }

    /// The text, where this is a string.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value at `path`.
    pub(crate) fn at(&self, path: &Path<'_>) -> Option<&Node> {
        path.steps()
            .into_iter()
            .try_fold(self, |node, step| match (&node.value, step) {
                (_, Path::Field(_, key) | Path::Key(_, key)) => node.get(key),
                (Value::List(items), Path::Index(_, index)) => items.get(*index),
                _ => None,
            })
    }

    /// The line of the deepest part of `path` that is there.
    pub(crate) fn line_of(&self, path: &Path<'_>) -> u32 {
        let (mut node, mut line) = (self, self.line);
        for step in path.steps() {
            match (&node.value, step) {
                (Value::Map(entries), Path::Field(_, key) | Path::Key(_, key)) => {
                    let Some(entry) = entries.get(*key) else { break };
                    (node, line) = (&entry.node, entry.key_line);
                }
                (Value::List(items), Path::Index(_, index)) => {
                    let Some(item) = items.get(*index) else { break };
                    (node, line) = (item, item.line);
                }
                _ => break,
            }
        }
        line
    }

    /// The tree without its lines.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(bool) => (*bool).into(),
            Value::Number(number) => number.clone().into(),
            Value::String(text) => text.as_str().into(),
            Value::List(items) => items.iter().map(Node::to_json).collect(),
            Value::Map(entries) => {
                let pair = |(key, entry): (&String, &Entry)| (key.clone(), entry.node.to_json());
                serde_json::Value::Object(entries.iter().map(pair).collect())
            }
        }
    }

    /// A tree all on line 1, for text that no person wrote.
    pub(crate) fn from_json(json: serde_json::Value) -> Self {
        let value = match json {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(bool) => Value::Bool(bool),
            serde_json::Value::Number(number) => Value::Number(number),
            serde_json::Value::String(text) => Value::String(text),
            serde_json::Value::Array(items) => Value::List(items.into_iter().map(Self::from_json).collect()),
            serde_json::Value::Object(members) => {
                let entry = |(key, json)| {
                    (
                        key,
                        Entry {
                            key_line: 1,
                            node: Self::from_json(json),
                        },
                    )
                };
                Value::Map(members.into_iter().map(entry).collect())
            }
        };
        Self { value, line: 1 }
    }
}

/// Where a field is, shown in Kubernetes' notation: `spec.containers[0].resources.limits[cpu]`.
///
/// A path borrows its parent, so that going down costs nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Path<'a> {
    /// The document.
    Root,
    /// A field of a type.
    Field(&'a Path<'a>, &'a str),
    /// A list's item.
    Index(&'a Path<'a>, usize),
    /// A map's member.
    Key(&'a Path<'a>, &'a str),
}

impl<'a> Path<'a> {
    pub(crate) fn field(&'a self, name: &'a str) -> Path<'a> {
        Path::Field(self, name)
    }

    pub(crate) fn index(&'a self, index: usize) -> Path<'a> {
        Path::Index(self, index)
    }

    pub(crate) fn key(&'a self, key: &'a str) -> Path<'a> {
        Path::Key(self, key)
    }

    /// The steps from the document down.
    fn steps(&self) -> Vec<&Path<'a>> {
        let mut steps = Vec::new();
        let mut path = self;
        while let Path::Field(parent, _) | Path::Index(parent, _) | Path::Key(parent, _) = path {
            steps.push(path);
            path = parent;
        }
        steps.reverse();
        steps
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Field(Path::Root, name) => f.write_str(name),
            Path::Field(parent, name) => write!(f, "{parent}.{name}"),
            Path::Index(parent, index) => write!(f, "{parent}[{index}]"),
            Path::Key(parent, key) => write!(f, "{parent}[{key}]"),
        }
    }
}
