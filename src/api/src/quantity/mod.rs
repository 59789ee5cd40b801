//! Kubernetes' quantities, parsed once into the kernel's units.
//!
//! A [`Quantity`] is exact down to a thousand-millionth (`n`); what is finer is rounded away from zero, as
//! Kubernetes does. It remembers which family of suffixes it was written in and is shown in that family's
//! canonical form: no fraction, the largest suffix that loses nothing. No floating point takes part.

mod parse;
mod show;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

/// Kubernetes' pattern, quoted in its error.
const PATTERN: &str = "^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$";

const NANOS_PER_MILLI: i128 = 1_000_000;
const NANOS_PER_UNIT: i128 = 1_000_000_000;

/// Why a text is not a quantity, or a quantity not an amount of the kind asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// The text has not the shape of a quantity.
    #[error("quantities must match the regular expression '{PATTERN}'")]
    Format,
    /// There is no such suffix.
    #[error("unable to parse quantity's suffix")]
    Suffix,
    /// The amount is beyond what this node can count (2^63-1 bytes or thousandths of a CPU).
    #[error("quantity is too large")]
    TooLarge,
    /// Less than nothing was asked for.
    #[error("must be greater than or equal to 0")]
    Negative,
}

/// The family of suffixes that a quantity was written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    /// `n` to `E`, powers of a thousand.
    DecimalSi,
    /// `Ki` to `Ei`, powers of 1024.
    BinarySi,
    /// `e3` and the like.
    DecimalExponent,
}

/// A quantity as Kubernetes writes it, exact.
#[derive(Debug, Clone, Copy)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

impl Quantity {
    /// The amount in thousandths of a CPU, rounded up.
    pub fn milli_cpu(&self) -> Result<MilliCpu, QuantityError> {
        self.scaled(NANOS_PER_MILLI).map(MilliCpu)
    }

    /// The amount in bytes, rounded up.
    pub fn bytes(&self) -> Result<Bytes, QuantityError> {
        self.scaled(NANOS_PER_UNIT).map(Bytes)
    }

    /// Whether the amount is a whole number of units.
    pub fn is_whole(&self) -> bool {
        self.nanos % NANOS_PER_UNIT == 0
    }

    /// The amount over `nanos_per_unit`, rounded up, within what Kubernetes counts in 63 bits.
    fn scaled(&self, nanos_per_unit: i128) -> Result<u64, QuantityError> {
        if self.nanos < 0 {
            return Err(QuantityError::Negative);
        }
        let whole = self.nanos / nanos_per_unit + i128::from(self.nanos % nanos_per_unit != 0);
        i64::try_from(whole)
            .map(i64::unsigned_abs)
            .map_err(|_| QuantityError::TooLarge)
    }
}

/// Equality and order are those of the amounts, however they were written.
impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}
impl Eq for Quantity {}
impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

/// Thousandths of a CPU, rounded up from the quantity.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize,
)]
pub struct MilliCpu(pub u64);

/// A number of bytes, rounded up from the quantity.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize,
)]
pub struct Bytes(pub u64);

impl FromStr for MilliCpu {
    type Err = QuantityError;
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        text.parse::<Quantity>()?.milli_cpu()
    }
}

impl FromStr for Bytes {
    type Err = QuantityError;
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        text.parse::<Quantity>()?.bytes()
    }
}

/// Canonical, as `kubectl` shows it: `250m`, `2`.
impl fmt::Display for MilliCpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = i128::from(self.0) * NANOS_PER_MILLI;
        fmt::Display::fmt(
            &Quantity {
                nanos,
                format: Format::DecimalSi,
            },
            f,
        )
    }
}

/// Canonical, with binary suffixes: `128Mi`, `1000`.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = i128::from(self.0) * NANOS_PER_UNIT;
        fmt::Display::fmt(
            &Quantity {
                nanos,
                format: Format::BinarySi,
            },
            f,
        )
    }
}
