//! `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf` of a pod, as the kubelet and CRI lay them out.

use std::path::Path;

use pinnace_sys::{SysError, file};

/// Of the host's files, no more than this is taken.
const MAX_HOST_FILE: u64 = 1 << 20;

/// `/etc/hosts` of a pod with a network of its own, whose address may not be known yet.
pub fn hosts(hostname: &str, address: Option<&str>) -> String {
    let mut text = String::from(
        "# Kubernetes-managed hosts file.\n\
         127.0.0.1\tlocalhost\n\
         ::1\tlocalhost ip6-localhost ip6-loopback\n\
         fe00::0\tip6-localnet\n\
         fe00::0\tip6-mcastprefix\n\
         fe00::1\tip6-allnodes\n\
         fe00::2\tip6-allrouters\n",
    );
    text.push_str(&format!("{}\t{hostname}\n", address.unwrap_or("127.0.0.1")));
    text
}

/// `/etc/hosts` of a pod in the host's network.
pub fn hosts_of_host() -> Result<String, SysError> {
    let host = of_host("/etc/hosts")?;
    Ok(format!("# Kubernetes-managed hosts file (host network).\n{host}"))
}

/// A file of the host; empty where there is none.
pub fn of_host(path: &str) -> Result<String, SysError> {
    match file::read_text(Path::new(path), MAX_HOST_FILE) {
        Err(error) if error.is_not_found() => Ok(String::new()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pods_own_name_is_the_last_line() {
        let text = hosts("web-0", Some("10.0.0.7"));
        assert!(text.starts_with("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n"));
        assert!(text.ends_with("\n10.0.0.7\tweb-0\n"));
        assert!(hosts("web-0", None).ends_with("\n127.0.0.1\tweb-0\n"));
    }

    #[test]
    fn the_hosts_file_is_marked_as_the_hosts() {
        let text = hosts_of_host().expect("the host's file");
        assert!(text.starts_with("# Kubernetes-managed hosts file (host network).\n"));
    }
}
