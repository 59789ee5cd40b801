//! Durations in the configuration, in the notation of KubeletConfiguration (`300ms`, `1m30s`, `1h`).

use std::fmt;

/// A length of time, in microseconds: fine enough for the shortest cpu period.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct ConfigDuration {
    micros: u64,
}

/// A text that is no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a duration such as 300ms, 20s, 1m30s or 1h")]
pub struct DurationError;

const MAX_LENGTH: usize = 40;

impl ConfigDuration {
    /// So many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self {
            micros: seconds * 1_000_000,
        }
    }
    /// So many milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self {
            micros: millis * 1_000,
        }
    }
    /// Whole milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.micros / 1_000
    }
    /// Microseconds.
    pub const fn as_micros(self) -> u64 {
        self.micros
    }
    /// As the standard library's duration.
    pub const fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_micros(self.micros)
    }
}

fn unit_nanos(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// Reads one `number unit` and answers its nanoseconds and the rest.
fn part(text: &str) -> Option<(u128, &str)> {
    let number_end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, rest) = text.split_at(number_end);
    let unit_end = rest
        .find(|c: char| c.is_ascii_digit() || c == '.')
        .unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    Some((digits.checked_mul(unit_nanos(unit)?)? / scale, rest))
}

impl TryFrom<String> for ConfigDuration {
    type Error = DurationError;

    fn try_from(text: String) -> Result<Self, DurationError> {
        if text == "0" {
            return Ok(Self::default());
        }
        if text.is_empty() || text.len() > MAX_LENGTH {
            return Err(DurationError);
        }
        let (mut nanos, mut rest) = (0_u128, text.as_str());
        while !rest.is_empty() {
            let (more, after) = part(rest).ok_or(DurationError)?;
            nanos = nanos.checked_add(more).ok_or(DurationError)?;
            rest = after;
        }
        let micros = u64::try_from(nanos / 1_000)
            .ok()
            .filter(|micros| *micros <= u64::MAX / 1_000);
        micros.map(|micros| Self { micros }).ok_or(DurationError)
    }
}

impl fmt::Display for ConfigDuration {
    /// As Go prints it: `1m30s`, `5m0s`, `100ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.micros == 0 {
            return f.write_str("0s");
        }
        let (seconds, rest) = (self.micros / 1_000_000, self.micros % 1_000_000);
        if seconds == 0 {
            let (whole, fraction, unit) = if rest >= 1_000 {
                (rest / 1_000, rest % 1_000, "ms")
            } else {
                (rest, 0, "µs")
            };
            return write!(f, "{whole}{}{unit}", decimals(fraction, 3));
        }
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if hours > 0 || minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        write!(f, "{}{}s", seconds % 60, decimals(rest, 6))
    }
}

/// `.5` for half of a unit, nothing for zero.
fn decimals(fraction: u64, width: usize) -> String {
    if fraction == 0 {
        return String::new();
    }
    let text = format!(".{fraction:0width$}");
    text.trim_end_matches('0').to_owned()
}

impl From<ConfigDuration> for String {
    fn from(duration: ConfigDuration) -> String {
        duration.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<u64, DurationError> {
        ConfigDuration::try_from(text.to_owned()).map(ConfigDuration::as_micros)
    }

    #[test]
    fn durations_are_read_and_printed_in_gos_notation() {
        for (text, micros, printed) in [
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
            ("20s", 20_000_000, "20s"),
            ("5m", 300_000_000, "5m0s"),
            ("1h", 3_600_000_000, "1h0m0s"),
            ("1m30s", 90_000_000, "1m30s"),
            ("1.5s", 1_500_000, "1.5s"),
            ("100ms", 100_000, "100ms"),
            ("1.25ms", 1_250, "1.25ms"),
            ("7us", 7, "7µs"),
            ("1h2m3.004s", 3_723_004_000, "1h2m3.004s"),
        ] {
            assert_eq!(read(text), Ok(micros), "{text}");
            let duration = ConfigDuration::try_from(text.to_owned()).unwrap();
            assert_eq!(duration.to_string(), printed);
            assert_eq!(ConfigDuration::try_from(printed.to_owned()), Ok(duration));
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "5", "s", "5 s", "-5s", "5x", "1.2.3s", "999999999999h", "1d"] {
            assert_eq!(read(text), Err(DurationError), "{text}");
        }
    }
}
