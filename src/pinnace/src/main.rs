//! The program: command line, configuration, wiring. The only crate that knows all others.

mod agent;
mod cli;
mod commands;
mod config;
mod systemd;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use pinnace_core::config::NodeConfig;
use pinnace_core::time::WallMillis;
use pinnace_server::{Client, ClientError};
use pinnace_sys::Layout;
use serde_json::Value;

use cli::{Cli, LogsArgs, Resource, Verb};
use commands::exec::ExecError;
use commands::get::GetError;
use commands::logs::ContainerLogs;

/// Something failed, or a manifest has errors.
const FAILED: u8 = 1;
/// The agent is not running.
const NOT_RUNNING: u8 = 3;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("pinnace: {}", agent::chain(error.as_ref()));
            ExitCode::from(if is_not_running(error.as_ref()) {
                NOT_RUNNING
            } else {
                FAILED
            })
        }
    }
}

/// Errors end here, as text for people: their kinds do not matter any more.
type Outcome = Result<ExitCode, Box<dyn std::error::Error>>;

fn run(cli: &Cli) -> Outcome {
    let layout = layout(&cli.root)?;
    let client = Client::new(layout.root(), layout.control_socket());
    let mut out = io::stdout().lock();
    match &cli.verb {
        Verb::Agent(args) => {
            drop(out);
            agent::run(layout, args)?;
        }
        Verb::Get(args) => asking()?.block_on(commands::get::run(&client, args, &mut out))?,
        Verb::Describe(args) => asking()?.block_on(commands::describe::run(&client, args, &mut out))?,
        Verb::Logs(args) => logs(&with_configured_logs(layout), &client, args, &mut out)?,
        Verb::Exec(args) => {
            drop(out);
            let runtime = asking()?;
            let meant = runtime.block_on(commands::exec::meant(&client, args))?;
            let code = commands::exec::run(&layout, &client, &runtime, args, meant)?;
            return Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)));
        }
        Verb::Validate(args) => return Ok(verdict(commands::validate::run(args, &mut out)?)),
        Verb::Plan(args) => {
            let config = configured(&layout)?;
            let facts = agent::facts::read(&layout, "");
            let planned = commands::plan::run(&layout, &config, facts, &args.directory, &mut out);
            return Ok(verdict(asking()?.block_on(planned)?));
        }
        Verb::Image(verb) => asking()?.block_on(commands::image::run(&layout, &client, verb, &mut out))?,
        Verb::Config(verb) => return Ok(verdict(commands::config::run(&layout, verb, &mut out)?)),
        Verb::Drain(args) => asking()?.block_on(commands::drain::run(&client, args, &mut out))?,
        Verb::Doctor => {
            let problems = problems_of(&client)?;
            return Ok(verdict(commands::doctor::run(
                &layout,
                problems.as_ref(),
                &mut out,
            )?));
        }
        Verb::Version => writeln!(out, "pinnace {}", env!("CARGO_PKG_VERSION"))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The root as an absolute path without links; an absent one is left as it is given.
fn layout(root: &Path) -> io::Result<Layout> {
    match root.canonicalize() {
        Ok(root) => Ok(Layout::new(root)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Layout::new(std::path::absolute(root)?)),
        Err(error) => Err(error),
    }
}

fn verdict(good: bool) -> ExitCode {
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    }
}

/// What a running agent says is wrong with its manifests; `None` where none answers.
fn problems_of(client: &Client) -> io::Result<Option<serde_json::Value>> {
    Ok(asking()?.block_on(client.get("/v1/problems")).ok())
}

/// A runtime for one question.
fn asking() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn is_not_running(error: &(dyn std::error::Error + 'static)) -> bool {
    let asked = match (error.downcast_ref(), error.downcast_ref()) {
        (Some(GetError::Agent(asked)), _)
        | (_, Some(ExecError::Agent(asked) | ExecError::Pod(GetError::Agent(asked)))) => Some(asked),
        _ => error.downcast_ref(),
    };
    matches!(asked, Some(ClientError::NotRunning { .. }))
}

/// The node's configuration, which has to be good.
fn configured(layout: &Layout) -> Result<NodeConfig, agent::AgentError> {
    agent::load(&config::Sources::in_etc(&layout.etc())).map(|loaded| loaded.config)
}

/// Logs are read with a broken configuration too, from where they are by default.
fn with_configured_logs(layout: Layout) -> Layout {
    match configured(&layout).ok().and_then(|config| config.pod_logs_dir) {
        Some(directory) => layout.with_pod_logs(directory),
        None => layout,
    }
}

fn logs(
    layout: &Layout,
    client: &Client,
    args: &LogsArgs,
    out: &mut impl Write,
) -> Result<(), Box<dyn std::error::Error>> {
    let since = args.since.map(|since| {
        let now = pinnace_sys::clock::wall_millis();
        let since = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        WallMillis(now.saturating_sub(since)).rfc3339()
    });
    // Log times have nanoseconds and whole seconds none: without its Z an instant sorts before all in it.
    let since = since.as_deref().map(|since| since.trim_end_matches('Z'));
    let runtime = asking()?;
    let container = match &args.target.container {
        Some(name) => Some(name.clone()),
        None => runtime.block_on(default_container(client, args)),
    };
    let runs = |logs: &ContainerLogs, instance: u32| {
        runtime.block_on(still_runs(client, &args.target.pod, logs, instance))
    };
    Ok(commands::logs::run(
        layout,
        args,
        container.as_deref(),
        since,
        &runs,
        out,
    )?)
}

/// The container that is meant where none is named; without an agent the files must tell.
async fn default_container(client: &Client, args: &LogsArgs) -> Option<String> {
    let target = &args.target;
    let pod = commands::get::fetch_one(client, Resource::Pods, target.namespace.as_ref(), &target.pod);
    commands::default_container(&pod.await.ok()?)
}

/// Whether the instance may still write; without an agent nobody knows, and following goes on.
async fn still_runs(client: &Client, pod: &str, logs: &ContainerLogs, instance: u32) -> bool {
    let path = format!("/v1/pods/{}/{pod}", logs.namespace);
    let object = match client.get(&path).await {
        Ok(object) => object,
        Err(ClientError::Refused(_)) => return false,
        Err(_) => return true,
    };
    let statuses = object
        .pointer("/status/containerStatuses")
        .and_then(Value::as_array);
    let status = statuses
        .into_iter()
        .flatten()
        .find(|status| status["name"] == logs.container());
    status.is_none_or(|status| {
        let restarts = status["restartCount"].as_u64().unwrap_or(0);
        status.pointer("/state/terminated").is_none() && restarts <= u64::from(instance)
    })
}
