//! `pinnace config`: check and show.

use std::io::{self, Write};

use pinnace_sys::Layout;

use crate::cli::ConfigVerb;
use crate::config::Sources;

/// Carries the verb out; answers whether the configuration is good.
pub fn run(layout: &Layout, verb: &ConfigVerb, out: &mut impl Write) -> io::Result<bool> {
    let (ConfigVerb::Check { config } | ConfigVerb::Show { config }) = verb;
    let mut sources = Sources::in_etc(&layout.etc());
    if let Some(file) = config {
        sources = sources.with_file(file.clone());
    }
    let loaded = match sources.load() {
        Ok(loaded) => loaded,
        Err(problems) => {
            for problem in problems {
                writeln!(out, "error: {problem}")?;
            }
            return Ok(false);
        }
    };
    if matches!(verb, ConfigVerb::Show { .. }) {
        for file in &loaded.files {
            writeln!(out, "# {}", file.display())?;
        }
        let value = serde_json::to_value(&loaded.config).map_err(io::Error::other)?;
        out.write_all(super::to_yaml(&value).as_bytes())?;
    } else {
        writeln!(out, "the configuration is good ({} files)", loaded.files.len())?;
    }
    Ok(true)
}
