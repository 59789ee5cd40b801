//! Kubernetes' times in JSON: RFC 3339, UTC, whole seconds.

use serde::{Deserialize, Serialize};

use crate::time::WallMillis;

/// A time as statuses carry it: exact in memory, whole seconds in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Timestamp(pub WallMillis);

/// A text that is not a time of the form `2026-01-31T09:05:00Z`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time of the form 2026-01-31T09:05:00Z")]
pub struct TimestampError(String);

impl From<Timestamp> for String {
    fn from(time: Timestamp) -> String {
        time.0.rfc3339()
    }
}

impl TryFrom<String> for Timestamp {
    type Error = TimestampError;

    fn try_from(text: String) -> Result<Self, TimestampError> {
        match parse(&text) {
            Some(time) => Ok(Self(time)),
            None => Err(TimestampError(text.chars().take(40).collect())),
        }
    }
}

fn parse(text: &str) -> Option<WallMillis> {
    let bytes = text.as_bytes();
    let marks = [
        (4, b'-'),
        (7, b'-'),
        (10, b'T'),
        (13, b':'),
        (16, b':'),
        (19, b'Z'),
    ];
    if bytes.len() != 20 || marks.iter().any(|(at, mark)| bytes[*at] != *mark) {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<u64> {
        let digits = text.get(from..to)?;
        let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
        all_digits.then(|| digits.parse().ok()).flatten()
    };
    let days = days_since_1970(number(0, 4)?, number(5, 7)?, number(8, 10)?)?;
    let seconds = days * 86_400 + number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?;
    let time = WallMillis(seconds * 1000);
    // A 31st of April or a 25th hour comes out as another time.
    (time.rfc3339() == text).then_some(time)
}

/// The reverse of how [`WallMillis::rfc3339`] finds the date: years begin in March.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = if month <= 2 { year.checked_sub(1)? } else { year };
    let from_march = (month + 9) % 12;
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * from_march + 2) / 5 + day.checked_sub(1)?;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_a_time_is_refused() {
        for text in [
            "",
            "2026-01-31",
            "2026-02-30T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-31T24:00:00Z",
            "2026-01-31T09:05:00+01",
            "2026-01-31t09:05:00Z",
            "+026-01-31T09:05:00Z",
            "1969-12-31T23:59:59Z",
            "2026-01-31T09:05:0äZ",
        ] {
            assert!(Timestamp::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_second_is_read_as_it_is_written(seconds in 0..253_402_300_799_u64) {
            let time = Timestamp(WallMillis(seconds * 1000));
            prop_assert_eq!(Timestamp::try_from(String::from(time)), Ok(time));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,30}") {
            let _ = Timestamp::try_from(text);
        }
    }
}
