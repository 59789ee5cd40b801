//! What a scalar means, by the rules of the YAML reader that Kubernetes uses.
//!
//! It reads YAML 1.1's words (`yes`, `off`, `0644`), but has no base-60 numbers, and what looks like a time
//! stays text.

use serde_json::Number;

use crate::tree::Value;

/// Whole numbers below this one are exact as floats.
const MOST_EXACT: f64 = 9_007_199_254_740_992.0;

/// What a plain scalar without a tag means.
pub(super) fn resolve(text: &str) -> Result<Value, &'static str> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Value::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Value::Bool(false)
        }
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf"
        | "-.Inf" | "-.INF" => return Err("must be a finite number"),
        _ => match number(text) {
            Some(number) => Value::Number(number),
            None => Value::String(text.to_owned()),
        },
    })
}

/// The number that `text` writes, if it does; a float beyond all bounds stays text.
fn number(text: &str) -> Option<Number> {
    if !text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first)) {
        return None;
    }
    if text.starts_with('.') {
        return float(text);
    }
    let plain = text.replace('_', "");
    integer(&plain).or_else(|| float(&plain))
}

/// Integers with C's prefixes, and `0o` and `0b`.
fn integer(text: &str) -> Option<Number> {
    let (negative, magnitude) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let prefixed = |short: &str, long: &str| magnitude.strip_prefix(short).or(magnitude.strip_prefix(long));
    let (digits, radix) = if let Some(digits) = prefixed("0x", "0X") {
        (digits, 16)
    } else if let Some(digits) = prefixed("0o", "0O") {
        (digits, 8)
    } else if let Some(digits) = prefixed("0b", "0B") {
        (digits, 2)
    } else if magnitude.len() > 1 && magnitude.starts_with('0') {
        (&magnitude[1..], 8)
    } else {
        (magnitude, 10)
    };
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let value = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        return Some(0_i64.checked_sub_unsigned(value)?.into());
    }
    Some(value.into())
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, finite.
fn float(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent_is_sound = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    let sound = digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    if !sound || !exponent_is_sound {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    if value.fract() == 0.0 && value.abs() < MOST_EXACT {
        // JSON has one kind of number: a whole float is written as an integer.
        return Some((value as i64).into());
    }
    Number::from_f64(value)
}

/// What a scalar means that carries a tag of YAML's own (`!!str`, `!!int`, …).
pub(super) fn resolve_tagged(tag: &str, text: &str) -> Result<Value, &'static str> {
    let resolved = match tag {
        "str" => return Ok(Value::String(text.to_owned())),
        "null" | "bool" | "int" | "float" => resolve(text)?,
        _ => return Err("tag is not supported"),
    };
    match (tag, &resolved) {
        ("null", Value::Null) | ("bool", Value::Bool(_)) | ("float", Value::Number(_)) => Ok(resolved),
        ("int", Value::Number(number)) if !number.is_f64() => Ok(resolved),
        _ => Err("value does not have the type of its tag"),
    }
}

/// The text that a scalar makes as a map's key: Kubernetes turns numbers and words into text again.
pub(super) fn key_text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Bool(bool) => Some(bool.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::List(_) | Value::Map(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{resolve, resolve_tagged};
    use crate::tree::Value;

    fn json(text: &str) -> String {
        match resolve(text).unwrap() {
            Value::Null => "null".to_owned(),
            Value::Bool(bool) => bool.to_string(),
            Value::Number(number) => number.to_string(),
            Value::String(text) => format!("{text:?}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn plain_scalars_mean_what_kubernetes_reads() {
        let cases = [
            ("0644", "420"),
            ("0o644", "420"),
            ("0x1F", "31"),
            ("0b101", "5"),
            ("-0b101", "-5"),
            ("1_000", "1000"),
            ("-12", "-12"),
            ("+12", "12"),
            ("0", "0"),
            ("089", "89"),
            ("1.5", "1.5"),
            (".5", "0.5"),
            ("1e3", "1000"),
            ("18446744073709551615", "18446744073709551615"),
            ("yes", "true"),
            ("Off", "false"),
            ("n", "false"),
            ("yEs", "\"yEs\""),
            ("~", "null"),
            ("", "null"),
            ("1.2.3", "\"1.2.3\""),
            ("12:30:45", "\"12:30:45\""),
            ("2001-12-14", "\"2001-12-14\""),
            ("100m", "\"100m\""),
            ("-", "\"-\""),
            ("+", "\"+\""),
            (".", "\".\""),
            ("0x", "\"0x\""),
            ("1e", "\"1e\""),
            ("inf", "\"inf\""),
            ("0x-5", "\"0x-5\""),
        ];
        for (text, expected) in cases {
            assert_eq!(json(text), expected, "of {text:?}");
        }
        assert!(resolve(".inf").is_err());
    }

    #[test]
    fn a_tag_decides_and_is_checked() {
        assert_eq!(resolve_tagged("str", "5"), Ok(Value::String("5".to_owned())));
        assert_eq!(resolve_tagged("int", "5"), Ok(Value::Number(5_u64.into())));
        assert!(resolve_tagged("int", "five").is_err());
        assert!(resolve_tagged("binary", "aGk=").is_err());
    }
}
