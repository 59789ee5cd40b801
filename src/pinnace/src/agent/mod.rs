//! `pinnace agent`: everything is made here, wired, and kept running.
//!
//! Order: configuration, directories, lock of the root, listeners, adapters, faces, sources, manager. SIGTERM
//! ends the process and nothing else: pods go on under their shims.
//!
//! | room | what |
//! | --- | --- |
//! | [`prepare`] | the directories and the lock of the root |
//! | [`listen`] | where Prometheus is answered; systemd keeps the sockets over a restart |
//! | [`adapters`], [`host`], [`bundles`] | the engine's ports on the real node |
//! | [`checks`] | what probes and hooks ask of containers |
//! | [`network`] | pods' network and names |
//! | [`sources`] | where manifests come from |
//! | [`serve`] | the wiring of all that, and the loop over signals |
//! | [`face`], [`objects`], [`exec`], [`exporter`] | what the command line and Prometheus see |
//! | [`reload`], [`signals`] | SIGHUP, SIGTERM |
//! | [`facts`] | what the host shows of itself |

mod adapters;
mod bundles;
mod checks;
mod data_objects;
mod error;
mod exec;
mod exporter;
mod face;
pub mod facts;
mod host;
pub mod listen;
pub mod network;
mod objects;
mod prepare;
mod reload;
mod serve;
mod service_objects;
mod signals;
mod sources;

use std::io;
use std::sync::Arc;

use pinnace_sys::{Layout, process};

use crate::cli::AgentArgs;
use crate::config::{Loaded, Sources};
use crate::systemd::Kept;
use reload::Reloader;

pub use error::AgentError;
pub use pinnace_core::ports::chain;

/// Threads for calls that wait for the disk: more of them start pods no faster, and hold
/// memory. Scrapes may take half of them at most (`MetricsLimits::scrapes`).
const BLOCKING_THREADS: usize = 32;
/// Heaps of the allocator, one for each thread that runs the loops.
const MALLOC_ARENAS: i32 = 2;

/// Loads the configuration, or says all that is wrong with it.
pub fn load(sources: &Sources) -> Result<Loaded, AgentError> {
    sources.load().map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        AgentError::Config(lines.join("\n"))
    })
}

/// Runs the agent until a signal ends it.
pub fn run(layout: Layout, args: &AgentArgs) -> Result<(), AgentError> {
    process::bound_malloc_arenas(MALLOC_ARENAS);
    log_to_stderr(args);
    let kept = Kept::take();
    if !nix::unistd::geteuid().is_root() {
        return Err(AgentError::NotRoot);
    }
    let reloader = Arc::new(reloader(&layout, args)?);
    let config = reloader.first()?;
    let layout = match &config.pod_logs_dir {
        Some(logs) => layout.with_pod_logs(logs),
        None => layout,
    };
    prepare::directories(&layout)?;
    let _lock = prepare::lock(&layout)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build()?;
    let ended = runtime.block_on(serve::serve(layout, args, config, reloader, kept));
    // Workers hold nothing that needs an end: pods go on as they are.
    runtime.shutdown_background();
    ended
}

fn log_to_stderr(args: &AgentArgs) {
    tracing_subscriber::fmt()
        .with_max_level(args.log_level)
        .with_writer(io::stderr)
        .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
        .init();
}

/// Where the configuration is read, at start and at every SIGHUP.
fn reloader(layout: &Layout, args: &AgentArgs) -> Result<Reloader, AgentError> {
    let mut sources = Sources::in_etc(&layout.etc());
    if let Some(config) = &args.config {
        sources = sources.with_file(config.clone());
    }
    let name = args.node_name.as_deref().map(pinnace_api::NodeName::new);
    Ok(Reloader::new(sources, name.transpose()?))
}
