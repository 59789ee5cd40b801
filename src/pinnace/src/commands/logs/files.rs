//! Which files hold the log of a container.
//!
//! `<pods>/<ns>_<name>_<uid>/<container>/<n>.log`, and beside it the rotated parts `<n>.log.<time>`, whose
//! names sort by age.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Why no log was found; the message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    #[error("no pod {0:?} has a log on this node")]
    NoPod(String),
    #[error("pod {name:?} exists in several namespaces ({namespaces}): add -n NAMESPACE")]
    Ambiguous { name: String, namespaces: String },
    #[error("a container name must be specified for pod {pod}, choose one of: [{containers}]")]
    WhichContainer { pod: String, containers: String },
    #[error("container {container:?} is not valid for pod {pod}; it has: [{containers}]")]
    NoContainer {
        pod: String,
        container: String,
        containers: String,
    },
    #[error("previous terminated container {container:?} in pod {pod:?} not found")]
    NoPrevious { pod: String, container: String },
    #[error("container {container:?} in pod {pod:?} has written no log yet")]
    NoLog { pod: String, container: String },
    #[error("list {path}")]
    List { path: PathBuf, source: io::Error },
}

/// The directory of one container's logs.
#[derive(Debug, PartialEq, Eq)]
pub struct ContainerLogs {
    directory: PathBuf,
    pod: String,
    container: String,
    /// Namespace, for questions to the agent.
    pub namespace: String,
}

fn names(path: &Path) -> Result<Vec<String>, FindError> {
    let list = |error: io::Error| FindError::List {
        path: path.to_owned(),
        source: error,
    };
    let entries = match std::fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(list)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(list)?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

impl ContainerLogs {
    /// Finds the newest pod of this name and its container.
    pub fn find(
        pods: &Path,
        namespace: Option<&str>,
        pod: &str,
        container: Option<&str>,
    ) -> Result<Self, FindError> {
        let mut found: Vec<(String, PathBuf)> = names(pods)?
            .into_iter()
            .filter_map(|name| {
                let mut parts = name.splitn(3, '_');
                let (ns, of) = (parts.next()?.to_owned(), parts.next()?);
                let wanted = of == pod && namespace.is_none_or(|wanted| wanted == ns);
                wanted.then(|| (ns, pods.join(&name)))
            })
            .collect();
        let modified = |path: &Path| {
            path.metadata()
                .and_then(|m| m.modified())
                .unwrap_or(SystemTime::UNIX_EPOCH)
        };
        found.sort_by_key(|(_, path)| modified(path));
        let mut namespaces: Vec<&str> = found.iter().map(|(ns, _)| ns.as_str()).collect();
        namespaces.sort_unstable();
        namespaces.dedup();
        if namespaces.len() > 1 {
            let namespaces = namespaces.join(", ");
            return Err(FindError::Ambiguous {
                name: pod.to_owned(),
                namespaces,
            });
        }
        let (namespace, directory) = found.pop().ok_or_else(|| FindError::NoPod(pod.to_owned()))?;
        let containers = names(&directory)?;
        let container = pick(pod, &containers, container)?;
        Ok(Self {
            directory: directory.join(&container),
            pod: pod.to_owned(),
            container,
            namespace,
        })
    }

    /// The container's name.
    pub fn container(&self) -> &str {
        &self.container
    }

    /// The newest instance's number, or with `previous` that of the one before.
    pub fn instance(&self, previous: bool) -> Result<u32, FindError> {
        let (pod, container) = (self.pod.clone(), self.container.clone());
        let number = |name: &String| {
            name.strip_suffix(".log")
                .and_then(|number| number.parse::<u32>().ok())
        };
        let mut numbers: Vec<u32> = names(&self.directory)?.iter().filter_map(number).collect();
        numbers.sort_unstable();
        let newest = numbers.pop().ok_or(FindError::NoLog {
            pod: pod.clone(),
            container: container.clone(),
        })?;
        if !previous {
            return Ok(newest);
        }
        numbers.pop().ok_or(FindError::NoPrevious { pod, container })
    }

    /// The file that the instance writes now.
    pub fn current(&self, instance: u32) -> PathBuf {
        self.directory.join(format!("{instance}.log"))
    }

    /// All files of an instance, oldest first, the current one last.
    pub fn all(&self, instance: u32) -> Result<Vec<PathBuf>, FindError> {
        let prefix = format!("{instance}.log.");
        let mut files: Vec<PathBuf> = names(&self.directory)?
            .into_iter()
            .filter(|name| name.starts_with(&prefix))
            .map(|name| self.directory.join(name))
            .collect();
        files.push(self.current(instance));
        Ok(files)
    }
}

fn pick(pod: &str, containers: &[String], wanted: Option<&str>) -> Result<String, FindError> {
    let pod = pod.to_owned();
    let all = || containers.join(" ");
    match (wanted, containers) {
        (Some(name), _) if containers.iter().any(|one| one == name) => Ok(name.to_owned()),
        (Some(name), _) => Err(FindError::NoContainer {
            pod,
            container: name.to_owned(),
            containers: all(),
        }),
        (None, [only]) => Ok(only.clone()),
        (None, []) => Err(FindError::NoPod(pod)),
        (None, _) => Err(FindError::WhichContainer {
            pod,
            containers: all(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: PathBuf) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }

    #[test]
    fn the_newest_instance_and_its_rotated_parts_are_found_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let pod = dir.path().join("default_web_u1/app");
        for name in [
            "9.log",
            "10.log",
            "10.log.20260102-000000",
            "10.log.20260101-000000",
        ] {
            touch(pod.join(name));
        }
        let logs = ContainerLogs::find(dir.path(), None, "web", None).unwrap();
        assert_eq!(logs.instance(false).unwrap(), 10);
        assert_eq!(logs.instance(true).unwrap(), 9);
        let names: Vec<String> = logs
            .all(10)
            .unwrap()
            .iter()
            .map(|p| p.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(
            names,
            ["10.log.20260101-000000", "10.log.20260102-000000", "10.log"]
        );
    }

    #[test]
    fn what_is_not_unique_or_not_there_is_said_with_the_choices() {
        let dir = tempfile::tempdir().unwrap();
        touch(dir.path().join("a_web_u1/app/0.log"));
        touch(dir.path().join("b_web_u2/app/0.log"));
        touch(dir.path().join("b_web_u2/side/0.log"));
        let find = |ns, pod, container| {
            ContainerLogs::find(dir.path(), ns, pod, container)
                .unwrap_err()
                .to_string()
        };
        assert!(find(None, "web", None).contains("a, b"));
        assert!(find(Some("b"), "web", None).contains("[app side]"));
        assert!(find(Some("b"), "web", Some("x")).contains("[app side]"));
        assert!(find(None, "nope", None).contains("nope"));
        assert!(ContainerLogs::find(dir.path(), Some("a"), "web", None).is_ok());
    }
}
