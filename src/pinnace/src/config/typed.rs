//! The merged tree as a typed configuration, with all that is wrong in it.

use std::path::PathBuf;

use pinnace_core::config::NodeConfig;

use super::ConfigProblem;
use super::tree::Tree;

/// After so many findings the rest is not looked for.
const MAX_PROBLEMS: usize = 100;
/// Names that other programs or our own words suggest, and what is meant.
const OTHER_NAMES: [(&str, &str); 6] = [
    ("taints", "registerWithTaints"),
    ("labels", "nodeLabels"),
    ("hostnameOverride", "nodeName"),
    ("name", "nodeName"),
    ("manifests", "staticPodPath"),
    ("metricsBindAddress", "metricsListen"),
];

/// Reads the tree; a setting of the wrong type is reported, taken out, and the rest looked at again.
pub(super) fn read(mut tree: Tree, files: &[PathBuf], problems: &mut Vec<ConfigProblem>) -> NodeConfig {
    tree.without_nulls();
    let mut left = tree.clone();
    while problems.len() < MAX_PROBLEMS {
        let json = left.to_json();
        let error = match serde_path_to_error::deserialize::<_, NodeConfig>(json) {
            Ok(config) => {
                let found = config.problems().into_iter();
                problems.extend(found.map(|found| at(&tree, files, &found.field, found.message)));
                return config;
            }
            Err(error) => error,
        };
        let path = match error.path().to_string() {
            path if path == "." => String::new(),
            path => path,
        };
        let message = error.inner().to_string();
        let (path, message) = match unknown(&message) {
            Some((name, expected)) => (member(&path, name), no_such_setting(name, &expected)),
            None => (path, message),
        };
        problems.push(at(&tree, files, &path, message));
        if !left.remove(&path) {
            break;
        }
    }
    NodeConfig::default()
}

fn member(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path if path.ends_with(name) => path.to_owned(),
        path => format!("{path}.{name}"),
    }
}

fn at(tree: &Tree, files: &[PathBuf], field: &str, message: String) -> ConfigProblem {
    let place = tree.at(field);
    ConfigProblem {
        file: files.get(place.file).cloned().unwrap_or_default(),
        line: Some(place.line),
        field: (!field.is_empty()).then(|| field.to_owned()),
        message,
    }
}

/// The name in an `unknown field` message, and the names that were expected.
fn unknown(message: &str) -> Option<(&str, Vec<&str>)> {
    let mut quoted = message
        .strip_prefix("unknown field ")?
        .split('`')
        .skip(1)
        .step_by(2);
    Some((quoted.next()?, quoted.collect()))
}

fn no_such_setting(name: &str, expected: &[&str]) -> String {
    let suggestion = OTHER_NAMES
        .iter()
        .find(|(other, meant)| *other == name && expected.contains(meant))
        .map(|(_, meant)| *meant)
        .or_else(|| nearest(name, expected));
    match suggestion {
        Some(meant) => format!("unknown setting, did you mean {meant}?"),
        None => format!("unknown setting, expected one of {}", expected.join(", ")),
    }
}

/// The name that differs least, where it differs by a slip of the pen.
fn nearest<'n>(name: &str, names: &[&'n str]) -> Option<&'n str> {
    let slips = names.iter().map(|other| (slips(name, other), *other));
    let (least, other) = slips.min()?;
    (least <= 2).then_some(other)
}

/// Letters to be put in, taken out or changed, capitals set aside.
fn slips(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, letter) in left.to_lowercase().chars().take(64).enumerate() {
        let mut next = vec![index + 1];
        for (column, other) in right.iter().enumerate() {
            let changed = row[column] + usize::from(letter != *other);
            next.push(changed.min(row[column + 1] + 1).min(next[column] + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
