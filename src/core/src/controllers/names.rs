//! Names of pods in the letters that Kubernetes uses for them.

/// No vowels and nothing that looks like another: no words come about by chance.
const SAFE: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LENGTH: usize = 5;
/// A host's name has at most 63 characters.
const MAX_GENERATED: usize = 63;

/// `<base>-<5 characters>` out of random bits; the base is cut so that the whole can be a host's name.
pub fn generated_name(base: &str, random: u64) -> String {
    let prefix: String = format!("{base}-")
        .chars()
        .take(MAX_GENERATED - SUFFIX_LENGTH)
        .collect();
    let suffix = (0..SUFFIX_LENGTH).scan(random, |bits, _| {
        let letter = safe(*bits % SAFE.len() as u64);
        *bits /= SAFE.len() as u64;
        Some(letter)
    });
    prefix.chars().chain(suffix).collect()
}

fn safe(number: u64) -> char {
    let index = usize::try_from(number % SAFE.len() as u64).unwrap_or_default();
    SAFE.get(index).map_or('x', |letter| char::from(*letter))
}

#[cfg(test)]
mod tests {
    use pinnace_api::ObjectName;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_generated_name_is_a_name(base in "[a-z0-9]([-a-z0-9]{0,80}[a-z0-9])?(\\.[a-z0-9]{1,80})?", random in any::<u64>()) {
            prop_assume!(ObjectName::new(base.as_str()).is_ok());
            let name = generated_name(&base, random);
            prop_assert!(ObjectName::new(name.as_str()).is_ok(), "{}", name);
            prop_assert!(name.len() <= 63);
            prop_assert!(name.bytes().rev().take(5).all(|letter| SAFE.contains(&letter)));
        }
    }
}
