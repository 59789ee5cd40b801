//! What descriptions of several kinds have in common.

use serde_json::Value;

use super::super::row::{instant, text};
use super::super::tabs::Tabs;

const NONE: &str = "<none>";

/// The text, or `<none>` for nothing.
pub fn or_none(text: String) -> String {
    if text.is_empty() { NONE.to_owned() } else { text }
}

/// The pairs of a map below each other, or `<none>`; long and many-lined values are shown whole.
pub fn pairs(map: Option<&Value>, between: &str) -> String {
    let pairs = map.and_then(Value::as_object).into_iter().flatten();
    let pairs = pairs.map(|(key, value)| format!("{key}{between}{}", shown(value)));
    or_none(pairs.collect::<Vec<_>>().join("\n"))
}

/// A value of one word as it is written without quotes.
pub fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A list's items; none where it is not there.
pub fn list<'v>(object: &'v Value, path: &str) -> impl Iterator<Item = &'v Value> + use<'v> {
    let items = object.pointer(path).and_then(Value::as_array);
    items.into_iter().flatten()
}

/// The words `True` and `False`.
pub fn capital(truth: Option<&Value>) -> &'static str {
    if truth == Some(&Value::Bool(true)) {
        "True"
    } else {
        "False"
    }
}

/// The object's time at `path`, as `Sun, 22 Nov 2026 20:40:54 +0000`; empty where there is none.
pub fn time(object: &Value, path: &str) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let Some(instant) = instant(&text(object, path)) else {
        return String::new();
    };
    let written = instant.rfc3339();
    let part = |from: usize, to: usize| written.get(from..to).unwrap_or_default();
    // The first day of the epoch was a Thursday.
    let day = DAYS[(instant.0 / 86_400_000 % 7) as usize];
    let month = part(5, 7)
        .parse()
        .ok()
        .and_then(|month: usize| month.checked_sub(1));
    let month = month
        .and_then(|month| MONTHS.get(month))
        .copied()
        .unwrap_or_default();
    format!(
        "{day}, {} {month} {} {} +0000",
        part(8, 10),
        part(0, 4),
        part(11, 19)
    )
}

/// A map of amounts or the like, a line each.
pub fn amounts(level: usize, title: &str, map: Option<&Value>, tabs: &mut Tabs) {
    let Some(map) = map.and_then(Value::as_object).filter(|map| !map.is_empty()) else {
        return;
    };
    tabs.title(level, title);
    for (name, amount) in map {
        tabs.field(level + 1, name, &shown(amount));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn times_are_written_with_their_day_of_the_week() {
        for (written, told) in [
            ("2026-11-22T20:40:54Z", "Sun, 22 Nov 2026 20:40:54 +0000"),
            ("1970-01-01T00:00:00Z", "Thu, 01 Jan 1970 00:00:00 +0000"),
            ("2024-02-29T23:59:59Z", "Thu, 29 Feb 2024 23:59:59 +0000"),
        ] {
            assert_eq!(time(&json!({"at": written}), "/at"), told);
        }
        assert_eq!(time(&json!({"at": "soon"}), "/at"), "");
    }

    #[test]
    fn nothing_is_said_so() {
        assert_eq!(pairs(Some(&json!({})), "="), "<none>");
        assert_eq!(pairs(Some(&json!({"a": "b", "c": "d"})), "="), "a=b\nc=d");
    }
}
