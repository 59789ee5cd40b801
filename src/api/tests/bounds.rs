//! Hostile and huge input: a clear error, and nothing lost.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::time::{Duration, Instant};

use pinnace_api::{ReadLimits, Reading, read_documents};
use proptest::prelude::*;

const POD: &str =
    "apiVersion: v1\nkind: Pod\nmetadata: {name: NAME}\nspec: {containers: [{name: a, image: b}]}\n";

fn pod(name: &str) -> String {
    POD.replace("NAME", name)
}

fn read(text: &str) -> Reading {
    read_documents(text.as_bytes(), "f.yaml", &ReadLimits::default())
}

fn messages(reading: &Reading) -> Vec<String> {
    reading.problems.iter().map(ToString::to_string).collect()
}

fn pods(count: usize) -> String {
    (0..count)
        .map(|number| format!("---\n{}", pod(&format!("p{number}"))))
        .collect()
}

#[test]
fn a_file_beyond_the_size_is_refused_unread() {
    let text = vec![b'a'; 50 << 20];
    let reading = read_documents(&text, "f.yaml", &ReadLimits::default());
    assert_eq!(
        messages(&reading),
        ["f.yaml: file is too large: 52428800 bytes, and at most 3145728 are read"]
    );
}

#[test]
fn a_thousand_documents_are_read_and_no_more() {
    let reading = read(&pods(1000));
    assert_eq!((reading.objects.len(), reading.problems.len()), (1000, 0));

    let reading = read(&pods(1003));
    assert_eq!(reading.objects.len(), 1000);
    let message = "f.yaml:5002: file has more than 1000 documents: what follows is not read";
    assert_eq!(messages(&reading), [message]);
}

#[test]
fn an_alias_bomb_costs_only_its_document() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    let started = Instant::now();
    let reading = read(&format!("{bomb}---\n{}", pod("sound")));
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "took {:?}",
        started.elapsed()
    );
    assert_eq!(reading.objects.len(), 1);
    assert_eq!(reading.problems.len(), 1);
    assert!(
        reading.problems[0]
            .message
            .ends_with("document contains excessive aliasing"),
        "{:?}",
        reading.problems
    );
}

#[test]
fn an_alias_of_much_text_is_counted_by_its_text() {
    let text = format!(
        "a: &a {}\nb: [{}]\n",
        "x".repeat(100_000),
        vec!["*a"; 5000].join(", ")
    );
    let reading = read(&text);
    assert!(
        reading.problems[0]
            .message
            .ends_with("document contains excessive aliasing"),
        "{:?}",
        reading.problems
    );
}

#[test]
fn depth_is_bounded_in_every_style_and_through_aliases() {
    let flow = format!("a: {}{}\n", "[".repeat(5000), "]".repeat(5000));
    let maps = format!("{}x{}\n", "{a: ".repeat(120), "}".repeat(120));
    let block: String = (0..200)
        .map(|level| format!("{}a:\n", " ".repeat(level)))
        .collect();
    let half = format!("{}x{}", "[".repeat(60), "]".repeat(60));
    let alias = format!("a: &a {half}\nb: {}*a{}\n", "[".repeat(60), "]".repeat(60));
    for text in [flow, maps, block, alias] {
        let reading = read(&format!("{text}---\n{}", pod("sound")));
        assert_eq!(reading.objects.len(), 1);
        assert_eq!(reading.problems.len(), 1);
    }
}

#[test]
fn an_alias_of_itself_is_refused() {
    let reading = read("a: &a [*a]\n");
    assert!(
        reading.problems[0]
            .message
            .contains("anchor value contains itself"),
        "{:?}",
        reading.problems
    );
}

#[test]
fn text_that_is_not_utf8_is_told_by_its_line() {
    let reading = read_documents(b"a: b\nc: \xff\n", "f.yaml", &ReadLimits::default());
    assert_eq!(messages(&reading), ["f.yaml:2: file is not valid UTF-8"]);
}

#[test]
fn broken_documents_between_good_ones_hide_none() {
    let broken = [
        "a: [1, 2\n",
        "a: b: c\n",
        "\ta: b\n",
        "a: \"open\n",
        "a: *nowhere\n",
        "{a: b\n",
        "? [a]\n: b\n",
        "a: !custom b\n",
        "%YAML 9.9\n",
        "a: |\n  x\n y\n",
        "- a\nb: c\n",
        "a: 'x\n",
        "@at: x\n",
    ];
    for text in broken {
        let reading = read(&format!("{}---\n{text}---\n{}", pod("before"), pod("after")));
        let names: Vec<String> = reading
            .objects
            .iter()
            .map(|located| located.object.key().to_string())
            .collect();
        assert_eq!(
            names,
            ["Pod default/before", "Pod default/after"],
            "around {text:?}"
        );
        assert!(reading.has_errors(), "{text:?} is told");
    }
}

#[test]
fn empty_files_and_documents_hold_nothing() {
    for text in [
        "",
        "\n\n",
        "# only a comment\n",
        "---\n---\n# none\n---\n",
        "\u{feff}",
        "null\n",
        "...\n",
    ] {
        assert_eq!(read(text), Reading::default(), "of {text:?}");
    }
}

#[test]
fn many_documents_of_much_memory_are_bounded_together() {
    let one = format!(
        "a: &a {}\nb: [{}]\n---\n",
        "x".repeat(5000),
        vec!["*a"; 1500].join(", ")
    );
    let reading = read(&one.repeat(30));
    let last = reading.problems.last().unwrap();
    assert!(
        last.message
            .ends_with("documents of the file take too much memory together"),
        "{last}"
    );
}

#[test]
fn a_hundred_thousand_variables_take_no_time() {
    let variables: String = (0..100_000)
        .map(|number| format!("{{name: V{number}}},"))
        .collect();
    let text = POD.replace("image: b", &format!("image: b, env: [{variables}]"));
    let started = Instant::now();
    let limits = ReadLimits {
        document_bytes: 64 << 20,
        ..ReadLimits::default()
    };
    let reading = read_documents(text.replace("NAME", "a").as_bytes(), "f", &limits);
    assert_eq!(reading.objects.len(), 1, "{:?}", reading.problems);
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "took {:?}",
        started.elapsed()
    );
}

#[test]
fn findings_of_one_document_are_bounded() {
    let fields: String = (0..5000).map(|number| format!("  f{number}: 1\n")).collect();
    let reading = read(&format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec:\n{fields}"
    ));
    assert_eq!(reading.problems.len(), 100);
}

fn fragment() -> impl Strategy<Value = String> {
    let pieces = vec![
        "a",
        "b: ",
        "- ",
        "\n",
        "  ",
        "\n  ",
        "\n- ",
        "{",
        "}",
        "[",
        "]",
        ",",
        ": ",
        "\"",
        "'",
        "|",
        ">",
        "&a ",
        "*a",
        "<<: ",
        "!!str ",
        "!x ",
        "---\n",
        "...\n",
        "#",
        "%YAML 1.2\n",
        "?",
        "~",
        "0644",
        "yes",
        "1e3",
        "\t",
        "\u{feff}",
        "\u{0}",
        "ü",
        "apiVersion: v1\n",
        "kind: Pod\n",
        "metadata: {name: a}\n",
        "spec:\n",
        "  containers:\n",
        "  - name: a\n",
        "    image: b\n",
        "items: ",
        "kind: List\n",
    ];
    prop::collection::vec(prop::sample::select(pieces), 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        read_documents(&bytes, "f", &ReadLimits::default());
    }

    #[test]
    fn arbitrary_text_is_survived(text in "\\PC{0,200}") {
        read(&text);
    }

    #[test]
    fn yaml_like_text_is_survived_and_told_in_order(text in fragment()) {
        let reading = read(&text);
        let lines: Vec<_> = reading.problems.iter().map(|problem| problem.line).collect();
        prop_assert!(lines.is_sorted());
        prop_assert!(lines.iter().all(Option::is_some));
    }

    #[test]
    fn a_good_document_survives_whatever_stands_before_it(text in fragment()) {
        // The first marker may be the one that ends the text's own directives.
        let reading = read(&format!("{text}\n---\n---\n{}", pod("sound-one")));
        let sound = |located: &pinnace_api::Located| located.object.key().name.as_str() == "sound-one";
        prop_assert!(reading.objects.iter().any(sound), "{:?}", reading.problems);
    }
}
