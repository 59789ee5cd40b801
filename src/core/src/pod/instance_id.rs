//! The name of a container instance for shims, OCI runtimes, cgroups and statuses.

use std::fmt::Write;

use pinnace_api::{ContainerName, PodUid};
use sha2::{Digest, Sha256};

/// 64 hexadecimal digits, always the same for the same instance: what was made is found again by its name.
pub fn container_id(uid: &PodUid, name: &ContainerName, attempt: u32) -> String {
    let digest = Sha256::digest(format!("{uid}/{name}/{attempt}"));
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_keeps_its_name_and_shares_it_with_no_other() {
        let uid = PodUid::new("uid").unwrap();
        let name = |text: &str| ContainerName::new(text).unwrap();
        let first = container_id(&uid, &name("c"), 0);
        assert_eq!(first.len(), 64);
        assert!(first.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(first, container_id(&uid, &name("c"), 0));
        assert_ne!(first, container_id(&uid, &name("c"), 1));
        assert_ne!(first, container_id(&uid, &name("d"), 0));
    }
}
