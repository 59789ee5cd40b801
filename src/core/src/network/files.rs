//! A pod's host name and its `/etc/hosts`, as the kubelet makes them.

use std::fmt::Write as _;
use std::net::IpAddr;

use pinnace_api::Pod;
use pinnace_api::pod::HostAlias;

/// Bytes that the kernel takes of a host's name.
const MAX_KERNEL_NAME: usize = 64;
const MAX_HOST_NAME: usize = 63;

const HOST_HEAD: &str = "# Kubernetes-managed hosts file (host network).\n";
const HEAD: &str = "# Kubernetes-managed hosts file.\n\
    127.0.0.1\tlocalhost\n\
    ::1\tlocalhost ip6-localhost ip6-loopback\n\
    fe00::0\tip6-localnet\n\
    fe00::0\tip6-mcastprefix\n\
    fe00::1\tip6-allnodes\n\
    fe00::2\tip6-allrouters\n";

/// What a pod with a network of its own is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostNames {
    /// The first label, or the whole name that the pod gives itself.
    pub hostname: String,
    /// `subdomain.namespace.svc.cluster.local`, where the pod has a subdomain.
    pub domain: Option<String>,
}

/// Why a pod cannot have its full name as its host name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "failed to construct FQDN from pod hostname and cluster domain, FQDN {name} is too long \
     ({MAX_KERNEL_NAME} characters is the max, {} characters requested)",
    .name.len()
)]
pub struct NameTooLong {
    /// The full name.
    pub name: String,
}

impl HostNames {
    /// The names of a pod under the cluster's domain.
    pub fn of(pod: &Pod, cluster_domain: &str) -> Self {
        if let Some(name) = &pod.spec.hostname_override {
            return Self {
                hostname: name.clone(),
                domain: None,
            };
        }
        let asked = pod.spec.hostname.as_deref().unwrap_or(pod.meta.name.as_str());
        let cut: String = asked.chars().take(MAX_HOST_NAME).collect();
        let namespace = &pod.meta.namespace;
        let subdomain = pod.spec.subdomain.as_ref();
        Self {
            hostname: cut.trim_end_matches(['-', '.']).to_owned(),
            domain: subdomain.map(|subdomain| format!("{subdomain}.{namespace}.svc.{cluster_domain}")),
        }
    }

    /// The host name that the kernel is told: the full one, where the pod asks for that.
    pub fn kernel_name(&self, pod: &Pod) -> Result<String, NameTooLong> {
        let domain = self.domain.as_ref().filter(|_| pod.spec.set_hostname_as_fqdn);
        let Some(domain) = domain else {
            return Ok(self.hostname.clone());
        };
        let name = format!("{}.{domain}", self.hostname);
        if name.len() > MAX_KERNEL_NAME {
            return Err(NameTooLong { name });
        }
        Ok(name)
    }

    /// `/etc/hosts` of a pod with these addresses.
    pub fn hosts(&self, addresses: &[IpAddr], aliases: &[HostAlias]) -> String {
        let mut text = HEAD.to_owned();
        let name = &self.hostname;
        for address in addresses {
            // Writing to a text cannot fail.
            let _ = match &self.domain {
                Some(domain) => writeln!(text, "{address}\t{name}.{domain}\t{name}"),
                None => writeln!(text, "{address}\t{name}"),
            };
        }
        add_aliases(&mut text, aliases);
        text
    }
}

/// `/etc/hosts` of a pod in the host's network, out of the host's own.
pub fn hosts_of_host(own: &str, aliases: &[HostAlias]) -> String {
    let mut text = format!("{HOST_HEAD}{own}");
    add_aliases(&mut text, aliases);
    text
}

fn add_aliases(text: &mut String, aliases: &[HostAlias]) {
    if aliases.is_empty() {
        return;
    }
    text.push_str("\n# Entries added by HostAliases.\n");
    for HostAlias { ip, hostnames } in aliases {
        let _ = writeln!(text, "{ip}\t{}", hostnames.join("\t"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::network::testing::pod;

    fn names(place: &str, spec: Value) -> (HostNames, Result<String, NameTooLong>) {
        let pod = pod(place, "a", &[], spec).pod;
        let names = HostNames::of(&pod, "cluster.local");
        let kernel = names.kernel_name(&pod);
        (names, kernel)
    }

    #[test]
    fn a_pod_is_called_by_its_hostname_or_its_own_name() {
        let (plain, kernel) = names("shop/web-0", json!({}));
        assert_eq!((plain.hostname.as_str(), &plain.domain), ("web-0", &None));
        assert_eq!(kernel.as_deref(), Ok("web-0"));
        let (asked, kernel) = names("shop/web-0", json!({"hostname": "a", "subdomain": "b"}));
        assert_eq!(asked.domain.as_deref(), Some("b.shop.svc.cluster.local"));
        assert_eq!(kernel.as_deref(), Ok("a"));
        let long = format!("shop/{}-{}", "a".repeat(62), "b".repeat(20));
        assert_eq!(names(&long, json!({})).0.hostname, "a".repeat(62));
    }

    #[test]
    fn a_pod_that_overrides_its_host_name_is_called_by_that_alone() {
        let spec = json!({"hostname": "a", "subdomain": "b", "hostnameOverride": "db.example.com"});
        let (own, kernel) = names("shop/web-0", spec);
        assert_eq!((own.hostname.as_str(), &own.domain), ("db.example.com", &None));
        assert_eq!(kernel.as_deref(), Ok("db.example.com"));
    }

    #[test]
    fn the_kernel_is_told_the_full_name_where_the_pod_asks_for_it() {
        let spec = json!({"hostname": "a", "subdomain": "b", "setHostnameAsFQDN": true});
        assert_eq!(
            names("shop/x", spec).1.as_deref(),
            Ok("a.b.shop.svc.cluster.local")
        );
        assert_eq!(
            names("shop/x", json!({"setHostnameAsFQDN": true})).1.as_deref(),
            Ok("x")
        );
        let long = "s".repeat(40);
        let spec = json!({"hostname": "a", "subdomain": long, "setHostnameAsFQDN": true});
        assert_eq!(
            names("shop/x", spec).1.unwrap_err().to_string(),
            format!(
                "failed to construct FQDN from pod hostname and cluster domain, FQDN a.{long}.shop.svc.cluster.local \
                 is too long (64 characters is the max, 65 characters requested)"
            )
        );
    }

    #[test]
    fn hosts_has_every_address_the_full_name_first_and_the_aliases_last() {
        let aliases = json!([{"ip": "10.1.2.3", "hostnames": ["foo.local", "bar.local"]}, {"ip": "fd00::9", "hostnames": ["baz"]}]);
        let spec = json!({"hostname": "db-0", "subdomain": "db", "hostAliases": aliases});
        let pod = pod("shop/db-0", "a", &["10.0.0.7", "fd00::7"], spec);
        let names = HostNames::of(&pod.pod, "cluster.local");
        let aliases = &pod.pod.spec.host_aliases;
        let text = names.hosts(&pod.addresses, aliases);
        let own =
            "10.0.0.7\tdb-0.db.shop.svc.cluster.local\tdb-0\nfd00::7\tdb-0.db.shop.svc.cluster.local\tdb-0\n";
        let added = "\n# Entries added by HostAliases.\n10.1.2.3\tfoo.local\tbar.local\nfd00::9\tbaz\n";
        assert_eq!(text, format!("{HEAD}{own}{added}"));
        assert_eq!(
            hosts_of_host("127.0.0.1 localhost\n", aliases),
            format!("{HOST_HEAD}127.0.0.1 localhost\n{added}")
        );
        let plain = HostNames {
            hostname: "web".to_owned(),
            domain: None,
        };
        assert_eq!(
            plain.hosts(&pod.addresses[..1], &[]),
            format!("{HEAD}10.0.0.7\tweb\n")
        );
        assert_eq!(hosts_of_host("x\n", &[]), format!("{HOST_HEAD}x\n"));
    }
}
