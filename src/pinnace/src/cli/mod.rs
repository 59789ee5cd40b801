//! The command line: verbs, options, help with examples.

mod args;
mod values;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub use args::{
    AgentArgs, ConfigVerb, DescribeArgs, DrainArgs, ExecArgs, GetArgs, ImageVerb, LogsArgs, Output, PlanArgs,
    Resource, ValidateArgs,
};

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
    /// List pods, DaemonSets, Services, endpoints, events, or show the node
    #[command(after_help = GET_EXAMPLES)]
    Get(GetArgs),
    /// Show objects in full, with their events
    #[command(
        after_help = "Examples:\n  pinnace describe pod web\n  pinnace describe daemonset fluentd -n logging\n  pinnace describe node\n  pinnace describe pods -n logging     all of them"
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
        after_help = "Examples:\n  pinnace validate pod.yaml daemonset.yaml\n  pinnace validate /etc/pinnace/manifests\n  cat pod.yaml | pinnace validate -\n\nExit codes: 0 no error (warnings may be printed); 1 an error."
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
    /// Say what this machine lacks for a node, and what to do about it
    #[command(after_help = "Exit codes: 0 nothing is missing; 1 something is.")]
    Doctor,
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
  pinnace get services -o wide
  pinnace get endpoints web
  pinnace get node -o json
  pinnace get events";
const LOGS_EXAMPLES: &str = "Examples:
  pinnace logs web
  pinnace logs -f --tail 20 web -c sidecar
  pinnace logs --previous web
  pinnace logs --since 10m web";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn values_that_mean_nothing_are_refused() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        for good in [
            "pinnace logs web --tail -1",
            "pinnace logs web --tail=0",
            "pinnace get po -n kube-system",
        ] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in [
            "pinnace logs web --tail -2",
            "pinnace logs web -n UPPER",
            "pinnace get po -n a&namespace=b",
            "pinnace get po -n a -A",
            "pinnace drain",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
