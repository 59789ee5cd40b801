//! `docs/FIELDS.md`, written from the table, so that the page cannot say anything else than the node does.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use super::Effect;
use super::shown::shown_by;
use super::table::{Fields, TYPES};

/// The kinds that are read by the table.
pub(super) const KINDS: [&str; 10] = [
    "Pod",
    "PodTemplate",
    "DaemonSet",
    "Service",
    "NetworkPolicy",
    "Namespace",
    "ConfigMap",
    "Secret",
    "PersistentVolumeClaim",
    "StorageClass",
];

const HEAD: &str = "# Fields

What this node does with each field of a Pod, PodTemplate, DaemonSet, Service, NetworkPolicy, Namespace,
ConfigMap, Secret, PersistentVolumeClaim or StorageClass. The page is made from the table that the node itself asks
(`src/api/src/support/table.rs`); `BLESS=1 cargo test -p pinnace-api --lib support` writes it anew.

- **enforced**: the field does what Kubernetes says it does; the test shows it.
- **→ Type**: its own fields are listed under that type.
- **no effect**: it is accepted with a warning that gives the reason; the pod runs well without.
- **refused**: the object is not taken, since the pod would behave wrongly if the field were passed over.

A value in brackets is accepted in silence, being what Kubernetes defaults to or what the node does anyway. So is a field
that is null, or an empty text or list. A field that no list names is refused as unknown.
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    for (name, fields) in reached_types() {
        let _ = write!(
            page,
            "\n## {}\n\n| field | here | |\n| --- | --- | --- |\n",
            title(name)
        );
        for (field, effect) in *fields {
            let (here, mut note) = words(*effect);
            if let (Effect::Held, Some(test)) = (effect, shown_by(name, field)) {
                note = link(test);
            }
            let _ = writeln!(page, "| {field} | {here} | {note} |");
        }
    }
    page
}

/// Leads to a test's file.
fn link(test: &str) -> String {
    let (file, function) = test.split_once("::").unwrap_or((test, ""));
    format!("[{}](../{file})", function.replace('_', " "))
}

/// The table's types that a document can hold.
pub(super) fn reached_types() -> impl Iterator<Item = &'static (&'static str, Fields)> {
    let reached = reached();
    TYPES.iter().filter(move |(name, _)| reached.contains(name))
}

/// The types that a document can hold: those that only refused fields lead to are not shown.
fn reached() -> BTreeSet<&'static str> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&str> = KINDS.to_vec();
    while let Some(name) = next.pop() {
        if !reached.insert(name) {
            continue;
        }
        let fields = TYPES.iter().filter(|(known, _)| *known == name);
        next.extend(
            fields
                .flat_map(|(_, fields)| *fields)
                .filter_map(|(_, effect)| match effect {
                    Effect::Into(inner) => Some(*inner),
                    _ => None,
                }),
        );
    }
    reached
}

fn title(name: &str) -> &str {
    if name == "TemplateMeta" {
        "ObjectMeta of a template"
    } else {
        name
    }
}

fn words(effect: Effect) -> (String, String) {
    let listed = |values: &[&str]| {
        let quoted: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
        quoted.join(", ")
    };
    let bracketed = |values: &[&str]| match values {
        [] => String::new(),
        values => format!(" ({})", listed(values)),
    };
    match effect {
        Effect::Held => ("enforced".to_owned(), String::new()),
        Effect::Into(inner) => {
            let title = title(inner);
            let anchor = title.to_lowercase().replace(' ', "-");
            (format!("→ [{title}](#{anchor})"), String::new())
        }
        Effect::Inert(silent, reason) => (format!("no effect{}", bracketed(silent)), reason.to_owned()),
        Effect::Refused(silent) => (format!("refused{}", bracketed(silent)), String::new()),
        Effect::Forbidden(why) => ("refused".to_owned(), format!("{why}, as on a cluster")),
        Effect::Choice {
            silent,
            inert,
            reason,
        } => (
            format!("refused{}", bracketed(silent)),
            format!("{}: no effect, {reason}", listed(inert)),
        ),
    }
}

/// Compares with the page in `docs/`, or writes it where `BLESS` is set.
#[test]
fn the_page_of_fields_says_what_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/FIELDS.md");
    let page = page();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(
        written == page,
        "docs/FIELDS.md is out of date; BLESS=1 writes it anew"
    );
}
