//! Parser's events to one tree, without recursion.
//!
//! Duplicate keys are collected, and the first value of a key stays. What breaks the bounds, and what has no
//! meaning in JSON, ends the document.

use std::collections::{BTreeMap, HashMap};

use serde_saphyr::granit_parser::{Event, ScalarStyle, Tag};

use super::frame::{Content, Frame, Key, path_of};
use super::{Fault, TreeLimits, scalar};
use crate::tree::{Entry, Node, Value};

/// What a node costs beside its text.
const NODE_BYTES: usize = 64;

/// Faults kept of one document.
const MOST_FAULTS: usize = 100;

/// A finished node that an alias may name.
struct Anchored {
    node: Node,
    bytes: usize,
    height: usize,
}

/// Builds one document.
pub(super) struct Builder {
    limits: TreeLimits,
    start: u32,
    frames: Vec<Frame>,
    anchors: HashMap<usize, Anchored>,
    /// Memory of all that was built, aliases and anchors included.
    bytes: usize,
    root: Option<Node>,
    faults: Vec<Fault>,
}

impl Builder {
    pub(super) fn new(limits: TreeLimits, start: u32) -> Self {
        Self {
            limits,
            start,
            frames: Vec::new(),
            anchors: HashMap::new(),
            bytes: 0,
            root: None,
            faults: Vec::new(),
        }
    }

    /// Memory that the document took so far.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The tree, null where there was no content, and what was found.
    pub(super) fn finish(self) -> (Option<Node>, Vec<Fault>) {
        let empty = Node {
            value: Value::Null,
            line: self.start,
        };
        (Some(self.root.unwrap_or(empty)), self.faults)
    }

    /// Takes one event; an error ends the document.
    pub(super) fn event(&mut self, event: Event<'_>, line: u32) -> Result<(), Fault> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                self.charge(NODE_BYTES + text.len(), line)?;
                if self.awaits_key() {
                    return self.key(&text, plain, tag.as_deref(), line);
                }
                let value = self.scalar(&text, plain, tag.as_deref(), line)?;
                let node = Node { value, line };
                if anchor > 0 {
                    self.anchor(anchor, &node, NODE_BYTES + text.len())?;
                }
                self.place(node);
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.open(Content::List(Vec::new()), anchor, tag.as_deref(), "seq", line)?;
            }
            Event::MappingStart(_, anchor, tag) => {
                let content = Content::Map {
                    entries: BTreeMap::new(),
                    key: None,
                    merged: Vec::new(),
                };
                self.open(content, anchor, tag.as_deref(), "map", line)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close()?,
            Event::Alias(id) => self.alias(id, line)?,
            _ => {}
        }
        Ok(())
    }

    fn scalar(&self, text: &str, plain: bool, tag: Option<&Tag>, line: u32) -> Result<Value, Fault> {
        let resolved = match tag {
            None if plain => scalar::resolve(text),
            None => Ok(Value::String(text.to_owned())),
            Some(tag) => match tag.core_suffix() {
                Some(suffix) => scalar::resolve_tagged(suffix, text),
                None if tag.handle().is_empty() && tag.suffix() == "!" => Ok(Value::String(text.to_owned())),
                None => Err("tag is not supported"),
            },
        };
        resolved.map_err(|why| self.fault(line, format!("cannot decode a value: {why}")))
    }

    fn key(&mut self, text: &str, plain: bool, tag: Option<&Tag>, line: u32) -> Result<(), Fault> {
        let key = if plain && tag.is_none() && text == "<<" {
            Key::Merge
        } else {
            let value = self.scalar(text, plain, tag, line)?;
            let kind = value.kind();
            let text = scalar::key_text(value);
            Key::Text(text.ok_or_else(|| self.fault(line, format!("unsupported map key of type: {kind}")))?)
        };
        if let Some(Frame {
            content: Content::Map { key: pending, .. },
            ..
        }) = self.frames.last_mut()
        {
            *pending = Some((key, line));
        }
        Ok(())
    }

    fn awaits_key(&self) -> bool {
        matches!(
            self.frames.last(),
            Some(Frame {
                content: Content::Map { key: None, .. },
                ..
            })
        )
    }

    fn open(
        &mut self,
        content: Content,
        anchor: usize,
        tag: Option<&Tag>,
        kind: &str,
        line: u32,
    ) -> Result<(), Fault> {
        if self.awaits_key() {
            return Err(self.fault(line, "unsupported map key: it must be a string".to_owned()));
        }
        if tag.is_some_and(|tag| tag.core_suffix() != Some(kind)) {
            return Err(self.fault(line, "tag is not supported".to_owned()));
        }
        self.check_depth(self.frames.len() + 1, line)?;
        let bytes_before = self.bytes;
        self.charge(NODE_BYTES, line)?;
        self.frames.push(Frame {
            line,
            anchor,
            bytes_before,
            content,
        });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Fault> {
        let Some(frame) = self.frames.pop() else {
            return Ok(());
        };
        let value = match frame.content {
            Content::List(items) => Value::List(items),
            Content::Map {
                mut entries, merged, ..
            } => {
                for source in merged {
                    self.merge(&mut entries, source)?;
                }
                Value::Map(entries)
            }
        };
        let node = Node {
            value,
            line: frame.line,
        };
        if frame.anchor > 0 {
            self.anchor(frame.anchor, &node, self.bytes - frame.bytes_before)?;
        }
        self.place(node);
        Ok(())
    }

    /// `<<`: members that the map does not have itself; earlier sources win.
    fn merge(&self, entries: &mut BTreeMap<String, Entry>, source: Node) -> Result<(), Fault> {
        let line = source.line;
        let sources = match source.value {
            Value::List(items) => items,
            _ => vec![source],
        };
        for source in sources {
            let Value::Map(members) = source.value else {
                let message = "map merge requires map or sequence of maps as the value";
                return Err(self.fault(line, message.to_owned()));
            };
            for (key, entry) in members {
                entries.entry(key).or_insert(entry);
            }
        }
        Ok(())
    }

    fn alias(&mut self, id: usize, line: u32) -> Result<(), Fault> {
        if self.awaits_key() {
            let text = match self.anchors.get(&id).map(|anchored| &anchored.node.value) {
                Some(Value::String(text)) => text.clone(),
                _ => return Err(self.fault(line, "unsupported map key: it must be a string".to_owned())),
            };
            self.charge(NODE_BYTES + text.len(), line)?;
            return self.key(&text, false, None, line);
        }
        let Some(anchored) = self.anchors.get(&id) else {
            return Err(self.fault(line, "anchor value contains itself".to_owned()));
        };
        let (bytes, height) = (anchored.bytes, anchored.height);
        self.check_depth(self.frames.len() + height, line)?;
        self.charge(bytes, line)?;
        let Some(node) = self.anchors.get(&id).map(|anchored| anchored.node.clone()) else {
            return Ok(());
        };
        self.place(node);
        Ok(())
    }

    fn anchor(&mut self, id: usize, node: &Node, bytes: usize) -> Result<(), Fault> {
        self.charge(bytes, node.line)?;
        let anchored = Anchored {
            node: node.clone(),
            bytes,
            height: height(node),
        };
        self.anchors.insert(id, anchored);
        Ok(())
    }

    /// Puts a finished node where the parser is.
    fn place(&mut self, node: Node) {
        let mut duplicate = None;
        match self.frames.last_mut().map(|frame| &mut frame.content) {
            None => self.root = Some(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map { entries, key, merged }) => match key.take() {
                None => {}
                Some((Key::Merge, _)) => merged.push(node),
                Some((Key::Text(text), key_line)) if entries.contains_key(&text) => {
                    duplicate = Some((text, key_line));
                }
                Some((Key::Text(text), key_line)) => {
                    entries.insert(text, Entry { key_line, node });
                }
            },
        }
        if let Some((key, line)) = duplicate {
            let fault = Fault {
                line,
                field: Some(path_of(&self.frames, &key)),
                message: format!("key {} already set in map", quoted(&key)),
            };
            if self.faults.len() < MOST_FAULTS {
                self.faults.push(fault);
            }
        }
    }

    fn charge(&mut self, bytes: usize, line: u32) -> Result<(), Fault> {
        self.bytes = self.bytes.saturating_add(bytes);
        let TreeLimits {
            document_bytes,
            bytes,
            ..
        } = self.limits;
        if self.bytes <= document_bytes.min(bytes) {
            return Ok(());
        }
        let message = if bytes < document_bytes {
            "documents of the file take too much memory together".to_owned()
        } else if self.anchors.is_empty() {
            format!("document takes more than {document_bytes} bytes of memory")
        } else {
            "document contains excessive aliasing".to_owned()
        };
        Err(self.fault(line, message))
    }

    fn check_depth(&self, depth: usize, line: u32) -> Result<(), Fault> {
        if depth <= self.limits.depth {
            return Ok(());
        }
        Err(self.fault(line, format!("exceeded max depth of {}", self.limits.depth)))
    }

    fn fault(&self, line: u32, message: String) -> Fault {
        Fault {
            line,
            field: None,
            message,
        }
    }
}

/// Levels of maps and lists in `node`; its depth is bounded, and so is the recursion.
fn height(node: &Node) -> usize {
    match &node.value {
        Value::List(items) => 1 + items.iter().map(height).max().unwrap_or(0),
        Value::Map(entries) => {
            1 + entries
                .values()
                .map(|entry| height(&entry.node))
                .max()
                .unwrap_or(0)
        }
        _ => 0,
    }
}

/// A text for a message, cut where it is long.
fn quoted(text: &str) -> String {
    crate::report::quote(text)
}
