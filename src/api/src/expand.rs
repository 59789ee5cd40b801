//! `$(VAR)` references, by Kubernetes' rules: a known variable's value takes the reference's place, an
//! unknown one stays as it stands, and `$$` makes one `$` that begins no reference.

/// Bytes that one expanded text may have: the kernel takes no longer argument or variable.
const MOST_BYTES: usize = 128 * 1024;

/// Bytes that the references of one container may add to its texts.
const MOST_GROWTH_BYTES: usize = 256 * 1024;

/// How far references have made a container's texts grow.
#[derive(Debug, Default)]
pub struct Growth {
    bytes: usize,
}

/// Why a text is not expanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    /// The text itself.
    #[error("must be no more than {MOST_BYTES} bytes after its $(VAR) references are expanded")]
    Text,
    /// All texts of the container.
    #[error("the $(VAR) references of a container may add no more than {MOST_GROWTH_BYTES} bytes to it")]
    Container,
}

/// Expands the references of `text`.
pub fn expand<'v>(
    text: &str,
    value_of: impl Fn(&str) -> Option<&'v str>,
    growth: &mut Growth,
) -> Result<String, ExpandError> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(escaped) = after.strip_prefix('$') {
            expanded.push('$');
            rest = escaped;
        } else if let Some((name, tail)) = after.strip_prefix('(').and_then(|open| open.split_once(')')) {
            match value_of(name) {
                Some(value) => expanded.push_str(value),
                None => expanded.push_str(&rest[at..rest.len() - tail.len()]),
            }
            rest = tail;
        } else {
            expanded.push('$');
            rest = after;
        }
        if expanded.len() > MOST_BYTES {
            return Err(ExpandError::Text);
        }
    }
    expanded.push_str(rest);
    if expanded.len() > MOST_BYTES {
        return Err(ExpandError::Text);
    }
    growth.bytes += expanded.len().saturating_sub(text.len());
    if growth.bytes > MOST_GROWTH_BYTES {
        Err(ExpandError::Container)
    } else {
        Ok(expanded)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{ExpandError, Growth, expand};

    fn of(text: &str) -> String {
        let value_of = |name: &str| match name {
            "VAR_A" => Some("A"),
            "VAR_B" => Some("B"),
            "VAR_REF" => Some("$(VAR_A)"),
            "VAR_EMPTY" => Some(""),
            _ => None,
        };
        expand(text, value_of, &mut Growth::default()).unwrap()
    }

    #[test]
    fn references_follow_kubernetes_rules() {
        let cases = [
            ("$(VAR_A)", "A"),
            ("___$(VAR_B)___", "___B___"),
            ("$(VAR_A)-$(VAR_B)", "A-B"),
            ("$(VAR_REF)", "$(VAR_A)"),
            ("f$(VAR_EMPTY)o", "fo"),
            ("$(UNKNOWN)", "$(UNKNOWN)"),
            ("$$(VAR_A)", "$(VAR_A)"),
            ("$$$(VAR_A)", "$A"),
            ("$$$$(VAR_A)", "$$(VAR_A)"),
            ("$VAR_A", "$VAR_A"),
            ("$$VAR_A", "$VAR_A"),
            ("foo$(VAR", "foo$(VAR"),
            ("foo$", "foo$"),
            ("foo$$", "foo$"),
            ("$()", "$()"),
            ("$(VAR_A))", "A)"),
            ("$((VAR_A))", "$((VAR_A))"),
            ("$ä(VAR_A)", "$ä(VAR_A)"),
            ("$($(VAR_A)", "$($(VAR_A)"),
        ];
        for (text, expected) in cases {
            assert_eq!(of(text), expected, "of {text:?}");
        }
    }

    #[test]
    fn growth_is_bounded() {
        let big = "x".repeat(100_000);
        let mut growth = Growth::default();
        assert_eq!(
            expand("$(BIG)$(BIG)", |_| Some(&big), &mut growth),
            Err(ExpandError::Text)
        );
        assert!(expand("$(BIG)", |_| Some(&big), &mut growth).is_ok());
        assert!(expand("$(BIG)", |_| Some(&big), &mut growth).is_ok());
        assert_eq!(
            expand("$(BIG)", |_| Some(&big), &mut growth),
            Err(ExpandError::Container)
        );
    }

    proptest! {
        #[test]
        fn text_without_a_dollar_stays(text in "[^$]*") {
            prop_assert_eq!(of(&text), text);
        }

        #[test]
        fn any_text_is_taken(text in "[$()A-Z_ ]{0,40}") {
            let _ = of(&text);
        }
    }
}
