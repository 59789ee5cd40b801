//! The specification's verbs on a network: which plugins are executed, in which order, and with what.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pinnace_api::PodUid;
use serde_json::{Map, Value, json};

use super::INTERFACE;
use super::error::CniError;
use super::exec::{self, RunError};
use super::lock::{PodLock, plain_input};
use super::network::{Network, Plugin};
use super::result::AddResult;

/// A pod's plugin may take so long; the kubelet gives a whole sandbox two minutes.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
/// What only asks may take so long.
const ASKING_LIMIT: Duration = Duration::from_secs(10);
/// What systemd tells this process alone.
const NOT_INHERITED: [&str; 7] = [
    "INVOCATION_ID",
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];
/// Where plugins find the programs that they execute, beside what the agent's own search path has.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Executes plugins of these directories.
#[derive(Debug)]
pub(crate) struct Caller {
    directories: Vec<PathBuf>,
}

/// A pod's place in a network.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attachment<'a> {
    pub uid: &'a PodUid,
    /// The pod's namespace; none where it is gone.
    pub namespace: Option<&'a Path>,
    pub args: &'a str,
    pub capabilities: &'a Map<String, Value>,
    pub lock: &'a PodLock,
}

/// An attachment that GC keeps.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Valid {
    pub container: String,
    pub interface: String,
}

impl Caller {
    pub(crate) fn new(directories: Vec<PathBuf>) -> Self {
        Self { directories }
    }

    /// A plugin's program.
    pub(crate) fn find(&self, kind: &str) -> Result<PathBuf, CniError> {
        let paths = self.directories.iter().map(|directory| directory.join(kind));
        let found = paths
            .into_iter()
            .find(|path| path.metadata().is_ok_and(|found| found.is_file()));
        found.ok_or_else(|| CniError::Missing {
            plugin: kind.to_owned(),
            directories: self.search_path(),
        })
    }

    /// ADD: each plugin gets the result of the one before it; the last one's is the network's.
    pub(crate) fn add(
        &self,
        network: &Network,
        attachment: &Attachment<'_>,
    ) -> Result<Option<AddResult>, CniError> {
        let mut result: Option<AddResult> = None;
        for plugin in &network.plugins {
            let before = result.as_ref().map(|result| &result.value);
            let conf = conf_of(network, plugin, before, attachment);
            let answer = self.execute(plugin, ("ADD", "add"), &conf, attachment)?;
            let read = AddResult::read(&answer, network.version);
            result = Some(read.map_err(|source| CniError::Result {
                plugin: plugin.kind.clone(),
                source,
            })?);
        }
        Ok(result)
    }

    /// CHECK, with the network's result; the first plugin that finds something wrong ends it.
    pub(crate) fn check(
        &self,
        network: &Network,
        attachment: &Attachment<'_>,
        result: &Value,
    ) -> Result<(), CniError> {
        if network.disable_check || !network.version.has_check() {
            return Ok(());
        }
        for plugin in &network.plugins {
            let conf = conf_of(network, plugin, Some(result), attachment);
            self.execute(plugin, ("CHECK", "check"), &conf, attachment)?;
        }
        Ok(())
    }

    /// DEL, from the last plugin to the first; one that fails holds up no other.
    pub(crate) fn delete(
        &self,
        network: &Network,
        attachment: &Attachment<'_>,
        result: Option<&Value>,
    ) -> Result<(), CniError> {
        let result = result.filter(|_| network.version.has_check());
        let mut errors = Vec::new();
        for plugin in network.plugins.iter().rev() {
            let conf = conf_of(network, plugin, result, attachment);
            let deleted = self.execute(plugin, ("DEL", "delete"), &conf, attachment);
            errors.extend(deleted.err());
        }
        CniError::all(errors)
    }

    /// STATUS: whether the network takes pods; networks of older versions always say so.
    pub(crate) fn status(&self, network: &Network) -> Result<(), CniError> {
        if !network.version.has_gc_and_status() {
            return Ok(());
        }
        for plugin in &network.plugins {
            let conf = base_conf(network, plugin);
            self.ask(plugin, ("STATUS", "status"), &conf, ASKING_LIMIT)?;
        }
        Ok(())
    }

    /// GC: plugins let go of what is of none of these; those of older versions cannot.
    pub(crate) fn collect(&self, network: &Network, valid: &[Valid]) -> Result<(), CniError> {
        if network.disable_gc || !network.version.has_gc_and_status() {
            return Ok(());
        }
        let valid = valid.iter().map(|valid| {
            let Valid { container, interface } = valid;
            json!({"containerID": container, "ifname": interface})
        });
        let valid: Value = valid.collect();
        let mut errors = Vec::new();
        for plugin in &network.plugins {
            let mut conf = base_conf(network, plugin);
            // The first is the specification's; the second stood there by mistake, and plugins read it.
            for key in ["cni.dev/valid-attachments", "cni.dev/attachments"] {
                conf.insert(key.to_owned(), valid.clone());
            }
            errors.extend(self.ask(plugin, ("GC", "gc"), &conf, LIMIT).err());
        }
        CniError::all(errors)
    }

    /// VERSION: those that a plugin speaks.
    pub(crate) fn versions(&self, network: &Network, plugin: &Plugin) -> Result<Vec<String>, CniError> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Versions {
            #[serde(default)]
            supported_versions: Vec<String>,
        }
        let conf = Map::from_iter([("cniVersion".to_owned(), network.version.as_str().into())]);
        let answer = self.ask(plugin, ("VERSION", "version"), &conf, ASKING_LIMIT)?;
        let read: Result<Versions, _> = serde_json::from_slice(&answer);
        let read = read.map_err(|source| CniError::Plugin {
            plugin: plugin.kind.clone(),
            verb: "version",
            source: RunError::Unreadable {
                answer: String::from_utf8_lossy(&answer).chars().take(100).collect(),
                source,
            },
        })?;
        Ok(read.supported_versions)
    }

    /// On behalf of a pod.
    fn execute(
        &self,
        plugin: &Plugin,
        verb: (&str, &'static str),
        conf: &Map<String, Value>,
        attachment: &Attachment<'_>,
    ) -> Result<Vec<u8>, CniError> {
        let namespace = attachment.namespace.map(|path| path.display().to_string());
        let environment = [
            ("CNI_CONTAINERID", attachment.uid.to_string()),
            ("CNI_NETNS", namespace.unwrap_or_default()),
            ("CNI_IFNAME", INTERFACE.to_owned()),
            ("CNI_ARGS", attachment.args.to_owned()),
        ];
        let input = attachment.lock.input(&to_bytes(conf))?;
        self.run(plugin, verb, &environment, input, LIMIT)
    }

    /// On behalf of no pod.
    fn ask(
        &self,
        plugin: &Plugin,
        verb: (&str, &'static str),
        conf: &Map<String, Value>,
        limit: Duration,
    ) -> Result<Vec<u8>, CniError> {
        let input = plain_input(&to_bytes(conf))?;
        self.run(plugin, verb, &[], input, limit)
    }

    fn run(
        &self,
        plugin: &Plugin,
        (command, verb): (&str, &'static str),
        variables: &[(&str, String)],
        input: std::fs::File,
        limit: Duration,
    ) -> Result<Vec<u8>, CniError> {
        let program = self.find(&plugin.kind)?;
        let mut environment = inherited();
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        environment.extend(variables);
        environment.push(("CNI_COMMAND".to_owned(), command.to_owned()));
        environment.push(("CNI_PATH".to_owned(), self.search_path()));
        exec::run(&program, &environment, input, limit).map_err(|source| CniError::Plugin {
            plugin: plugin.kind.clone(),
            verb,
            source,
        })
    }

    fn search_path(&self) -> String {
        let directories = self
            .directories
            .iter()
            .map(|directory| directory.display().to_string());
        directories.collect::<Vec<_>>().join(":")
    }
}

fn base_conf(network: &Network, plugin: &Plugin) -> Map<String, Value> {
    let mut conf = plugin.conf.clone();
    conf.insert("name".to_owned(), network.name.clone().into());
    conf.insert("cniVersion".to_owned(), network.version.as_str().into());
    conf
}

fn conf_of(
    network: &Network,
    plugin: &Plugin,
    result: Option<&Value>,
    attachment: &Attachment<'_>,
) -> Map<String, Value> {
    let mut conf = base_conf(network, plugin);
    if let Some(result) = result {
        conf.insert("prevResult".to_owned(), result.clone());
    }
    let arguments = attachment.capabilities.iter();
    let arguments: Map<String, Value> = arguments
        .filter(|(capability, _)| plugin.is_capable(capability))
        .map(|(capability, argument)| (capability.clone(), argument.clone()))
        .collect();
    if !arguments.is_empty() {
        conf.insert("runtimeConfig".to_owned(), arguments.into());
    }
    conf
}

fn to_bytes(conf: &Map<String, Value>) -> Vec<u8> {
    json!(conf).to_string().into_bytes()
}

/// The agent's own environment, as plugins have it from every container daemon.
fn inherited() -> Vec<(String, String)> {
    let kept = |name: &str| !NOT_INHERITED.contains(&name) && !name.starts_with("CNI_") && name != "PATH";
    let text = |text: &OsStr| text.to_str().map(str::to_owned);
    let variables = std::env::vars_os().filter_map(|(name, value)| Some((text(&name)?, text(&value)?)));
    let mut environment: Vec<(String, String)> = variables.filter(|(name, _)| kept(name)).collect();
    let path = match std::env::var("PATH") {
        Ok(own) if !own.is_empty() => format!("{own}:{SEARCH_PATH}"),
        _ => SEARCH_PATH.to_owned(),
    };
    environment.push(("PATH".to_owned(), path));
    environment
}

#[cfg(test)]
mod tests;
