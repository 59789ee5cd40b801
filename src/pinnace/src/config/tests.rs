//! Files as users write them.

use std::fs;

use tempfile::TempDir;

use super::*;

/// A configuration directory with these files.
fn etc(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

/// The problems as lines, relative to the directory.
fn problems(files: &[(&str, &str)]) -> Vec<String> {
    let dir = etc(files);
    let prefix = format!("{}/", dir.path().display());
    let problems = Sources::in_etc(dir.path()).load().unwrap_err();
    problems
        .iter()
        .map(|problem| problem.to_string().replace(&prefix, ""))
        .collect()
}

#[test]
fn nothing_at_all_is_the_default() {
    let dir = tempfile::tempdir().unwrap();
    let absent = Sources::in_etc(&dir.path().join("absent")).load().unwrap();
    assert_eq!(
        (absent.config, absent.files),
        (NodeConfig::default(), Vec::<PathBuf>::new())
    );
    for empty in ["", "# only a comment\n", "---\n", "{}\n", "nodeLabels:\n"] {
        let dir = etc(&[("config.yaml", empty)]);
        let loaded = Sources::in_etc(dir.path()).load().unwrap();
        assert_eq!(loaded.config, NodeConfig::default(), "{empty:?}");
        assert_eq!(loaded.files, [dir.path().join("config.yaml")]);
    }
}

#[test]
fn the_shipped_file_is_the_default() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/config.yaml");
    let text = fs::read_to_string(shipped).unwrap();
    let dir = etc(&[("config.yaml", &text)]);
    assert_eq!(
        Sources::in_etc(dir.path()).load().unwrap().config,
        NodeConfig::default()
    );
    // With the comments taken off the settings, it still is.
    let settings: Vec<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("#:"))
        .map(str::to_owned)
        .collect();
    let dir = etc(&[("config.yaml", &settings.join("\n"))]);
    assert_eq!(
        Sources::in_etc(dir.path()).load().unwrap().config,
        NodeConfig::default()
    );
    let shown = serde_json::to_value(NodeConfig::default()).unwrap();
    for name in shown.as_object().unwrap().keys() {
        assert!(
            text.contains(&format!("#:{name}:")),
            "{name} is not in config/config.yaml"
        );
    }
}

#[test]
fn files_are_laid_over_each_other_in_the_order_of_their_names() {
    let dir = etc(&[
        (
            "config.yaml",
            "maxPods: 10\nnodeLabels: {a: one, b: one}\nociRuntimes: [crun, runc]\npodPidsLimit: 5\n",
        ),
        ("config.d/20-more.yaml", "maxPods: 30\nnodeLabels: {b: three}\n"),
        (
            "config.d/10-some.yaml",
            "maxPods: 20\nnodeLabels:\n  b: two\n  c: two\nociRuntimes: [runc]\npodPidsLimit:\n",
        ),
        ("config.d/.30-hidden.yaml", "maxPods: 40\n"),
        ("config.d/30-other.txt", "maxPods: 50\n"),
        ("config.d/30-backup.yaml~", "maxPods: 60\n"),
    ]);
    let loaded = Sources::in_etc(dir.path()).load().unwrap();
    let config = loaded.config;
    assert_eq!(config.max_pods, 30);
    let labels: Vec<(&str, &str)> = config
        .node_labels
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    assert_eq!(labels, [("a", "one"), ("b", "three"), ("c", "two")]);
    assert_eq!(config.oci_runtimes, ["runc"]);
    assert_eq!(
        config.pod_pids_limit, -1,
        "a value left empty is the default again"
    );
    assert_eq!(
        loaded.files,
        ["config.yaml", "config.d/10-some.yaml", "config.d/20-more.yaml"].map(|name| dir.path().join(name))
    );
}

#[test]
fn every_problem_has_its_file_line_and_path() {
    let found = problems(&[
        (
            "config.yaml",
            "maxPods: 10\nmaxPod: 11\nregisterWithTaints:\n- key: ok\n  effect: NoExecute\n- key: k\n  effect: NoRun\n",
        ),
        (
            "config.d/a.yaml",
            "\nnodeLabels:\n  fine: x\n  example.org/bad value: v\nkubeReserved:\n  cpu: much\ntaints: []\n",
        ),
        ("config.d/b.yaml", "containerLogMaxFiles: 1\n"),
    ]);
    let mut found: Vec<&str> = found.iter().map(String::as_str).collect();
    found.sort_unstable();
    let starts = [
        "config.d/a.yaml:4: nodeLabels.example.org/bad value: must be [prefix/]name",
        "config.d/a.yaml:5: kubeReserved: cpu: \"much\": quantities must match",
        "config.d/a.yaml:7: taints: unknown setting, did you mean registerWithTaints?",
        "config.d/b.yaml:1: containerLogMaxFiles: must be greater than 1",
        "config.yaml:2: maxPod: unknown setting, did you mean maxPods?",
        "config.yaml:7: registerWithTaints[1].effect: unknown variant `NoRun`",
    ];
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    for (problem, start) in found.iter().zip(starts) {
        assert!(problem.starts_with(start), "{problem}\nexpected {start}");
    }
}

#[test]
fn an_unknown_setting_within_a_setting_is_named_in_full() {
    let found = problems(&[("config.yaml", "crashLoopBackOff:\n  maxPeriod: 5s\n")]);
    assert_eq!(
        found,
        [
            "config.yaml:2: crashLoopBackOff.maxPeriod: unknown setting, expected one of maxContainerRestartPeriod"
        ]
    );
}

#[test]
fn text_that_is_no_configuration_is_refused_with_its_line() {
    for (text, line, word) in [
        ("a: 1\nb: [\n", "config.yaml:", ""),
        ("maxPods: 1\nmaxPods: 2\n", "config.yaml:2", "duplicate"),
        ("- maxPods\n", "config.yaml:1", "must be a map of settings"),
        ("maxPods: 1\n---\nmaxPods: 2\n", "config.yaml", ""),
        ("just words\n", "config.yaml:1", "must be a map of settings"),
    ] {
        let found = problems(&[("config.yaml", text)]);
        assert_eq!(found.len(), 1, "{text:?}: {found:?}");
        assert!(
            found[0].starts_with(line) && found[0].contains(word),
            "{text:?}: {}",
            found[0]
        );
    }
}

#[test]
fn one_bad_file_does_not_hide_what_is_wrong_in_another() {
    let found = problems(&[("config.yaml", "a: [\n"), ("config.d/b.yaml", "maxPods: -5\n")]);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[1].starts_with("config.d/b.yaml:1: maxPods:"), "{found:?}");
}

#[test]
fn what_is_too_much_or_no_file_is_refused() {
    let bomb = "a: &a [x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\n\
        c: &c [*b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c]\n\
        e: &e [*d, *d, *d, *d, *d, *d, *d, *d]\nf: &f [*e, *e, *e, *e, *e, *e, *e, *e]\n";
    assert!(problems(&[("config.yaml", bomb)])[0].starts_with("config.yaml"));
    let deep = format!("nodeLabels: {}{}\n", "[".repeat(5000), "]".repeat(5000));
    assert!(problems(&[("config.yaml", &deep)])[0].starts_with("config.yaml"));
    let large = format!("# {}\n", "x".repeat(2 << 20));
    assert_eq!(
        problems(&[("config.yaml", &large)]),
        ["config.yaml: is larger than 1048576 bytes"]
    );
    let dir = etc(&[]);
    fs::create_dir(dir.path().join("config.yaml")).unwrap();
    let error = Sources::in_etc(dir.path()).load().unwrap_err();
    assert!(error[0].message.contains("is not a regular file"), "{error:?}");
    let dir = etc(&[]);
    let fifo = dir.path().join("config.yaml");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let error = Sources::in_etc(dir.path()).load().unwrap_err();
    assert!(error[0].message.contains("is not a regular file"), "{error:?}");
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("config.yaml"), b"nodeName: \xff\n").unwrap();
    assert!(
        Sources::in_etc(dir.path()).load().unwrap_err()[0]
            .message
            .contains("is not UTF-8 at byte 10")
    );
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let dir = etc(&[("other.yaml", "maxPods: 7\n"), ("config.yaml", "maxPods: 8\n")]);
    let named = |name: &str| {
        Sources::in_etc(dir.path())
            .with_file(dir.path().join(name))
            .load()
    };
    assert_eq!(named("other.yaml").unwrap().config.max_pods, 7);
    let error = named("absent.yaml").unwrap_err();
    assert!(
        error[0].to_string().contains("absent.yaml: cannot be read"),
        "{error:?}"
    );
}

#[test]
fn a_broken_link_is_not_taken_for_absence() {
    let dir = etc(&[]);
    std::os::unix::fs::symlink("nowhere", dir.path().join("config.yaml")).unwrap();
    assert!(Sources::in_etc(dir.path()).load().is_err());
}
