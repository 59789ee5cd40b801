//! What each verb takes.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use pinnace_api::Namespace;

use super::values;

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
    /// Services
    #[value(name = "services", aliases = ["service", "svc"])]
    Services,
    /// What stands behind Services
    #[value(name = "endpoints", aliases = ["endpoint", "ep"])]
    Endpoints,
    /// The same, of both families
    #[value(name = "endpointslices", aliases = ["endpointslice"])]
    EndpointSlices,
    /// Texts that pods take as variables and files
    #[value(name = "configmaps", aliases = ["configmap", "cm"])]
    ConfigMaps,
    /// The same, hidden
    #[value(name = "secrets", aliases = ["secret"])]
    Secrets,
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
    /// Names alone, such as pod/web
    Name,
}

/// Options of `get`.
#[derive(Debug, Args)]
pub struct GetArgs {
    /// What to list
    pub resource: Resource,
    /// One object of this name only
    pub name: Option<String>,
    /// Only this namespace; all without it
    #[arg(short, long, value_name = "NAMESPACE", value_parser = values::namespace)]
    pub namespace: Option<Namespace>,
    /// As kubectl: every namespace (the default here)
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub all_namespaces: bool,
    /// wide, yaml, json or name
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<Output>,
}

/// Options of `describe`.
#[derive(Debug, Args)]
pub struct DescribeArgs {
    /// pods, daemonsets, services, endpoints or node
    pub resource: Resource,
    /// The object's name; all of the kind without it
    pub name: Option<String>,
    /// Its namespace; needed only where the name is not unique
    #[arg(short, long, value_name = "NAMESPACE", value_parser = values::namespace)]
    pub namespace: Option<Namespace>,
}

/// A container of a pod.
#[derive(Debug, Args)]
pub struct Target {
    /// The pod's name
    pub pod: String,
    /// Its namespace; needed only where the name is not unique
    #[arg(short, long, value_name = "NAMESPACE", value_parser = values::namespace)]
    pub namespace: Option<Namespace>,
    /// The container; of several, the pod's default one without it
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
    /// Only so many of the last lines; -1: all
    #[arg(
        long,
        value_name = "LINES",
        default_value = "-1",
        allow_negative_numbers = true,
        value_parser = values::tail
    )]
    pub tail: values::Tail,
    /// Only lines newer than this: 30s, 10m, 2h
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
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
    /// Manifests, directories of them, or - for standard input
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
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = values::duration)]
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
