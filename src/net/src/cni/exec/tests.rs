use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::*;

const LIMIT: Duration = Duration::from_secs(20);

struct Script {
    directory: tempfile::TempDir,
}

impl Script {
    fn new(text: &str) -> Self {
        let script = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        std::fs::write(script.path("plugin"), format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(script.path("plugin"), PermissionsExt::from_mode(0o755)).unwrap();
        script
    }
    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
    fn run_for(&self, limit: Duration) -> Result<Vec<u8>, RunError> {
        std::fs::write(self.path("input"), "{\"name\": \"x\"}").unwrap();
        let input = File::open(self.path("input")).unwrap();
        let environment = [
            ("PATH".to_owned(), std::env::var("PATH").unwrap()),
            ("CNI_COMMAND".to_owned(), "ADD".to_owned()),
        ];
        run(&self.path("plugin"), &environment, input, limit)
    }
    fn run(&self) -> Result<Vec<u8>, RunError> {
        self.run_for(LIMIT)
    }
}

fn said(text: &str) -> String {
    let error = Script::new(text).run().unwrap_err();
    let cause = std::error::Error::source(&error).map_or(String::new(), |cause| format!(": {cause}"));
    format!("{error}{cause}")
}

#[test]
fn input_and_environment_reach_it_and_its_answer_comes_back() {
    let answer = Script::new("printf '%s ' \"$CNI_COMMAND\"; cat; echo noise >&2; env | grep -c HOME || :")
        .run()
        .unwrap();
    assert_eq!(String::from_utf8(answer).unwrap(), "ADD {\"name\": \"x\"}0\n");
}

#[test]
fn its_own_error_is_told_with_code_message_and_details() {
    let script = Script::new(
        r#"echo '{"cniVersion": "1.0.0", "code": 11, "msg": "try again later", "details": "no DHCP"}'; exit 1"#,
    );
    match script.run().unwrap_err() {
        RunError::Failed { code, msg, details } => {
            assert_eq!(
                (code, msg.as_str(), details.as_str()),
                (11, "try again later", "no DHCP")
            );
        }
        other => panic!("{other}"),
    }
    assert_eq!(script.run().unwrap_err().to_string(), "try again later; no DHCP");
    assert_eq!(
        said(r#"printf '%s' '{"code": 7, "msg": "bad\nconf\u001b[1m"}'; exit 7"#),
        "bad conf [1m"
    );
}

#[test]
fn a_failure_without_an_error_object_is_told_all_the_same() {
    assert_eq!(
        said("echo 'no such thing' >&2; exit 3"),
        "netplugin failed: \"no such thing\""
    );
    assert_eq!(
        said("exit 3"),
        "netplugin failed with no error message: exit status: 3"
    );
    assert!(said("kill -9 $$").starts_with("netplugin failed with no error message: signal: 9"));
    assert!(said("echo oops; exit 1").starts_with(
        "netplugin failed but error parsing its diagnostic message \"oops\": expected value at line 1"
    ));
}

#[test]
fn one_that_does_not_end_is_killed_with_all_that_it_executed() {
    let script = Script::new("sleep 600 & echo $! >\"${0%/*}/child\"; echo $$ >\"${0%/*}/self\"; wait");
    let begun = Instant::now();
    let limit = Duration::from_millis(500);
    let error = script.run_for(limit).unwrap_err();
    assert!(matches!(error, RunError::TimedOut { .. }), "{error}");
    assert!(begun.elapsed() < LIMIT);
    for name in ["child", "self"] {
        let pid: u32 = std::fs::read_to_string(script.path(name))
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let begun = Instant::now();
        while pinnace_sys::process::stat(pid).is_ok_and(|stat| !stat.is_ended()) {
            assert!(begun.elapsed() < LIMIT, "{name} {pid} lives on");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn one_that_answers_without_end_is_killed() {
    let error = Script::new("exec yes").run().unwrap_err();
    assert!(matches!(error, RunError::TooLong), "{error}");
}

#[test]
fn any_amount_of_error_output_is_let_pass_and_its_beginning_kept() {
    let script =
        "i=0; while [ $i -lt 3000 ]; do echo 'the beginning of much that is said here' >&2; i=$((i+1)); done";
    assert_eq!(
        Script::new(&format!("{script}; echo '{{}}'")).run().unwrap(),
        b"{}\n"
    );
    let error = Script::new(&format!("{script}; exit 1")).run().unwrap_err();
    match error {
        RunError::Words { words } => {
            assert!(words.starts_with("the beginning") && words.len() <= MAX_WORDS);
        }
        other => panic!("{other}"),
    }
}

#[test]
fn output_that_others_hold_open_is_not_waited_for_beyond_its_end() {
    let script = Script::new("sleep 600 & echo $! >\"${0%/*}/child\"; echo done");
    let begun = Instant::now();
    assert_eq!(script.run().unwrap(), b"done\n");
    assert!(begun.elapsed() < LIMIT);
    let pid: i32 = std::fs::read_to_string(script.path("child"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    rustix::process::kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn one_that_is_not_there_or_no_program_is_named() {
    let script = Script::new("");
    std::fs::set_permissions(script.path("plugin"), PermissionsExt::from_mode(0o644)).unwrap();
    let error = script.run().unwrap_err().to_string();
    assert_eq!(error, format!("execute {}", script.path("plugin").display()));
}
