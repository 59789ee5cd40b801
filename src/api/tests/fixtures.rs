//! Whole files: what is found in bad ones, what comes out of good ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::path::Path;

use pinnace_api::{ReadLimits, Reading, Severity, from_document, read_documents};

fn read(path: &str) -> Reading {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let name = file.file_name().unwrap().to_str().unwrap();
    read_documents(&text, name, &ReadLimits::default())
}

fn shown(reading: &Reading) -> String {
    let mut text = String::new();
    for problem in &reading.problems {
        text.push_str(&format!("{:?} {problem}\n", problem.severity));
    }
    for located in &reading.objects {
        text.push_str(&format!("Object {}: {}\n", located.line, located.object.key()));
    }
    text
}

/// Compares with the golden file, or writes it where `BLESS` is set.
fn check_golden(manifest: &str, golden: &str) {
    let actual = shown(&read(manifest));
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(golden);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&golden, &actual).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap();
    for (actual, expected) in actual.lines().zip(expected.lines()) {
        assert_eq!(
            actual,
            expected,
            "in {}; BLESS=1 writes it anew",
            golden.display()
        );
    }
    assert_eq!(
        actual.lines().count(),
        expected.lines().count(),
        "lines of {}",
        golden.display()
    );
}

#[test]
fn every_fault_is_found_with_its_line_and_field_and_hides_no_good_document() {
    check_golden("tests/fixtures/faults.yaml", "tests/fixtures/faults.txt");
}

#[test]
fn fields_that_are_not_held_are_reported_each_by_its_weight() {
    check_golden("tests/fixtures/unheld.yaml", "tests/fixtures/unheld.txt");
}

#[test]
fn every_fault_of_services_and_policies_is_found() {
    check_golden(
        "tests/fixtures/network_faults.yaml",
        "tests/fixtures/network_faults.txt",
    );
}

#[test]
fn json_lists_and_several_documents_come_out_with_their_lines() {
    check_golden("tests/fixtures/list.json", "tests/fixtures/list.txt");
}

#[test]
fn manifests_shipped_as_examples_read_without_errors() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/examples");
    let mut count = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = std::fs::read(&path).unwrap();
        let reading = read_documents(&text, path.to_str().unwrap(), &ReadLimits::default());
        assert!(!reading.has_errors(), "{}", shown(&reading));
        assert!(!reading.objects.is_empty(), "{} holds nothing", path.display());
        count += 1;
    }
    assert!(count >= 2, "both DaemonSets are there");
}

#[test]
fn objects_are_read_again_from_their_documents() {
    let examples = [
        "../../config/examples/node-exporter-daemonset.yaml",
        "tests/fixtures/full.yaml",
        "tests/fixtures/network.yaml",
    ];
    for path in examples {
        let reading = read(path);
        assert!(!reading.has_errors(), "{}", shown(&reading));
        for located in reading.objects {
            let Some(document) = located.object.document() else {
                continue;
            };
            assert_eq!(from_document(document, "record"), Ok(located.object.clone()));
        }
    }
}

#[test]
fn warnings_and_notes_do_not_cost_the_object() {
    let reading = read("../../config/examples/fluentd-daemonset.yaml");
    assert_eq!(reading.problems.len(), 1);
    assert_eq!(reading.problems[0].severity, Severity::Warning);
    assert_eq!(
        reading.problems[0].field.as_deref(),
        Some("spec.template.spec.serviceAccountName")
    );
    assert_eq!(reading.objects.len(), 1);
}
