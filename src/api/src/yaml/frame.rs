//! What is open while a tree is built.

use std::collections::BTreeMap;

use crate::tree::{Entry, Node};

/// An open list or map.
pub(super) struct Frame {
    pub(super) line: u32,
    pub(super) anchor: usize,
    pub(super) bytes_before: usize,
    pub(super) content: Content,
}

pub(super) enum Content {
    List(Vec<Node>),
    Map {
        entries: BTreeMap<String, Entry>,
        /// A key whose value is still to come.
        key: Option<(Key, u32)>,
        merged: Vec<Node>,
    },
}

pub(super) enum Key {
    Text(String),
    /// `<<`: the members of the value are taken over.
    Merge,
}

/// The path of the member `key` of the innermost open map.
pub(super) fn path_of(frames: &[Frame], key: &str) -> String {
    let mut path = String::new();
    for frame in frames {
        match &frame.content {
            Content::List(items) => path.push_str(&format!("[{}]", items.len())),
            Content::Map {
                key: Some((Key::Text(key), _)),
                ..
            } => push_field(&mut path, key),
            Content::Map { .. } => {}
        }
    }
    push_field(&mut path, key);
    path
}

fn push_field(path: &mut String, field: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(field);
}
