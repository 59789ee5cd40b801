//! The network's configuration: the first file of the directory, by name, as container daemons take it.
//!
//! A `.conflist` is a list of plugins, a `.conf` or `.json` a single one. A first file that cannot be used is an
//! error, and never a reason to take the second: pods would come to be in another network than meant.

use std::path::{Path, PathBuf};

use pinnace_sys::{Doing, SysError, file};
use serde_json::{Map, Value};

use super::error::CniError;
use super::version::SpecVersion;

const EXTENSIONS: [&str; 3] = ["conf", "conflist", "json"];
const MAX_FILE_BYTES: u64 = 1024 * 1024;
const MAX_FILES: usize = 1000;
const MAX_PLUGINS: usize = 64;
const MAX_NAME: usize = 128;

/// What a configuration has wrong.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// It cannot be read.
    #[error(transparent)]
    Host(#[from] SysError),
    /// It is no JSON.
    #[error("not valid JSON")]
    Json(#[source] serde_json::Error),
    /// It is JSON of another kind.
    #[error("{field} must be {expected}")]
    Type {
        /// The field.
        field: &'static str,
        /// What is expected.
        expected: &'static str,
    },
    /// The network has no usable name.
    #[error(
        "network name {name:?} is invalid: it must be 1 to {MAX_NAME} letters, digits, '_', '.' and '-', and begin with \
         a letter or digit"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// The version is not spoken here.
    #[error("CNI version {version:?} is not supported: 0.1.0 to 1.1.0 are")]
    Version {
        /// The version.
        version: String,
    },
    /// No plugin is named.
    #[error("no plugin configs found")]
    NoPlugins,
    /// Too many are.
    #[error("more than {MAX_PLUGINS} plugins")]
    TooManyPlugins,
    /// A plugin has no type, or one that is a path.
    #[error("plugin {index} has no valid type: {kind:?}")]
    Kind {
        /// Its place, from 0.
        index: usize,
        /// Its type.
        kind: String,
    },
}

/// A network: plugins to be executed one after the other.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Network {
    pub name: String,
    pub version: SpecVersion,
    pub disable_check: bool,
    pub disable_gc: bool,
    pub plugins: Vec<Plugin>,
}

/// One plugin of a network.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plugin {
    /// Its program's name.
    pub kind: String,
    /// Its configuration as it was written.
    pub conf: Map<String, Value>,
}

impl Plugin {
    /// It takes this argument from who executes it.
    pub(crate) fn is_capable(&self, capability: &str) -> bool {
        let capabilities = self.conf.get("capabilities");
        capabilities.and_then(|all| all.get(capability)) == Some(&Value::Bool(true))
    }

    /// The plugin that it executes for addresses.
    pub(crate) fn ipam(&self) -> Option<&str> {
        let kind = self.conf.get("ipam")?.get("type")?.as_str()?;
        (!kind.is_empty()).then_some(kind)
    }

    fn read(index: usize, conf: &Value) -> Result<Self, NetworkError> {
        let Value::Object(conf) = conf else {
            return Err(expected("plugins", "a list of objects"));
        };
        let kind = conf.get("type").and_then(Value::as_str).unwrap_or_default();
        if !is_kind(kind) {
            let kind = kind.chars().take(MAX_NAME).collect();
            return Err(NetworkError::Kind { index, kind });
        }
        Ok(Self {
            kind: kind.to_owned(),
            conf: conf.clone(),
        })
    }
}

impl Network {
    /// The network of a directory.
    pub(crate) fn load(directory: &Path) -> Result<Self, CniError> {
        let first = files(directory, &EXTENSIONS)?.into_iter().next();
        let Some(first) = first else {
            let directory = directory.display().to_string();
            return Err(CniError::NotInitialized { directory });
        };
        Self::load_file(&first).map_err(|source| CniError::Config {
            file: first.display().to_string(),
            source,
        })
    }

    /// Some plugin takes this argument.
    pub(crate) fn is_capable(&self, capability: &str) -> bool {
        self.plugins.iter().any(|plugin| plugin.is_capable(capability))
    }

    fn load_file(path: &Path) -> Result<Self, NetworkError> {
        let conf = read_json(path)?;
        if path.extension().is_none_or(|extension| extension != "conflist") {
            return Self::of_one(&conf);
        }
        let mut network = Self::of_list(&conf)?;
        let only_inlined = boolean(&conf, "loadOnlyInlinedPlugins")?;
        if !only_inlined && let Some(directory) = path.parent() {
            for path in files(&directory.join(&network.name), &["conf"])? {
                let index = network.plugins.len();
                network.plugins.push(Plugin::read(index, &read_json(&path)?)?);
            }
        }
        match network.plugins.len() {
            0 => Err(NetworkError::NoPlugins),
            1..=MAX_PLUGINS => Ok(network),
            _ => Err(NetworkError::TooManyPlugins),
        }
    }

    fn of_one(conf: &Value) -> Result<Self, NetworkError> {
        Ok(Self {
            name: name(conf)?,
            version: version(conf)?,
            disable_check: false,
            disable_gc: false,
            plugins: vec![Plugin::read(0, conf)?],
        })
    }

    fn of_list(conf: &Value) -> Result<Self, NetworkError> {
        let plugins = match conf.get("plugins") {
            None => &[],
            Some(Value::Array(plugins)) if !plugins.is_empty() => plugins.as_slice(),
            Some(Value::Array(_)) => return Err(NetworkError::NoPlugins),
            Some(_) => return Err(expected("plugins", "a list of objects")),
        };
        let plugins = plugins
            .iter()
            .enumerate()
            .map(|(index, conf)| Plugin::read(index, conf));
        Ok(Self {
            name: name(conf)?,
            version: version(conf)?,
            disable_check: boolean(conf, "disableCheck")?,
            disable_gc: boolean(conf, "disableGC")?,
            plugins: plugins.collect::<Result<_, _>>()?,
        })
    }

    /// A list in the form in which a record keeps it.
    pub(crate) fn to_list(&self) -> Value {
        let plugins = self.plugins.iter().map(|plugin| plugin.conf.clone().into());
        serde_json::json!({
            "cniVersion": self.version.as_str(),
            "name": self.name,
            "disableCheck": self.disable_check,
            "disableGC": self.disable_gc,
            "plugins": plugins.collect::<Vec<Value>>(),
        })
    }

    /// The reverse.
    pub(crate) fn from_list(list: &Value) -> Result<Self, NetworkError> {
        let network = Self::of_list(list)?;
        if network.plugins.is_empty() {
            return Err(NetworkError::NoPlugins);
        }
        Ok(network)
    }
}

/// Files of these extensions in the order of their names; none where there is no directory.
fn files(directory: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, SysError> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.doing_on("list", directory)?,
    };
    let mut files = Vec::new();
    for entry in entries.take(MAX_FILES) {
        let path = entry.doing_on("list", directory)?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if extension.is_some_and(|extension| extensions.contains(&extension)) && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read_json(path: &Path) -> Result<Value, NetworkError> {
    let bytes = file::read_limited(path, MAX_FILE_BYTES)?;
    let value: Value = serde_json::from_slice(&bytes).map_err(NetworkError::Json)?;
    match value {
        Value::Object(_) => Ok(value),
        _ => Err(expected("the configuration", "an object")),
    }
}

fn name(conf: &Value) -> Result<String, NetworkError> {
    let name = conf.get("name").and_then(Value::as_str).unwrap_or_default();
    if name.len() > MAX_NAME || !is_name(name) {
        let name = name.chars().take(MAX_NAME).collect();
        return Err(NetworkError::Name { name });
    }
    Ok(name.to_owned())
}

pub(crate) fn is_name(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_alphanumeric()) && text.bytes().all(known)
}

fn is_kind(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len()) && !text.contains(['/', '\0']) && text != "." && text != ".."
}

/// The newest that both sides know, of `cniVersions` and `cniVersion`.
fn version(conf: &Value) -> Result<SpecVersion, NetworkError> {
    let only = match conf.get("cniVersion") {
        None => None,
        Some(version) => Some(version.as_str().ok_or(expected("cniVersion", "a string"))?),
    };
    let several = match conf.get("cniVersions") {
        None => &[],
        Some(Value::Array(versions)) => versions.as_slice(),
        Some(_) => return Err(expected("cniVersions", "a list of strings")),
    };
    let mut known: Vec<SpecVersion> = Vec::new();
    for version in several {
        let version = version.as_str();
        let version = version.ok_or(expected("cniVersions", "a list of strings"))?;
        known.extend(SpecVersion::parse(version));
    }
    if only.is_some() || several.is_empty() {
        known.extend(SpecVersion::parse(only.unwrap_or_default()));
    }
    known.into_iter().max().ok_or_else(|| {
        let version = only.or_else(|| several.first().and_then(Value::as_str));
        NetworkError::Version {
            version: version.unwrap_or_default().chars().take(MAX_NAME).collect(),
        }
    })
}

/// `true` and `"true"` are the same, in any case.
fn boolean(conf: &Value, field: &'static str) -> Result<bool, NetworkError> {
    match conf.get(field) {
        None => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(_) => Err(expected(field, "true or false")),
    }
}

fn expected(field: &'static str, expected: &'static str) -> NetworkError {
    NetworkError::Type { field, expected }
}

#[cfg(test)]
mod tests;
