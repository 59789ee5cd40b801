//! `pinnace validate`: the agent's verdict on manifests, without an agent.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use pinnace_api::read::{ReadLimits, read_documents};
use pinnace_api::{Problem, Severity};
use pinnace_engine::source::Listing;
use pinnace_engine::source::files::Files;

use crate::cli::ValidateArgs;

/// Prints every problem; answers whether there was no error.
pub fn run(args: &ValidateArgs, out: &mut impl Write) -> io::Result<bool> {
    let limits = ReadLimits::default();
    let (mut objects, mut errors, mut warnings) = (0, 0, 0);
    for path in &args.files {
        let (count, problems) = match check(path, &limits) {
            Ok(found) => found,
            Err(error) => {
                errors += 1;
                writeln!(out, "error: {}: cannot be read: {error}", path.display())?;
                continue;
            }
        };
        objects += count;
        for problem in &problems {
            match problem.severity {
                Severity::Error => errors += 1,
                Severity::Warning => warnings += 1,
                Severity::Note => {}
            }
            writeln!(out, "{}", told(problem))?;
        }
    }
    writeln!(out, "{objects} objects, {errors} errors, {warnings} warnings")?;
    Ok(errors == 0)
}

/// One problem with its weight.
pub fn told(problem: &Problem) -> String {
    let weight = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    format!("{weight}: {problem}")
}

/// How many objects there are, and what is wrong.
fn check(path: &Path, limits: &ReadLimits) -> io::Result<(usize, Vec<Problem>)> {
    if path.is_dir() {
        let listing = directory(path)?;
        return Ok((listing.objects.len(), listing.problems));
    }
    let (file, text) = read(path, limits.file_bytes)?;
    let reading = read_documents(&text, &file, limits);
    Ok((reading.objects.len(), reading.problems))
}

/// The manifests of a directory, as the agent reads them.
pub fn directory(path: &Path) -> io::Result<Listing> {
    let mut files = Files::new(path, Duration::ZERO);
    files.scan(&HashSet::new())?;
    Ok(files.listing())
}

fn read(path: &Path, limit: usize) -> io::Result<(String, Vec<u8>)> {
    let mut text = Vec::new();
    // One byte more than the limit, so that the reader itself says that it is too long.
    let most = limit as u64 + 1;
    if path == Path::new("-") {
        io::stdin().lock().take(most).read_to_end(&mut text)?;
        return Ok(("standard input".to_owned(), text));
    }
    File::open(path)?.take(most).read_to_end(&mut text)?;
    Ok((path.display().to_string(), text))
}
