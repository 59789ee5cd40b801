//! When the node is ready: all pods adopted, every source listed once.

use std::collections::BTreeMap;

/// What is still waited for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readiness {
    adopted: bool,
    /// Sources that have not listed yet, with what is in their way, if known.
    missing: BTreeMap<&'static str, Option<String>>,
}

impl Readiness {
    /// Of a node with these sources.
    pub fn expect(&mut self, sources: impl IntoIterator<Item = &'static str>) {
        self.missing = sources.into_iter().map(|source| (source, None)).collect();
    }

    /// All pods of an earlier agent were looked at, and their shims have answered.
    pub fn adopted(&mut self) {
        self.adopted = true;
    }

    /// The source has delivered a complete list.
    pub fn listed(&mut self, source: &'static str) {
        self.missing.remove(source);
    }

    /// The source cannot be read now.
    pub fn unavailable(&mut self, source: &'static str, why: &str) {
        if let Some(reason) = self.missing.get_mut(source) {
            *reason = Some(why.to_owned());
        }
    }

    /// `Err` says what is still waited for.
    pub fn check(&self) -> Result<(), String> {
        if !self.adopted {
            return Err("pods of an earlier agent are being adopted".to_owned());
        }
        let Some((source, reason)) = self.missing.iter().next() else {
            return Ok(());
        };
        Err(match reason {
            Some(reason) => format!("the source {source} has not listed yet: {reason}"),
            None => format!("the source {source} has not listed yet"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_names_what_is_missing_and_a_later_failure_of_a_source_changes_nothing() {
        let mut readiness = Readiness::default();
        readiness.expect(["directory", "url"]);
        assert!(readiness.check().unwrap_err().contains("adopted"));
        readiness.adopted();
        readiness.listed("directory");
        readiness.unavailable("url", "no answer");
        assert_eq!(
            readiness.check().unwrap_err(),
            "the source url has not listed yet: no answer"
        );
        readiness.listed("url");
        readiness.unavailable("url", "no answer");
        assert_eq!(readiness.check(), Ok(()));
    }
}
