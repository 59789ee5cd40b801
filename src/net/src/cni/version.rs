//! Versions of the CNI specification.

/// Those that are spoken here, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SpecVersion {
    V0_1_0,
    V0_2_0,
    V0_3_0,
    V0_3_1,
    V0_4_0,
    V1_0_0,
    V1_1_0,
}

impl SpecVersion {
    const ALL: [Self; 7] = [
        Self::V0_1_0,
        Self::V0_2_0,
        Self::V0_3_0,
        Self::V0_3_1,
        Self::V0_4_0,
        Self::V1_0_0,
        Self::V1_1_0,
    ];

    /// A configuration without a version is of the first one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::V0_1_0);
        }
        Self::ALL.into_iter().find(|version| version.as_str() == text)
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::V0_1_0 => "0.1.0",
            Self::V0_2_0 => "0.2.0",
            Self::V0_3_0 => "0.3.0",
            Self::V0_3_1 => "0.3.1",
            Self::V0_4_0 => "0.4.0",
            Self::V1_0_0 => "1.0.0",
            Self::V1_1_0 => "1.1.0",
        }
    }

    /// Results have `ip4` and `ip6` instead of `ips`.
    pub(crate) fn has_two_addresses_only(self) -> bool {
        self <= Self::V0_2_0
    }

    /// Every one of the `ips` says of which version it is.
    pub(crate) fn names_families(self) -> bool {
        !self.has_two_addresses_only() && self < Self::V1_0_0
    }

    /// CHECK is there, and DEL is told of the result.
    pub(crate) fn has_check(self) -> bool {
        self >= Self::V0_4_0
    }

    /// GC and STATUS are there.
    pub(crate) fn has_gc_and_status(self) -> bool {
        self >= Self::V1_1_0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_ordered() {
        for pair in SpecVersion::ALL.windows(2) {
            assert!(pair[0] < pair[1]);
            assert_eq!(SpecVersion::parse(pair[0].as_str()), Some(pair[0]));
        }
        assert_eq!(SpecVersion::parse(""), Some(SpecVersion::V0_1_0));
        assert_eq!(SpecVersion::parse("1.2.0"), None);
        assert!(!SpecVersion::V0_3_1.has_check() && SpecVersion::V0_4_0.has_check());
        assert!(!SpecVersion::V1_0_0.has_gc_and_status() && SpecVersion::V1_1_0.has_gc_and_status());
    }
}
