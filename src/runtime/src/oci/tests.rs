use std::ffi::OsStr;

use super::*;

fn layout() -> (tempfile::TempDir, Layout) {
    let dir = tempfile::tempdir().expect("a directory");
    let layout = Layout::new(dir.path());
    std::fs::create_dir_all(layout.run()).expect("the run directory");
    (dir, layout)
}

fn script(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a script");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("executable");
    path.display().to_string()
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn the_first_that_really_works_is_taken_and_leaves_nothing() {
    let (_dir, layout) = layout();
    let chosen = choose(&names(&["crun", "runc"]), &layout).expect("crun or runc is installed and works");
    assert!(chosen.seccomp, "the default profile is taken");
    let left: Vec<_> = std::fs::read_dir(layout.run())
        .expect("the run directory")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(left, [OsStr::new("oci-runtimes.json")]);
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    assert!(!mounts.contains(&layout.run().display().to_string()));
}

#[test]
fn what_an_agent_left_that_was_killed_at_a_trial_goes_with_the_next() {
    let (_dir, layout) = layout();
    let name = "probe-1-left";
    std::fs::create_dir_all(layout.run().join(name).join("rootfs")).expect("a bundle");
    let cgroups = pinnace_sys::cgroup::Cgroups::detect().expect("cgroups");
    let group = cgroups
        .group(format!("pinnace{}-{name}", layout.tag()))
        .expect("a group");
    group.create().expect("a group");
    choose(&names(&["crun", "runc"]), &layout).expect("crun or runc is installed and works");
    assert!(!group.exists());
    assert!(!layout.run().join(name).exists());
}

#[test]
fn one_that_fails_is_passed_over_with_its_reason() {
    let (dir, layout) = layout();
    let bad = script(
        dir.path(),
        "bad",
        "echo 'cgroups in hybrid mode not supported' >&2; exit 1",
    );
    let error = choose(&[bad, "no-such-runtime".to_owned()], &layout).expect_err("none works");
    let text = error.to_string();
    assert!(
        text.contains("create: cgroups in hybrid mode not supported"),
        "{text}"
    );
    assert!(text.contains("no-such-runtime: not installed"), "{text}");
}

#[test]
fn a_verdict_is_remembered_until_the_program_changes() {
    let (dir, layout) = layout();
    let count = dir.path().join("count");
    let text = format!("echo x >> {}", count.display());
    let program = script(dir.path(), "good", &text);
    let calls = || {
        std::fs::read_to_string(&count)
            .unwrap_or_default()
            .lines()
            .count()
    };
    choose(std::slice::from_ref(&program), &layout).expect("works");
    assert_eq!(calls(), 2, "create and delete");
    choose(std::slice::from_ref(&program), &layout).expect("works");
    assert_eq!(calls(), 2, "remembered");
    script(dir.path(), "good", &format!("{text} # changed"));
    choose(&[program], &layout).expect("works");
    assert_eq!(calls(), 4, "tried again");
}

#[test]
fn one_without_seccomp_is_taken_without_it() {
    let (dir, layout) = layout();
    let text = "case \"$3\" in create) grep -q seccomp \"$5/config.json\" && exit 1;; esac; exit 0";
    let program = script(dir.path(), "plain", text);
    assert!(!choose(&[program], &layout).expect("works").seccomp);
}

#[test]
fn names_are_found_in_path_and_paths_as_they_are() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = script(dir.path(), "oci", "");
    assert_eq!(
        find("oci", Some(dir.path().as_os_str())),
        Some(PathBuf::from(&path))
    );
    assert_eq!(find(&path, None), Some(PathBuf::from(&path)));
    assert_eq!(find("other", Some(dir.path().as_os_str())), None);
}
