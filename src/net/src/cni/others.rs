//! Attachments of others to the same network, as libcni notes them for all who use it (containerd, CRI-O, podman).
//!
//! GC must not take what is theirs.

use std::path::Path;

use pinnace_sys::{Doing, SysError, SysResult, file};

use super::call::Valid;

const MAX_BYTES: u64 = 4 * 1024 * 1024;

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Note {
    #[serde(default)]
    network_name: String,
    #[serde(default)]
    container_id: String,
    #[serde(default)]
    if_name: String,
}

/// All that are noted of a network. A note that cannot be read is an error: what it names would be taken.
pub(crate) fn attachments(cache: &Path, network: &str) -> SysResult<Vec<Valid>> {
    let entries = match std::fs::read_dir(cache) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.doing_on("list", cache)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.doing_on("list", cache)?.file_name();
        // `<network>-<container>-<interface>`, and a network's name may have a dash too.
        let name = name.to_string_lossy();
        if !name
            .strip_prefix(network)
            .is_some_and(|rest| rest.starts_with('-'))
        {
            continue;
        }
        let path = cache.join(name.as_ref());
        let content = match file::read_limited(&path, MAX_BYTES) {
            Err(error) if error.is_not_found() => continue,
            content => content?,
        };
        let note: Note = serde_json::from_slice(&content)
            .map_err(|error| SysError::new("parse", path.display(), error.into()))?;
        if note.network_name == network {
            found.push(Valid {
                container: note.container_id,
                interface: note.if_name,
            });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_of_the_network_are_found_and_a_bad_note_is_an_error() {
        let cache = tempfile::tempdir().unwrap();
        let note = |file: &str, text: &str| std::fs::write(cache.path().join(file), text).unwrap();
        let of = |network: &str, container: &str| {
            format!(
                r#"{{"kind": "cniCacheV1", "containerId": "{container}", "config": "e30=", "ifName": "eth0",
                    "networkName": "{network}", "result": {{}}}}"#
            )
        };
        note("net-a-eth0", &of("net", "a"));
        note("net-b-c-eth0", &of("net-b", "c"));
        note("other-d-eth0", "not read");
        let found = attachments(cache.path(), "net").unwrap();
        let expected = Valid {
            container: "a".to_owned(),
            interface: "eth0".to_owned(),
        };
        assert_eq!(found, [expected]);
        note("net-e-eth0", "{");
        assert!(attachments(cache.path(), "net").is_err());
        assert!(
            attachments(&cache.path().join("absent"), "net")
                .unwrap()
                .is_empty()
        );
    }
}
