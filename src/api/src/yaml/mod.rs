//! YAML (and with it JSON) text to trees with lines.
//!
//! A file's documents come out one by one, so that only one of them is held; one that cannot be read costs
//! only itself. Bounded are the depth of a document and the memory that it takes after its aliases were
//! followed, whatever its text is.

mod build;
mod frame;
mod scalar;

use serde_saphyr::granit_parser::{self, Event, Parser, StrInput};

use crate::tree::Node;
use build::Builder;

/// Bounds of a file's documents.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TreeLimits {
    /// Levels of maps and lists.
    pub(crate) depth: usize,
    /// Bytes of one document's tree, aliases followed.
    pub(crate) document_bytes: usize,
    /// Bytes of all trees.
    pub(crate) bytes: usize,
}

/// What is wrong with a document's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) line: u32,
    /// The field, where the fault is one of a field.
    pub(crate) field: Option<String>,
    pub(crate) message: String,
}

/// One document of a file.
#[derive(Debug)]
pub(crate) struct RawDocument {
    /// The line it begins on.
    pub(crate) line: u32,
    /// Its content, where that much could be read; an empty document is null.
    pub(crate) root: Option<Node>,
    /// What was found on the way; a document with faults is not to be taken.
    pub(crate) faults: Vec<Fault>,
}

/// Reads a file's documents one after the other.
pub(crate) struct Documents<'t> {
    parser: Parser<'t, StrInput<'t>>,
    limits: TreeLimits,
    ended: bool,
}

impl<'t> Documents<'t> {
    pub(crate) fn new(text: &'t str, limits: TreeLimits) -> Self {
        let options = granit_parser::options! {
            block_scalar_eof_without_line_feed: true,
            emit_comments: false,
        };
        Self {
            parser: Parser::new_from_str_with_options(text, options),
            limits,
            ended: false,
        }
    }

    /// Reads up to the document's end, or to what makes the rest of it unreadable.
    fn document(&mut self, builder: &mut Builder) -> Result<(), Fault> {
        while let Some(next) = self.parser.next_event() {
            let (event, span) = next.map_err(|error| Fault {
                line: line(error.marker()),
                field: None,
                message: format!("error converting YAML to JSON: {}", error.info()),
            })?;
            if matches!(event, Event::DocumentEnd | Event::StreamEnd) {
                return Ok(());
            }
            builder.event(event, line(&span.start))?;
        }
        Ok(())
    }
}

impl Iterator for Documents<'_> {
    type Item = RawDocument;

    fn next(&mut self) -> Option<RawDocument> {
        if self.ended {
            return None;
        }
        let start = loop {
            match self.parser.peek() {
                None | Some(Ok((Event::StreamEnd, _))) => return None,
                Some(Ok((Event::StreamStart | Event::DocumentEnd, _))) => {
                    self.parser.next_event();
                }
                Some(Ok((_, span))) => break line(&span.start),
                Some(Err(error)) => break line(error.marker()),
            }
        };
        let mut builder = Builder::new(self.limits, start);
        let outcome = self.document(&mut builder);
        self.limits.bytes = self.limits.bytes.saturating_sub(builder.bytes());
        let (root, mut faults) = builder.finish();
        if let Err(fault) = outcome {
            faults.push(fault);
            match self.parser.proceed_next_document() {
                Ok(more) => self.ended = !more,
                Err(_) => self.ended = true,
            }
            return Some(RawDocument {
                line: start,
                root: None,
                faults,
            });
        }
        Some(RawDocument {
            line: root.as_ref().map_or(start, |root| root.line),
            root,
            faults,
        })
    }
}

fn line(marker: &granit_parser::Marker) -> u32 {
    u32::try_from(marker.line()).unwrap_or(u32::MAX).max(1)
}
