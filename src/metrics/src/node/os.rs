//! `os`: which distribution this is.

use std::collections::HashMap;

use super::Collector;
use crate::encode::{Encoder, Kind};
use crate::host::CollectError;
use crate::reader::{Reader, read};

pub(super) struct Os;

const LABELS: [&str; 12] = [
    "BUILD_ID",
    "ID",
    "ID_LIKE",
    "IMAGE_ID",
    "IMAGE_VERSION",
    "NAME",
    "PRETTY_NAME",
    "VARIANT",
    "VARIANT_ID",
    "VERSION",
    "VERSION_CODENAME",
    "VERSION_ID",
];

impl Collector for Os {
    fn name(&self) -> &'static str {
        "os"
    }

    fn collect(&mut self, host: &Reader, out: &mut Encoder) -> Result<(), CollectError> {
        let text =
            read(&host.rooted("etc/os-release")).or_else(|_| read(&host.rooted("usr/lib/os-release")))?;
        let known: HashMap<&str, &str> = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.trim(), value.trim().trim_matches(['"', '\''])))
            .collect();
        let get = |name: &str| known.get(name).copied().unwrap_or_default();
        let names = LABELS.map(str::to_lowercase);
        let labels: Vec<(&str, &str)> = names
            .iter()
            .zip(LABELS)
            .map(|(label, name)| (label.as_str(), get(name)))
            .collect();
        out.family(
            "node_os_info",
            Kind::Gauge,
            "Which distribution this is; always 1.",
        )
        .sample(&labels, 1_u64);
        if let Some(version) = leading_number(get("VERSION_ID")) {
            out.family(
                "node_os_version",
                Kind::Gauge,
                "Major and minor version of the distribution.",
            )
            .sample(
                &[
                    ("id", get("ID")),
                    ("id_like", get("ID_LIKE")),
                    ("name", get("NAME")),
                ],
                version,
            );
        }
        Ok(())
    }
}

/// 12 of `12`, 20.04 of `20.04.6`: the number that major and minor version make.
fn leading_number(version: &str) -> Option<f64> {
    let mut parts = version.split('.');
    let (major, minor) = (parts.next()?, parts.next().unwrap_or("0"));
    format!("{}.{}", major.parse::<u32>().ok()?, minor).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_become_numbers() {
        assert_eq!(leading_number("12"), Some(12.0));
        assert_eq!(leading_number("20.04.6"), Some(20.04));
        assert_eq!(leading_number("rolling"), None);
        assert_eq!(leading_number(""), None);
    }
}
