//! The program `pinnace-shim`: its command line and its actions.
//!
//! | action | what it does |
//! | --- | --- |
//! | `start` | starts the pod's shim, or finds it, and prints its address (`start.rs`) |
//! | `serve` | is the shim: what `start` runs (`serve.rs`) |
//! | `delete` | removes what a dead shim left of one container (`cleanup.rs`) |
//! | `reaper` | makes a PID namespace for a pod and its first process (`reaper.rs`) |
//! | `log` | writes a log for another shim ([`crate::logs::logger`]) |

pub mod args;
mod cleanup;
mod reaper;
mod serve;
mod start;

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use args::{Action, Args};

use crate::chain::chain;

/// Runs the program with this process's arguments.
pub fn main() -> ExitCode {
    if reaper::is_called(std::env::args_os().next().as_deref()) {
        return reaper::run();
    }
    match run() {
        Ok(printed) => match std::io::stdout().write_all(&printed) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) => {
            // Nobody may be left to read it.
            let _ = writeln!(std::io::stderr(), "pinnace-shim: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<Vec<u8>, Box<dyn Error>> {
    let args = Args::parse(std::env::args_os().skip(1))?;
    match &args.action {
        Action::Start => Ok(start::start(&args)?.into_bytes()),
        Action::Serve => serve::serve(&args).map(|()| Vec::new()).map_err(Into::into),
        Action::Delete => Ok(cleanup::delete(&args)?),
        Action::Reaper(folder) => Ok(reaper::start(folder)?.into_bytes()),
        Action::Log(uri) => crate::logs::logger::run(uri)
            .map(|()| Vec::new())
            .map_err(Into::into),
        Action::Version => Ok(concat!("pinnace-shim ", env!("CARGO_PKG_VERSION"), "\n").into()),
    }
}
