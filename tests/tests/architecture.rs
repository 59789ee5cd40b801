//! Who may use whom: adapters never name each other, and decisions know no adapter.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

/// A crate of `src/` and the crates of ours that it may use.
const MAY_USE: [(&str, &[&str]); 12] = [
    ("api", &[]),
    ("sys", &[]),
    ("core", &["api"]),
    ("shim", &["sys"]),
    ("runtime", &["api", "core", "shim", "sys"]),
    ("net", &["api", "core", "sys"]),
    ("volumes", &["api", "core", "sys"]),
    ("store", &["api", "core", "sys"]),
    ("metrics", &["api", "core", "sys"]),
    ("engine", &["api", "core"]),
    ("server", &["api", "core"]),
    (
        "pinnace",
        &[
            "api", "core", "engine", "metrics", "net", "runtime", "server", "shim", "store", "sys", "volumes",
        ],
    ),
];

fn packages() -> Vec<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let told = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(pinnace_tests::images::repository())
        .output()
        .unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let metadata: Value = serde_json::from_slice(&told.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn short(name: &str) -> &str {
    name.strip_prefix("pinnace-").unwrap_or(name)
}

#[test]
fn every_crate_uses_only_the_crates_that_it_may() {
    let ours: BTreeSet<&str> = MAY_USE.iter().map(|(name, _)| *name).collect();
    let mut seen = BTreeSet::new();
    for package in packages() {
        let name = package["name"].as_str().unwrap().to_owned();
        if name == "pinnace-tests" {
            continue;
        }
        let (_, may) = MAY_USE
            .iter()
            .find(|(known, _)| *known == short(&name))
            .unwrap_or_else(|| panic!("{name} has no row in this test's table"));
        seen.insert(short(&name).to_owned());
        for dependency in package["dependencies"].as_array().unwrap() {
            let used = short(dependency["name"].as_str().unwrap());
            let for_tests = dependency["kind"] == "dev";
            assert!(
                for_tests || !ours.contains(used) || may.contains(&used),
                "{name} uses {used}, which it may not"
            );
        }
    }
    assert_eq!(
        seen.len(),
        MAY_USE.len(),
        "crates of the table that are gone: {seen:?}"
    );
}
