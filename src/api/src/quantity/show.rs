//! Quantity to text, in canonical form.

use std::fmt;

use super::{Format, NANOS_PER_UNIT, Quantity};

/// Suffixes from 10^-9 on, in steps of a thousand.
const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
/// Suffixes from 1024^0 on.
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.nanos / NANOS_PER_UNIT;
        if self.format == Format::BinarySi && self.is_whole() && whole.abs() >= 1024 {
            return binary(whole, f);
        }
        let (mantissa, step) = decimal(self.nanos);
        let exponent = step as i32 * 3 - 9;
        match (self.format, DECIMAL.get(step)) {
            (Format::DecimalSi | Format::BinarySi, Some(suffix)) => write!(f, "{mantissa}{suffix}"),
            _ if exponent == 0 => write!(f, "{mantissa}"),
            _ => write!(f, "{mantissa}e{exponent}"),
        }
    }
}

/// The mantissa, and how many thousands were taken out of the nanos.
fn decimal(nanos: i128) -> (i128, usize) {
    if nanos == 0 {
        return (0, 3);
    }
    let (mut mantissa, mut step) = (nanos, 0);
    while mantissa % 1000 == 0 {
        mantissa /= 1000;
        step += 1;
    }
    (mantissa, step)
}

fn binary(whole: i128, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (mut mantissa, mut step) = (whole, 0);
    while mantissa % 1024 == 0 && step + 1 < BINARY.len() {
        mantissa /= 1024;
        step += 1;
    }
    write!(f, "{mantissa}{}", BINARY[step])
}
