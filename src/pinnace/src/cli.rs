//! The command line: verbs, options, help with examples.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// A Kubernetes-compatible node in one small program.
#[derive(Debug, Parser)]
#[command(name = "pinnace", version, max_term_width = 100, after_help = TOP_EXAMPLES)]
pub struct Cli {
    /// The node's root: its etc, var and run lie below it
    #[arg(
        long,
        global = true,
        env = "PINNACE_ROOT",
        default_value = "/",
        value_name = "DIR"
    )]
    pub root: PathBuf,
    /// What to do
    #[command(subcommand)]
    pub verb: Verb,
}

const TOP_EXAMPLES: &str = "Examples:
  pinnace validate config/examples/*.yaml       check manifests without a node
  pinnace agent --manifests /etc/pinnace/manifests
  pinnace get pods -o wide
  pinnace logs -f node-exporter-x7k2p -n monitoring

Exit codes: 0 done; 1 it failed, or a manifest has errors; 2 the command line is wrong;
3 the agent is not running under this root. exec: the code of the program.";

/// All verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run the node: watch manifests, run pods, answer Prometheus
    #[command(after_help = AGENT_EXAMPLES)]
    Agent(AgentArgs),
    /// List pods, DaemonSets, events, or show the node
    #[command(after_help = GET_EXAMPLES)]
    Get(GetArgs),
    /// Show one object in full, with its events
    #[command(
        after_help = "Examples:\n  pinnace describe pod web\n  pinnace describe daemonset fluentd -n logging\n  pinnace describe node"
    )]
    Describe(DescribeArgs),
    /// Print a container's log
    #[command(after_help = LOGS_EXAMPLES)]
    Logs(LogsArgs),
    /// Run a program in a container
    #[command(
        after_help = "Examples:\n  pinnace exec web -- cat /etc/hosts\n  pinnace exec -i -t web -c shell -- sh"
    )]
    Exec(ExecArgs),
    /// Check manifests as the agent would, without one
    #[command(
        after_help = "Examples:\n  pinnace validate pod.yaml daemonset.yaml\n\nExit codes: 0 no error (warnings may be printed); 1 an error."
    )]
    Validate(ValidateArgs),
    /// Say what would start, change and stop with the manifests of a directory
    #[command(
        after_help = "Examples:\n  pinnace plan ./manifests\n  pinnace plan --root /srv/node1 ./manifests"
    )]
    Plan(PlanArgs),
    /// List, import and remove images
    #[command(subcommand)]
    Image(ImageVerb),
    /// Check or show the configuration
    #[command(subcommand)]
    Config(ConfigVerb),
    /// End pods in order
    #[command(
        after_help = "Examples:\n  pinnace drain --all        end every pod; the agent starts none until it is started again"
    )]
    Drain(DrainArgs),
    /// Print version and build
    Version,
}

const AGENT_EXAMPLES: &str = "Examples:
  pinnace agent
  pinnace agent --root /srv/node1 --metrics-listen 127.0.0.1:9101
  pinnace agent --manifest-url https://config.example/node.yaml --node-name edge-7

SIGHUP reads the configuration again; SIGTERM ends the agent and leaves the pods running.";
const GET_EXAMPLES: &str = "Examples:
  pinnace get pods
  pinnace get pods -o wide
  pinnace get daemonsets -n logging -o yaml
  pinnace get node -o json
  pinnace get events";
const LOGS_EXAMPLES: &str = "Examples:
  pinnace logs web
  pinnace logs -f --tail 20 web -c sidecar
  pinnace logs --previous web
  pinnace logs --since 10m web";

/// Options of `agent`.
#[derive(Debug, Args)]
pub struct AgentArgs {
    /// The configuration, instead of ROOT/etc/pinnace/config.yaml (config.d beside it is read too)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The directory of manifests, instead of ROOT/etc/pinnace/manifests
    #[arg(long, value_name = "DIR")]
    pub manifests: Option<PathBuf>,
    /// A list of manifests served over HTTP, asked again at an interval
    #[arg(long, value_name = "URL")]
    pub manifest_url: Option<String>,
    /// The node's name, instead of the host's
    #[arg(long, value_name = "NAME")]
    pub node_name: Option<String>,
    /// Where to answer Prometheus (may be given more than once; `none`: nowhere)
    #[arg(long, value_name = "ADDR")]
    pub metrics_listen: Vec<String>,
    /// How much to log: error, warn, info, debug or trace
    #[arg(long, env = "PINNACE_LOG", default_value = "info", value_name = "LEVEL")]
    pub log_level: tracing::level_filters::LevelFilter,
}

/// What `get` can list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Resource {
    /// Pods
    #[value(name = "pods", aliases = ["pod", "po"])]
    Pods,
    /// DaemonSets
    #[value(name = "daemonsets", aliases = ["daemonset", "ds"])]
    DaemonSets,
    /// This node
    #[value(name = "node", aliases = ["nodes", "no"])]
    Node,
    /// Events
    #[value(name = "events", aliases = ["event", "ev"])]
    Events,
}

/// How `get` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A table with more columns
    Wide,
    /// YAML
    Yaml,
    /// JSON
    Json,
}

/// Options of `get`.
#[derive(Debug, Args)]
pub struct GetArgs {
    /// What to list
    pub resource: Resource,
    /// One object of this name only
    pub name: Option<String>,
    /// Only this namespace; all without it
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// As kubectl: every namespace (the default here)
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub all_namespaces: bool,
    /// wide, yaml or json
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<Output>,
}

/// Options of `describe`.
#[derive(Debug, Args)]
pub struct DescribeArgs {
    /// pod, daemonset or node
    pub resource: Resource,
    /// The object's name (not for node)
    pub name: Option<String>,
    /// Its namespace; needed only where the name is not unique
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
}

/// A container of a pod.
#[derive(Debug, Args)]
pub struct Target {
    /// The pod's name
    pub pod: String,
    /// Its namespace; needed only where the name is not unique
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// The container; needed only where the pod has several
    #[arg(short, long, value_name = "NAME")]
    pub container: Option<String>,
}

/// Options of `logs`.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// The container
    #[command(flatten)]
    pub target: Target,
    /// Go on printing as lines come
    #[arg(short, long)]
    pub follow: bool,
    /// Only the last lines
    #[arg(long, value_name = "LINES")]
    pub tail: Option<usize>,
    /// Only lines newer than this: 30s, 10m, 2h
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub since: Option<std::time::Duration>,
    /// The instance before the current one
    #[arg(short, long)]
    pub previous: bool,
    /// Print each line's time
    #[arg(long)]
    pub timestamps: bool,
}

/// Options of `exec`.
#[derive(Debug, Args)]
pub struct ExecArgs {
    /// The container
    #[command(flatten)]
    pub target: Target,
    /// Pass stdin on
    #[arg(short = 'i', long)]
    pub stdin: bool,
    /// Make a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Options of `validate`.
#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// Manifests, or - for standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// Options of `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// A directory of manifests
    pub directory: PathBuf,
}

/// Options of `drain`.
#[derive(Debug, Args)]
pub struct DrainArgs {
    /// End every pod of this node
    #[arg(long, required = true)]
    pub all: bool,
    /// Overrides each pod's own grace period
    #[arg(long, value_name = "SECONDS")]
    pub grace_period: Option<u32>,
    /// How long to wait for the end of all
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = parse_duration)]
    pub timeout: std::time::Duration,
}

/// Verbs of `image`.
#[derive(Debug, Subcommand)]
pub enum ImageVerb {
    /// List the images of this node
    Ls,
    /// Import an archive (docker save, OCI) or an OCI layout
    #[command(
        after_help = "Examples:\n  pinnace image import busybox.tar\n  podman save busybox | pinnace image import -"
    )]
    Import {
        /// The archive or layout; - for an archive on standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Remove images that no pod uses
    Rm {
        /// References, as `image ls` prints them
        #[arg(required = true, value_name = "IMAGE")]
        images: Vec<String>,
    },
}

/// Verbs of `config`.
#[derive(Debug, Subcommand)]
pub enum ConfigVerb {
    /// Read the configuration and say what is wrong with it
    Check {
        /// Instead of ROOT/etc/pinnace/config.yaml
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Print the configuration in force, defaults included
    Show {
        /// Instead of ROOT/etc/pinnace/config.yaml
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

/// `90s`, `10m`, `2h`, `1d`, or a sum of such.
fn parse_duration(text: &str) -> Result<std::time::Duration, String> {
    let wrong = || format!("{text:?} is not a duration such as 30s, 10m or 2h");
    let mut rest = text;
    let mut total_seconds: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        let unit = rest[digits..].chars().next().ok_or_else(wrong)?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return Err(wrong()),
        };
        total_seconds = number
            .checked_mul(seconds)
            .and_then(|more| total_seconds.checked_add(more))
            .ok_or_else(wrong)?;
        rest = &rest[digits + unit.len_utf8()..];
    }
    if text.is_empty() {
        Err(wrong())
    } else {
        Ok(std::time::Duration::from_secs(total_seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_are_read_as_kubectl_reads_them() {
        assert_eq!(parse_duration("1h30m").unwrap().as_secs(), 5400);
        assert_eq!(parse_duration("45s").unwrap().as_secs(), 45);
        for bad in ["", "5", "m", "5x", "5mm", "99999999999999999999d", "-5s"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
