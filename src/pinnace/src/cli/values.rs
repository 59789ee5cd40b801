//! Values of options that are more than a word or a number.

use pinnace_api::Namespace;
use pinnace_api::ident::IdentError;

/// A namespace's name.
pub(super) fn namespace(text: &str) -> Result<Namespace, IdentError> {
    Namespace::new(text)
}

/// How many of the last lines are wanted; `None` for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tail(pub Option<usize>);

/// A number of lines, or -1.
pub(super) fn tail(text: &str) -> Result<Tail, String> {
    if text == "-1" {
        return Ok(Tail(None));
    }
    let lines = text
        .parse()
        .map_err(|_| "must be a number of lines, or -1 for all".to_owned());
    Ok(Tail(Some(lines?)))
}

/// `90s`, `10m`, `2h`, `1d`, or a sum of such.
pub(super) fn duration(text: &str) -> Result<std::time::Duration, String> {
    let wrong = || format!("{text:?} is not a duration such as 30s, 10m or 2h");
    let mut rest = text;
    let mut total_seconds: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        let unit = rest[digits..].chars().next().ok_or_else(wrong)?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return Err(wrong()),
        };
        total_seconds = number
            .checked_mul(seconds)
            .and_then(|more| total_seconds.checked_add(more))
            .ok_or_else(wrong)?;
        rest = &rest[digits + unit.len_utf8()..];
    }
    if text.is_empty() {
        Err(wrong())
    } else {
        Ok(std::time::Duration::from_secs(total_seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_kubectl_reads_them() {
        assert_eq!(duration("1h30m").unwrap().as_secs(), 5400);
        assert_eq!(duration("45s").unwrap().as_secs(), 45);
        for bad in ["", "5", "m", "5x", "5mm", "99999999999999999999d", "-5s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
