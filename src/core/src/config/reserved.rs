//! Amounts in the configuration: what is kept back from pods, and how large a log may grow.

use std::collections::BTreeMap;

use pinnace_api::quantity::QuantityError;
use pinnace_api::{Bytes, MilliCpu};

/// `systemReserved` and `kubeReserved`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "BTreeMap<String, Scalar>", into = "BTreeMap<String, String>")]
pub struct Reserved {
    /// Thousandths of a CPU.
    pub cpu: MilliCpu,
    /// Bytes of memory.
    pub memory: Bytes,
    /// Bytes of local storage.
    pub ephemeral_storage: Bytes,
}

/// A quantity as YAML gives it: a text, or a bare number.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(untagged, expecting = "expected a quantity such as 500m or 1Gi")]
enum Scalar {
    Text(String),
    Whole(u64),
    Real(f64),
}

impl Scalar {
    fn text(self) -> String {
        match self {
            Scalar::Text(text) => text,
            Scalar::Whole(number) => number.to_string(),
            Scalar::Real(number) => number.to_string(),
        }
    }
}

/// Why a reservation is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReservedError {
    /// A resource that cannot be reserved.
    #[error("unknown resource {name:?}, expected one of cpu, memory, ephemeral-storage")]
    Resource {
        /// Its name as given.
        name: String,
    },
    /// An amount that is no quantity.
    #[error("{name}: {text:?}: {why}")]
    Amount {
        /// The resource.
        name: String,
        /// The text as given.
        text: String,
        /// What is wrong with it.
        why: QuantityError,
    },
}

impl TryFrom<BTreeMap<String, Scalar>> for Reserved {
    type Error = ReservedError;

    fn try_from(amounts: BTreeMap<String, Scalar>) -> Result<Self, ReservedError> {
        let mut reserved = Self::default();
        for (name, amount) in amounts {
            let text = amount.text();
            let read = match name.as_str() {
                "cpu" => text.parse().map(|amount| reserved.cpu = amount),
                "memory" => text.parse().map(|amount| reserved.memory = amount),
                "ephemeral-storage" => text.parse().map(|amount| reserved.ephemeral_storage = amount),
                _ => return Err(ReservedError::Resource { name }),
            };
            if let Err(why) = read {
                return Err(ReservedError::Amount { name, text, why });
            }
        }
        Ok(reserved)
    }
}

impl From<Reserved> for BTreeMap<String, String> {
    fn from(reserved: Reserved) -> Self {
        let amounts = [
            ("cpu", reserved.cpu.0, reserved.cpu.to_string()),
            ("memory", reserved.memory.0, reserved.memory.to_string()),
            (
                "ephemeral-storage",
                reserved.ephemeral_storage.0,
                reserved.ephemeral_storage.to_string(),
            ),
        ];
        let given = amounts.into_iter().filter(|(_, amount, _)| *amount > 0);
        given.map(|(name, _, text)| (name.to_owned(), text)).collect()
    }
}

/// `containerLogMaxSize`: a quantity of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "Scalar", into = "String")]
pub struct LogSize(Bytes);

impl LogSize {
    /// The size in bytes.
    pub fn bytes(self) -> u64 {
        self.0.0
    }
}

impl Default for LogSize {
    fn default() -> Self {
        Self(Bytes(10 << 20))
    }
}

impl TryFrom<Scalar> for LogSize {
    type Error = ReservedError;

    fn try_from(amount: Scalar) -> Result<Self, ReservedError> {
        let text = amount.text();
        match text.parse() {
            Ok(bytes) => Ok(Self(bytes)),
            Err(why) => Err(ReservedError::Amount {
                name: "containerLogMaxSize".to_owned(),
                text,
                why,
            }),
        }
    }
}

impl From<LogSize> for String {
    fn from(size: LogSize) -> String {
        size.0.to_string()
    }
}
