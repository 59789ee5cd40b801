//! The configuration's files: read, laid over each other, checked.
//!
//! ```text
//! config.yaml ─┐
//! config.d/a   ├─ trees that know file and line ──merge──▶ one tree ──typed──▶ NodeConfig ──checked──▶ Loaded
//! config.d/b ──┘                                             └── problems { file, line, field, message }
//! ```
//!
//! All files together make one configuration: maps merge, lists and single values replace what an earlier
//! file says, and a value left empty takes it back to the default. Reading is strict and reports all that it
//! finds, not the first thing only. A configuration with a problem is not used, in no part of it.

mod files;
mod tree;
mod typed;

use std::fmt;
use std::path::{Path, PathBuf};

use pinnace_core::config::NodeConfig;

use tree::Tree;

/// A configuration that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// All files together.
    pub config: NodeConfig,
    /// The files that were there, in the order in which they were laid over each other.
    pub files: Vec<PathBuf>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The file that says so last; the directory or file itself where it cannot be read.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: Option<u32>,
    /// The setting's path, `registerWithTaints[0].key`.
    pub field: Option<String>,
    /// What is wrong, and what is expected.
    pub message: String,
}

impl fmt::Display for ConfigProblem {
    /// `file:line: field: message`, leaving out what is not known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(field) = &self.field {
            write!(f, ": {field}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Where a configuration lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// The main file.
    pub file: PathBuf,
    /// The main file must be there, since somebody named it.
    pub file_required: bool,
    /// The directory of files that are laid over it.
    pub directory: PathBuf,
}

impl Sources {
    /// `config.yaml` and `config.d` in `etc`; neither has to be there.
    pub fn in_etc(etc: &Path) -> Self {
        Self {
            file: etc.join("config.yaml"),
            file_required: false,
            directory: etc.join("config.d"),
        }
    }

    /// `file`, which must be there, instead of `config.yaml`.
    pub fn with_file(self, file: PathBuf) -> Self {
        Self {
            file,
            file_required: true,
            ..self
        }
    }

    /// Reads, merges and checks.
    pub fn load(&self) -> Result<Loaded, Vec<ConfigProblem>> {
        let mut problems = Vec::new();
        let files = files::list(self, &mut problems);
        let mut merged = Tree::empty();
        for (index, file) in files.iter().enumerate() {
            match files::read(file).and_then(|text| tree::parse(&text, index, file)) {
                Ok(tree) => merged.merge(tree),
                Err(problem) => problems.push(problem),
            }
        }
        let config = typed::read(merged, &files, &mut problems);
        if problems.is_empty() {
            Ok(Loaded { config, files })
        } else {
            Err(problems)
        }
    }
}

#[cfg(test)]
mod tests;
