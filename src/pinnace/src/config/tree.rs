//! A file's content as a tree in which each value knows its file and line.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};
use serde_saphyr::Spanned;

use super::ConfigProblem;

/// A value, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tree {
    /// Index of the file.
    pub(super) file: usize,
    /// Line from 1; of the key, for a value of a map.
    pub(super) line: u32,
    pub(super) node: Node,
}

/// What JSON can say; nulls stay until the files were merged.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Scalar(Value),
    List(Vec<Tree>),
    Map(BTreeMap<String, Tree>),
}

/// Reads the text of one file, which holds one map or nothing.
pub(super) fn parse(text: &str, file: usize, path: &Path) -> Result<Tree, ConfigProblem> {
    let problem = |line, message| ConfigProblem {
        file: path.to_owned(),
        line,
        field: None,
        message,
    };
    let options = serde_saphyr::options! {
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_documents: 1,
            max_depth: 32,
            max_nodes: 50_000,
        },
    };
    let read: Spanned<Raw> = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error
            .location()
            .and_then(|location| u32::try_from(location.line()).ok());
        problem(line.filter(|line| *line > 0), error.without_snippet().to_string())
    })?;
    let mut tree = read.value.place(file, line_of(read.referenced));
    match tree.node {
        Node::Map(_) => Ok(tree),
        Node::Scalar(Value::Null) => {
            tree.node = Node::Map(BTreeMap::new());
            Ok(tree)
        }
        _ => Err(problem(Some(tree.line), "must be a map of settings".to_owned())),
    }
}

fn line_of(location: serde_saphyr::Location) -> u32 {
    u32::try_from(location.line()).unwrap_or(u32::MAX).max(1)
}

impl Tree {
    /// No settings.
    pub(super) fn empty() -> Self {
        Self {
            file: 0,
            line: 1,
            node: Node::Map(BTreeMap::new()),
        }
    }

    /// Lays `over` over this tree: maps merge, everything else replaces.
    pub(super) fn merge(&mut self, over: Tree) {
        match (&mut self.node, over.node) {
            (Node::Map(members), Node::Map(more)) => {
                for (key, value) in more {
                    match members.get_mut(&key) {
                        Some(member) => member.merge(value),
                        None => {
                            members.insert(key, value);
                        }
                    }
                }
            }
            (node, other) => {
                *node = other;
                (self.file, self.line) = (over.file, over.line);
            }
        }
    }

    /// Takes out members that were left empty, so that their default holds.
    pub(super) fn without_nulls(&mut self) {
        match &mut self.node {
            Node::Map(members) => {
                members.retain(|_, member| member.node != Node::Scalar(Value::Null));
                members.values_mut().for_each(Tree::without_nulls);
            }
            Node::List(items) => items.iter_mut().for_each(Tree::without_nulls),
            Node::Scalar(_) => {}
        }
    }

    /// As plain JSON.
    pub(super) fn to_json(&self) -> Value {
        match &self.node {
            Node::Scalar(value) => value.clone(),
            Node::List(items) => items.iter().map(Tree::to_json).collect(),
            Node::Map(members) => members
                .iter()
                .map(|(key, member)| (key.clone(), member.to_json()))
                .collect(),
        }
    }

    /// The deepest part of `path` that is there.
    pub(super) fn at(&self, path: &str) -> &Tree {
        match self.step(path) {
            Some((_, tree, rest)) => tree.at(rest),
            None => self,
        }
    }

    /// Takes out the member that `path` leads to, or the deepest map's member on the way there.
    pub(super) fn remove(&mut self, path: &str) -> bool {
        let Some((key, rest)) = self
            .step(path)
            .map(|(key, _, rest)| (key.to_owned(), rest.to_owned()))
        else {
            return false;
        };
        match &mut self.node {
            Node::Map(members) => {
                let deeper = members.get_mut(&key).is_some_and(|member| member.remove(&rest));
                deeper || members.remove(&key).is_some()
            }
            _ => false,
        }
    }

    /// The first step of `path`: its key, the value there, and the rest. Keys may hold dots themselves.
    fn step<'t, 'p>(&'t self, path: &'p str) -> Option<(&'p str, &'t Tree, &'p str)> {
        match &self.node {
            Node::Scalar(_) => None,
            Node::List(items) => {
                let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
                let item = items.get(index.parse::<usize>().ok()?)?;
                Some((index, item, rest.strip_prefix('.').unwrap_or(rest)))
            }
            Node::Map(members) => {
                let fitting = members.iter().filter_map(|(key, member)| {
                    let rest = path.strip_prefix(key.as_str())?;
                    let ends = rest.is_empty() || rest.starts_with(['.', '[']);
                    ends.then_some((key.len(), member, rest))
                });
                let (length, member, rest) = fitting.max_by_key(|(length, _, _)| *length)?;
                Some((&path[..length], member, rest.strip_prefix('.').unwrap_or(rest)))
            }
        }
    }
}

/// What the YAML reader delivers, before the file is known.
struct Raw(RawNode);

enum RawNode {
    Scalar(Value),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl Raw {
    fn place(self, file: usize, line: u32) -> Tree {
        let node = match self.0 {
            RawNode::Scalar(value) => Node::Scalar(value),
            RawNode::List(items) => Node::List(
                items
                    .into_iter()
                    .map(|item| item.value.place(file, line_of(item.referenced)))
                    .collect(),
            ),
            RawNode::Map(members) => Node::Map(
                members
                    .into_iter()
                    .map(|(key, value)| (key.value, value.value.place(file, line_of(key.referenced))))
                    .collect(),
            ),
        };
        Tree { file, line, node }
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor).map(Raw)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = RawNode;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a setting's value")
    }
    fn visit_unit<E: de::Error>(self) -> Result<RawNode, E> {
        Ok(RawNode::Scalar(Value::Null))
    }
    fn visit_none<E: de::Error>(self) -> Result<RawNode, E> {
        Ok(RawNode::Scalar(Value::Null))
    }
    fn visit_bool<E: de::Error>(self, value: bool) -> Result<RawNode, E> {
        Ok(RawNode::Scalar(Value::Bool(value)))
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<RawNode, E> {
        Ok(RawNode::Scalar(value.into()))
    }
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<RawNode, E> {
        Ok(RawNode::Scalar(value.into()))
    }
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<RawNode, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("a number must be finite"))?;
        Ok(RawNode::Scalar(Value::Number(number)))
    }
    fn visit_str<E: de::Error>(self, value: &str) -> Result<RawNode, E> {
        Ok(RawNode::Scalar(Value::String(value.to_owned())))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<RawNode, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(RawNode::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<RawNode, A::Error> {
        let mut map = Vec::new();
        while let Some(member) = members.next_entry()? {
            map.push(member);
        }
        Ok(RawNode::Map(map))
    }
}
