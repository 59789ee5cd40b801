//! Quantities in the configuration, in Kubernetes' notation.

use pinnace_api::{Bytes, MilliCpu};

/// Why a text is no quantity that the configuration can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// The notation is wrong.
    #[error("must be a quantity such as 500m, 2, 128Mi or 1G")]
    Notation,
    /// Below zero.
    #[error("must be greater than or equal to 0")]
    Negative,
    /// More than any machine has.
    #[error("is too large")]
    TooLarge,
}

const NANO: u128 = 1_000_000_000;
/// Longer texts are not looked at.
const MAX_LENGTH: usize = 40;

/// The unit of a suffix, in billionths.
fn unit(suffix: &str) -> Option<u128> {
    let unit = match suffix {
        "n" => 1,
        "u" => 1_000,
        "m" => 1_000_000,
        "" => NANO,
        "k" => NANO * 1_000,
        "M" => NANO * 1_000_000,
        "G" => NANO * NANO,
        "T" => NANO * 1_000_000_000_000,
        "P" => NANO * 1_000_000_000_000_000,
        "E" => NANO * NANO * NANO,
        "Ki" => NANO << 10,
        "Mi" => NANO << 20,
        "Gi" => NANO << 30,
        "Ti" => NANO << 40,
        "Pi" => NANO << 50,
        "Ei" => NANO << 60,
        exponent => {
            let power: i32 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
            return 10_u128.checked_pow(u32::try_from(power.checked_add(9)?).ok()?);
        }
    };
    Some(unit)
}

/// The quantity in billionths, rounded up.
fn nanos(text: &str) -> Result<u128, QuantityError> {
    if text.len() > MAX_LENGTH {
        return Err(QuantityError::Notation);
    }
    if text.starts_with('-') {
        return Err(QuantityError::Negative);
    }
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
        return Err(QuantityError::Notation);
    }
    let unit = unit(suffix).ok_or(QuantityError::Notation)?;
    let digits: u128 = format!("{whole}{fraction}")
        .parse()
        .map_err(|_| QuantityError::TooLarge)?;
    let scale = u32::try_from(fraction.len()).map_err(|_| QuantityError::Notation)?;
    let scale = 10_u128.checked_pow(scale).ok_or(QuantityError::TooLarge)?;
    let scaled = digits.checked_mul(unit).ok_or(QuantityError::TooLarge)?;
    Ok(scaled.div_ceil(scale))
}

fn in_units_of(text: &str, nanos_per_unit: u128) -> Result<u64, QuantityError> {
    u64::try_from(nanos(text)?.div_ceil(nanos_per_unit))
        .ok()
        .filter(|amount| i64::try_from(*amount).is_ok())
        .ok_or(QuantityError::TooLarge)
}

/// An amount of cpu.
pub fn milli_cpu(text: &str) -> Result<MilliCpu, QuantityError> {
    in_units_of(text, NANO / 1000).map(MilliCpu)
}

/// A number of bytes.
pub fn bytes(text: &str) -> Result<Bytes, QuantityError> {
    in_units_of(text, NANO).map(Bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_reads_them() {
        for (text, milli) in [
            ("0", 0),
            ("500m", 500),
            ("1", 1000),
            ("0.1", 100),
            (".5", 500),
            ("2.", 2000),
            ("1500u", 2),
            ("1n", 1),
            ("1e1", 10_000),
            ("+1", 1000),
        ] {
            assert_eq!(milli_cpu(text), Ok(MilliCpu(milli)), "{text}");
        }
        for (text, count) in [
            ("128Mi", 128 << 20),
            ("1G", 1_000_000_000),
            ("1.5Gi", 3 << 29),
            ("12E", 0),
            ("1e3", 1000),
            ("1E3", 1000),
            ("100m", 1),
            ("2E", 2_000_000_000_000_000_000),
            ("4Ei", 4 << 60),
        ] {
            let expected = if text == "12E" {
                Err(QuantityError::TooLarge)
            } else {
                Ok(Bytes(count))
            };
            assert_eq!(bytes(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in [
            "", "Mi", "1 Gi", "1MiB", "1mi", "1.2.3", "ten", "0x10", "1e", "1e99", "--1", ".",
        ] {
            assert!(bytes(text).is_err(), "{text}");
        }
        assert_eq!(bytes("-1"), Err(QuantityError::Negative));
        assert_eq!(bytes(&"9".repeat(39)), Err(QuantityError::TooLarge));
        assert_eq!(bytes(&"1".repeat(41)), Err(QuantityError::Notation));
    }
}
