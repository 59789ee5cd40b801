//! Text to quantity, by the rules of Kubernetes' own scanner.

use std::str::FromStr;

use super::{Format, NANOS_PER_UNIT, Quantity, QuantityError};

/// Amounts with binary suffixes are cut to this one, without an error.
const MOST_BINARY_NANOS: i128 = i64::MAX as i128 * NANOS_PER_UNIT;

/// Decimal digits that surely fit an `i128`.
const MOST_DIGITS: usize = 38;

/// The pieces of a quantity's text.
struct Pieces<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    suffix: &'a str,
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let pieces = split(text)?;
        let (unit, mut format) = Unit::of(pieces.suffix)?;
        let nanos = unit.nanos(pieces.whole, pieces.fraction)?;
        let nanos = match (format, nanos) {
            (Format::BinarySi, None) => MOST_BINARY_NANOS,
            (Format::BinarySi, Some(nanos)) => nanos.min(MOST_BINARY_NANOS),
            (_, nanos) => nanos.ok_or(QuantityError::TooLarge)?,
        };
        if format == Format::BinarySi && nanos < NANOS_PER_UNIT {
            format = Format::DecimalSi;
        }
        Ok(Quantity {
            nanos: if pieces.negative { -nanos } else { nanos },
            format,
        })
    }
}

/// Cuts `text` into sign, digits and suffix; what follows a suffix's exponent is an error.
fn split(text: &str) -> Result<Pieces<'_>, QuantityError> {
    if text.is_empty() {
        return Err(QuantityError::Format);
    }
    let (negative, rest) = match text.as_bytes()[0] {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, rest) = take_while(rest, |byte| byte.is_ascii_digit());
    let (fraction, suffix) = match rest.strip_prefix('.') {
        Some(after) => take_while(after, |byte| byte.is_ascii_digit()),
        None => ("", rest),
    };
    let (_letters, exponent) = take_while(suffix, |byte| b"eEinumkKMGTP".contains(&byte));
    let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    if !exponent.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(QuantityError::Format);
    }
    Ok(Pieces {
        negative,
        whole,
        fraction,
        suffix,
    })
}

fn take_while(text: &str, matches: impl Fn(u8) -> bool) -> (&str, &str) {
    let end = text.bytes().position(|byte| !matches(byte)).unwrap_or(text.len());
    text.split_at(end)
}

/// What a suffix multiplies by: `2^doublings * 10^exponent`.
struct Unit {
    doublings: u32,
    exponent: i64,
}

impl Unit {
    fn of(suffix: &str) -> Result<(Self, Format), QuantityError> {
        let decimal = |exponent| {
            Ok((
                Self {
                    doublings: 0,
                    exponent,
                },
                Format::DecimalSi,
            ))
        };
        let binary = |doublings| {
            Ok((
                Self {
                    doublings,
                    exponent: 0,
                },
                Format::BinarySi,
            ))
        };
        match suffix {
            "n" => decimal(-9),
            "u" => decimal(-6),
            "m" => decimal(-3),
            "" => decimal(0),
            "k" => decimal(3),
            "M" => decimal(6),
            "G" => decimal(9),
            "T" => decimal(12),
            "P" => decimal(15),
            "E" => decimal(18),
            "Ki" => binary(10),
            "Mi" => binary(20),
            "Gi" => binary(30),
            "Ti" => binary(40),
            "Pi" => binary(50),
            "Ei" => binary(60),
            _ => {
                let digits = suffix.strip_prefix(['e', 'E']).ok_or(QuantityError::Suffix)?;
                let exponent: i32 = digits.parse().map_err(|_| QuantityError::Suffix)?;
                Ok((
                    Self {
                        doublings: 0,
                        exponent: exponent.into(),
                    },
                    Format::DecimalExponent,
                ))
            }
        }
    }

    /// `whole.fraction` of this unit in nanos, rounded up; `None` where that is too large to be held.
    fn nanos(&self, whole: &str, fraction: &str) -> Result<Option<i128>, QuantityError> {
        let significant = whole
            .bytes()
            .chain(fraction.bytes())
            .skip_while(|digit| *digit == b'0');
        let mut digits: Vec<u8> = significant.map(|digit| digit - b'0').collect();
        if digits.is_empty() {
            return Ok(Some(0));
        }
        for _ in 0..self.doublings {
            double(&mut digits);
        }
        let places = i64::try_from(fraction.len()).map_err(|_| QuantityError::TooLarge)?;
        let shift = self.exponent - places + 9;
        let length = i64::try_from(digits.len()).map_err(|_| QuantityError::TooLarge)?;
        if length + shift > MOST_DIGITS as i64 {
            return Ok(None);
        }
        // The result has at most MOST_DIGITS digits now: what is to be dropped is dropped as text.
        let kept = usize::try_from(length + shift.min(0)).unwrap_or(0);
        let rounds_up = digits[kept..].iter().any(|digit| *digit != 0);
        let mut nanos = digits[..kept]
            .iter()
            .fold(0_i128, |sum, digit| sum * 10 + i128::from(*digit));
        for _ in 0..shift.max(0) {
            nanos *= 10;
        }
        Ok(Some(nanos + i128::from(rounds_up)))
    }
}

/// Doubles a number given as decimal digits, the most significant first.
fn double(digits: &mut Vec<u8>) {
    let mut carry = 0;
    for digit in digits.iter_mut().rev() {
        let doubled = *digit * 2 + carry;
        *digit = doubled % 10;
        carry = doubled / 10;
    }
    if carry > 0 {
        digits.insert(0, carry);
    }
}
