//! Arguments, environment and working directory of a container, out of its pod and its image.

use pinnace_api::pod::Container;
use pinnace_core::environment::Invocation;

use super::SpecError;

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What an image's configuration says of its container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageDefaults {
    /// `Entrypoint`.
    pub entrypoint: Vec<String>,
    /// `Cmd`.
    pub cmd: Vec<String>,
    /// `Env`, as `NAME=value`.
    pub env: Vec<String>,
    /// `User`, as `user[:group]`.
    pub user: String,
    /// `WorkingDir`.
    pub working_dir: String,
}

/// `command` replaces the entrypoint and makes the image's `Cmd` void; `args` alone replace the `Cmd`.
pub fn args(invocation: &Invocation, image: &ImageDefaults) -> Result<Vec<String>, SpecError> {
    let (command, args) = (&invocation.command, &invocation.args);
    let (head, tail): (&[String], &[String]) = match (command.is_empty(), args.is_empty()) {
        (true, true) => (&image.entrypoint, &image.cmd),
        (true, false) => (&image.entrypoint, args),
        (false, _) => (command, args),
    };
    let all: Vec<String> = head.iter().chain(tail).cloned().collect();
    if all.is_empty() {
        Err(SpecError::NoCommand)
    } else {
        Ok(all)
    }
}

/// PATH, HOSTNAME (and TERM with a terminal) as defaults, then the image's, then the pod's; a later value
/// takes an earlier one's place, and each name occurs once.
pub fn env(image: &ImageDefaults, pod: &[(String, String)], hostname: &str, tty: bool) -> Vec<String> {
    let mut all: Vec<(&str, &str)> = vec![("PATH", DEFAULT_PATH), ("HOSTNAME", hostname)];
    if tty {
        all.push(("TERM", "xterm"));
    }
    let of_image = image.env.iter().filter_map(|line| line.split_once('='));
    let of_pod = pod.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in of_image.chain(of_pod) {
        match all.iter_mut().find(|(known, _)| *known == name) {
            Some(entry) => entry.1 = value,
            None => all.push((name, value)),
        }
    }
    all.into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

/// The pod's working directory, else the image's, else `/`.
pub fn cwd(container: &Container, image: &ImageDefaults) -> String {
    container
        .working_dir
        .as_deref()
        .filter(|text| !text.is_empty())
        .or(Some(image.working_dir.as_str()).filter(|text| !text.is_empty()))
        .unwrap_or("/")
        .to_owned()
}
