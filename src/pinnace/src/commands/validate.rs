//! `pinnace validate`: the agent's verdict on manifests, without an agent.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use pinnace_api::read::{ReadLimits, read_documents};
use pinnace_api::{Problem, Severity};

use crate::cli::ValidateArgs;

/// Prints every problem; answers whether there was no error.
pub fn run(args: &ValidateArgs, out: &mut impl Write) -> io::Result<bool> {
    let limits = ReadLimits::default();
    let (mut objects, mut errors, mut warnings) = (0, 0, 0);
    for path in &args.files {
        let (file, text) = match read(path, limits.file_bytes) {
            Ok(read) => read,
            Err(error) => {
                errors += 1;
                writeln!(out, "error: {}: cannot be read: {error}", path.display())?;
                continue;
            }
        };
        let reading = read_documents(&text, &file, &limits);
        objects += reading.objects.len();
        for problem in &reading.problems {
            match problem.severity {
                Severity::Error => errors += 1,
                Severity::Warning => warnings += 1,
                Severity::Note => {}
            }
            print(problem, out)?;
        }
    }
    writeln!(out, "{objects} objects, {errors} errors, {warnings} warnings")?;
    Ok(errors == 0)
}

/// Prints one problem with its weight.
pub fn print(problem: &Problem, out: &mut impl Write) -> io::Result<()> {
    let weight = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    writeln!(out, "{weight}: {problem}")
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
