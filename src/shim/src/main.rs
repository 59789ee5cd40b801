//! `pinnace-shim`: see `docs/shim.md`.

use std::process::ExitCode;

fn main() -> ExitCode {
    pinnace_shim::program::main()
}
