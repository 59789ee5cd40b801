//! Durations for people, as Kubernetes' tools write them.

const SECOND: u64 = 1000;

/// As `kubectl` shows an age: two or three figures. `millis` below zero is a clock that went back.
pub fn human_duration(millis: i64) -> String {
    let Ok(millis) = u64::try_from(millis) else {
        let seconds = millis / 1000;
        return if seconds < -1 {
            "<invalid>".to_owned()
        } else {
            "0s".to_owned()
        };
    };
    let seconds = millis / SECOND;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => with_rest(minutes, 'm', seconds % 60, 's'),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => with_rest(hours, 'h', minutes % 60, 'm'),
        () if hours < 48 => format!("{hours}h"),
        () if hours < 192 => with_rest(days, 'd', hours % 24, 'h'),
        () if days < 365 * 2 => format!("{days}d"),
        () if days < 365 * 8 => with_rest(days / 365, 'y', days % 365, 'd'),
        () => format!("{}y", days / 365),
    }
}

fn with_rest(whole: u64, unit: char, rest: u64, rest_unit: char) -> String {
    if rest == 0 {
        format!("{whole}{unit}")
    } else {
        format!("{whole}{unit}{rest}{rest_unit}")
    }
}

/// As Go prints a duration: `10s`, `1m20s`, `5m0s`, `1.5s`.
pub(super) fn go_duration(millis: u64) -> String {
    let (seconds, fraction) = (millis / SECOND, millis % SECOND);
    if seconds == 0 {
        return if fraction == 0 {
            "0s".to_owned()
        } else {
            format!("{fraction}ms")
        };
    }
    let mut last = format!("{}", seconds % 60);
    if fraction > 0 {
        let digits = format!("{fraction:03}");
        last = format!("{last}.{}", digits.trim_end_matches('0'));
    }
    let (minutes, hours) = (seconds / 60 % 60, seconds / 3600);
    match (hours, minutes) {
        (0, 0) => format!("{last}s"),
        (0, minutes) => format!("{minutes}m{last}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{last}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_two_or_three_figures() {
        const M: i64 = 60;
        const H: i64 = 60 * M;
        const D: i64 = 24 * H;
        const Y: i64 = 365 * D;
        for (seconds, text) in [
            (-2, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (2 * M, "2m"),
            (2 * M + 5, "2m5s"),
            (10 * M - 1, "9m59s"),
            (10 * M, "10m"),
            (3 * H - 1, "179m"),
            (3 * H, "3h"),
            (8 * H - 1, "7h59m"),
            (8 * H, "8h"),
            (2 * D - 1, "47h"),
            (2 * D, "2d"),
            (2 * D + H, "2d1h"),
            (8 * D - 1, "7d23h"),
            (8 * D, "8d"),
            (2 * Y - 1, "729d"),
            (2 * Y, "2y"),
            (2 * Y + D, "2y1d"),
            (8 * Y - 1, "7y364d"),
            (8 * Y, "8y"),
        ] {
            assert_eq!(human_duration(seconds * 1000), text, "{seconds}");
        }
        assert_eq!(human_duration(i64::MIN), "<invalid>");
        assert_eq!(human_duration(-1_999), "0s");
    }

    #[test]
    fn delays_are_written_as_go_writes_them() {
        for (millis, text) in [
            (0, "0s"),
            (250, "250ms"),
            (1_500, "1.5s"),
            (10_000, "10s"),
            (80_000, "1m20s"),
            (160_000, "2m40s"),
            (300_000, "5m0s"),
            (3_600_000, "1h0m0s"),
        ] {
            assert_eq!(go_duration(millis), text);
        }
    }
}
