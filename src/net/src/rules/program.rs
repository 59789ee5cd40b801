//! The program `nft`, which lays the table down.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pinnace_sys::Doing;
use pinnace_sys::process::Pidfd;
use rustix::fs::{MemfdFlags, memfd_create};

use super::RulesError;

/// Where it is, if not in the path.
const PLACES: [&str; 3] = ["nft", "/usr/sbin/nft", "/sbin/nft"];
/// It takes some milliseconds.
const LIMIT: Duration = Duration::from_secs(30);
/// What it says is cut.
const SAID_MAX: u64 = 4096;

/// Applies a transaction, or only asks the kernel whether it would.
pub(super) fn run(text: &str, check: bool) -> Result<(), RulesError> {
    // A file takes all that it says, where a pipe would make it wait.
    let errors = memfd_create("nft", MemfdFlags::CLOEXEC).doing("make a file for the errors of", "nft")?;
    let mut errors = File::from(errors);
    let held = errors.try_clone().doing("hold the errors of", "nft")?;
    let mut child = start(check, &held)?;
    let ended = converse(&mut child, text);
    // It is gone already, or hangs and is ended.
    let _ = child.kill();
    let status = child.wait().doing("wait for", "nft")?;
    if !ended? {
        return Err(RulesError::Hangs { limit: LIMIT });
    }
    if status.success() {
        return Ok(());
    }
    let mut said = Vec::new();
    errors.rewind().doing("read the errors of", "nft")?;
    errors
        .take(SAID_MAX)
        .read_to_end(&mut said)
        .doing("read the errors of", "nft")?;
    let said = String::from_utf8_lossy(&said);
    Err(RulesError::Refused {
        said: said.lines().next().unwrap_or_default().to_owned(),
    })
}

fn start(check: bool, errors: &File) -> Result<Child, RulesError> {
    let mut last = std::io::Error::from(std::io::ErrorKind::NotFound);
    for place in PLACES {
        let mut command = Command::new(place);
        if check {
            command.arg("-c");
        }
        let stderr = errors.try_clone().doing("hold the errors of", "nft")?;
        let started = command
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn();
        match started {
            Ok(child) => return Ok(child),
            Err(error) => last = error,
        }
    }
    Err(RulesError::NoProgram(last))
}

/// Hands the text over and waits; answers whether it ended in time.
fn converse(child: &mut Child, text: &str) -> Result<bool, RulesError> {
    if let Some(mut input) = child.stdin.take() {
        // It reads all before it says anything; where it is gone, its status tells.
        let _ = input.write_all(text.as_bytes());
    }
    Ok(Pidfd::open(child.id())?.wait_exit(Some(LIMIT))?)
}
